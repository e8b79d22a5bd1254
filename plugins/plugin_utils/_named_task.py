# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules that change something do on the controller: tell the node which task it is."""

from __future__ import annotations

from typing import Optional

from ansible.plugins.action import ActionBase
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Arguments, Result, Variables


class ActionModule(ActionBase):
    """Passes the task on with its name, which the node's history keeps."""

    _supports_async = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Variables] = None) -> Result:
        super().run(tmp, task_vars)
        arguments = self.arguments(task_vars or {})
        return self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val)

    def arguments(self, task_vars: Variables) -> Arguments:
        """What the module gets on the node."""
        return {"task": self._task.get_name().strip(), **self._task.args}
