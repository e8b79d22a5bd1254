# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_domain_policy on the controller: reads the records of ``src``; the node's history keeps the task's name."""

from __future__ import annotations

import os
from typing import Iterator, Optional, Sequence

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Arguments, Result, Variables
from ansible_collections.mailfleet.smtp_hardening.plugins.modules.smtp_domain_policy import DOMAIN_ARGUMENTS
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._named_task import ActionModule as NamedTask
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._record_file import read_records


class ActionModule(NamedTask):
    """Gives the node the contents of the controller's file as ``domains``."""

    records: Sequence[object] = ()

    def act(self, task_vars: Variables) -> Result:
        result = super().act(task_vars)
        wrong = next(_named(self.records), None) if result.get("failed") else None
        return result if wrong is None else {**result, "msg": wrong}

    def arguments(self, task_vars: Variables) -> Arguments:
        given = super().arguments(task_vars)
        src: Optional[str] = given.get("src")
        if src is None:
            self.records = given.get("domains") or ()
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
        self.records = records
        return {**{name: value for name, value in given.items() if name != "src"}, "domains": records}


def _named(records: Sequence[object]) -> Iterator[str]:
    """What Ansible refuses in each record, by the domain's name: its own words say only that this was found in domains."""
    validator = ArgumentSpecValidator(DOMAIN_ARGUMENTS)
    for record in records:
        if isinstance(record, dict) and "name" in record:
            for problem in validator.validate(record).errors.errors[:1]:
                words = "Unsupported parameters: " if isinstance(problem, UnsupportedError) else ""
                yield f"domains[{record['name']}]: {words}{problem.msg}"


__all__ = ["ActionModule"]
