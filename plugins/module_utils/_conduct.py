# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How every module begins and ends: nothing that it says, to Ansible or to the node's log, holds a secret.

Ansible logs the repr of options as soon as it has checked them, before a module can say anything about it, and repeats what
it refuses. So what says something is ours from the first moment: a class below Ansible's own.
"""

from __future__ import annotations

import os
import traceback
from typing import FrozenSet, Mapping, Optional, Protocol, Set, Type

from . import _core_dumps
from ._edge import Arguments, End, Options, Result
from ._secrecy import hiding, invocation, noted, secrets_in, strayed_key
from ._shown import shown
from ._task.work import Outcome, Work, attempt


class Module(Protocol):
    """AnsibleModule, as far as it is used."""

    params: Result
    argument_spec: Arguments
    check_mode: bool
    no_log_values: Set[str]

    def __init__(self, **arguments: object) -> None: ...

    def log(self, msg: str, log_args: Optional[Mapping[str, object]] = None) -> None: ...

    def warn(self, warning: str) -> None: ...

    @property
    def fail_json(self) -> End: ...

    @property
    def exit_json(self) -> End: ...


class DiscreetModule(Module, Protocol):
    """The same with its secrets, once the options have been checked."""

    secrets: Optional[FrozenSet[str]]


def conduct(base: Type[Module], work: Work, **arguments: object) -> None:
    """A module from its options to its answer. ``base`` is AnsibleModule, ``arguments`` are what it takes."""
    _core_dumps.leave_none()
    module = discreet(base)(**arguments)
    module.secrets = secrets_in(module.params, module.argument_spec)
    options = {**module.params}
    if "task" in options:
        options["task"] = hiding(module.secrets)(options["task"])  # which the node keeps
    outcome = _outcome(work, options, module.check_mode)
    outcome.report(module.warn, module.fail_json, module.exit_json)


_NOT_ROOT = (
    "Root is needed on this node, for Postfix's files and to look too; let the task become root: become: true in the play or the "
    "inventory, or -b on the command line."
)


def _outcome(work: Work, options: Options, check_mode: bool) -> Outcome:
    """However the work of a module ends."""
    if os.geteuid() != 0:
        return Outcome(True, {"msg": _NOT_ROOT, "changed": False}, [])
    strayed = strayed_key(options)
    if strayed:
        sentence = f"{strayed}: holds a private key, which does not belong there; take it out, and make a new key if others saw it."
        return Outcome(True, {"msg": sentence, "changed": False}, [])
    try:
        return attempt(work, options, check_mode)
    except Exception as problem:  # whatever it is, Ansible would print it as it is
        sentence = f"This is a fault of the collection: {type(problem).__name__}: {problem}; please report it, with the traceback."
        return Outcome(True, {"msg": sentence, "exception": traceback.format_exc()}, [])


def _in_words(result: Result) -> Result:
    """Exceptions as text, in which secrets can be found."""
    return {
        name: "".join(traceback.format_exception(type(value), value, value.__traceback__))
        if isinstance(value, BaseException)
        else value
        for name, value in result.items()
    }


def discreet(base: Type[Module]) -> Type[DiscreetModule]:
    """AnsibleModule, which holds its tongue."""

    class Discreet(base):  # type: ignore[valid-type, misc]  # which class it is, only a module may know
        """Whatever leaves a module passes one of these four methods, also before the module itself has begun."""

        secrets: Optional[FrozenSet[str]] = None

        def log(self, msg: str, log_args: Optional[Mapping[str, object]] = None) -> None:
            if (
                log_args is not None
            ):  # the invocation, which Ansible would hand over a second time as fields of the journal
                super().log(" ".join(["Invoked with", *noted(self.params, self.argument_spec)]))
            else:
                super().log(shown(str(self._without_secrets(msg))).replace("\n", r"\n"))

        def warn(self, warning: str, **more: object) -> None:
            super().warn(self._without_secrets(warning), **more)

        def fail_json(self, msg: str, **result: object) -> None:
            super().fail_json(**self._answer({**result, "msg": msg}))

        def exit_json(self, **result: object) -> None:
            super().exit_json(**self._answer(result))

        def _answer(self, result: Result) -> Result:
            given = invocation(self.params, self.argument_spec)
            found = self._secrets()
            self.no_log_values &= found  # a path is no secret
            answer = hiding(found)({**_in_words(result), "invocation": {"module_args": given}})
            return dict(answer) if isinstance(answer, Mapping) else {}

        def _without_secrets(self, said: object) -> object:
            return hiding(self._secrets())(said)

        def _secrets(self) -> FrozenSet[str]:
            if self.secrets is None:
                return secrets_in(getattr(self, "params", {}), self.argument_spec)
            return self.secrets

    return Discreet
