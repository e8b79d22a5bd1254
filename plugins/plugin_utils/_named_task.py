# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules that change something do on the controller: tell the node which task it is, and nobody any secret."""

from __future__ import annotations

from functools import cached_property
from typing import Callable, Iterator, Mapping, Optional

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _core_dumps
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Arguments, Result, Variables
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._secrecy import hiding, secrets_in
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._own_words import in_own_words, variables_of

SAID = ("msg", "warnings")
"""What a result tells people in sentences."""


class ActionModule(ActionBase):
    """Passes the task on with its name, which the node's history keeps."""

    _supports_async = True
    variables: Mapping[str, str] = {}

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Variables] = None) -> Result:
        super().run(tmp, task_vars)
        self.variables = variables_of(self._task, task_vars or {})
        _core_dumps.leave_none()
        try:
            result = {name: self.hide(value) for name, value in self.act(task_vars or {}).items()}
            return self.in_own_words(result)
        except AnsibleConnectionFailure:
            raise  # it knows of no option
        except Exception as problem:
            if not isinstance(problem, HardeningError) and all(self.hide(said) == said for said in _said(problem)):
                raise
            raise AnsibleActionFail(str(self.say(self.hide(str(problem))))) from None

    def act(self, task_vars: Variables) -> Result:
        """What the task does, with whatever secrets it needs."""
        return self._execute_module(
            module_args=self.arguments(task_vars), task_vars=task_vars, wrap_async=self._task.async_val
        )

    def arguments(self, task_vars: Variables) -> Arguments:
        """What the module gets on the node."""
        return {"task": self.hide(self._task.get_name().strip()), **self._task.args}

    def in_own_words(self, result: Result) -> Result:
        """A result whose sentences call options by their variables. Where that changes one, what ansible-core from 2.19 on has
        made of the former goes: it would be shown in its place."""
        told = {name: self.say(value) if name in SAID else value for name, value in result.items()}
        stale = told.get("msg") != result.get("msg") and not isinstance(result.get("exception"), str)
        return {name: value for name, value in told.items() if not (stale and name == "exception")}

    def say(self, said: object) -> object:
        """A sentence, or several, by the names that the playbook's user knows."""
        if isinstance(said, (list, tuple)):
            return [self.say(one) for one in said]
        return in_own_words(said, self.variables) if isinstance(said, str) else said

    @cached_property
    def hide(self) -> Callable[[object], object]:
        """What takes the secrets of this task out of what is said."""
        return hiding(secrets_in(self._task.args, {}))


def _said(problem: Optional[BaseException]) -> Iterator[str]:
    """The words of an exception and of those behind it, which Ansible shows as well."""
    while problem is not None:
        yield str(problem)
        problem = problem.__cause__ or problem.__context__
