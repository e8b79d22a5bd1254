# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_domain_policy on the controller: reads the records of ``src``; the node's history keeps the task's name."""

from __future__ import annotations

import os
from typing import Optional

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Arguments, Variables
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._named_task import ActionModule as NamedTask
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._record_file import read_records


class ActionModule(NamedTask):
    """Gives the node the contents of the controller's file as ``domains``."""

    def arguments(self, task_vars: Variables) -> Arguments:
        given = super().arguments(task_vars)
        src: Optional[str] = given.get("src")
        if src is None:
            return given
        if not isinstance(src, str):
            raise AnsibleActionFail(f"src: {src!r} is not a path; name a file on the controller.")
        if given.get("domains") is not None:
            raise AnsibleActionFail("src and domains exclude each other; keep the records in one place.")
        try:
            path: str = self._find_needle("files", src)  # type: ignore[no-untyped-call]  # ActionBase does not annotate it
            with open(self._loader.get_real_file(path), encoding="utf-8", newline="") as handle:
                records = read_records(os.path.splitext(path)[1], handle.read())
        except (AnsibleError, OSError, ValueError) as problem:
            raise AnsibleActionFail(f"src: {src!r} cannot be read: {problem}") from problem
        return {**{name: value for name, value in given.items() if name != "src"}, "domains": records}


__all__ = ["ActionModule"]
