# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_fleet_ca, which does all of its work on the controller: no node is called."""

from __future__ import annotations

from typing import List, Tuple

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.shown import name_text
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Options, Result, Variables
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_ca, _other_cas
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._controller_files import (
    MAKE_OR_COPY,
    ControllerFiles,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._named_task import ActionModule as NamedTask

OPTIONS = ("fleet_ca", "next_fleet_ca", "authorities", "node", "create")


class ActionModule(NamedTask):
    """Finds or makes the fleet's CA, and stops at a node that belongs to another."""

    _supports_async = False
    _requires_connection = False

    def act(self, task_vars: Variables) -> Result:
        if library.MISSING:
            raise AnsibleActionFail(
                "The Python library cryptography is missing on the controller; install python3-cryptography there, or "
                "pip install cryptography in Ansible's own environment."
            )
        given = self._task.args
        create = boolean(given.get("create") or False)
        named = _named(given)
        asked = [ca for option, options in named for ca in _fleet_ca.options_of(option, options)]
        to_make = named[-1:] if create else []
        files = ControllerFiles(self._loader, self._templar, task_vars)
        for option, options in to_make:
            _fleet_ca.check_given(option, options, "ca_certificate", "ca_private_key")
        for option, options in asked:
            if (option, options) not in to_make:
                files.content(f"{option}.ca_certificate", options["ca_certificate"], MAKE_OR_COPY)
        if given.get("node"):
            _refuse_others(files, given, asked, str(task_vars.get("inventory_hostname", "")))
        made = [_fleet_ca.provide(files, *ca, self._task.check_mode) for ca in to_make]
        return {
            "changed": any(found.made for found in made),
            "authorities": [
                f"{name_text(ca.subject)} (serial {ca.serial_number:X})" for ca in _fleet_ca.known(files, asked)
            ],
            "said": [_said(found) for found in made],
        }


def _refuse_others(files: ControllerFiles, given: Options, asked: _fleet_ca.Asked, node: str) -> None:
    place = files.shown("fleet_ca.ca_certificate", given["fleet_ca"]["ca_certificate"])
    others = files.certificates("authorities", given.get("authorities"))
    _other_cas.refuse_others(node, given["node"], place, _fleet_ca.known(files, asked), others)


def _named(given: Options) -> List[Tuple[str, Options]]:
    """The fleet's CA and the one that will follow, each with the option that describes it."""
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise AnsibleActionFail(f"{unknown[0]}: is no option of smtp_fleet_ca; it has {', '.join(OPTIONS)}.")
    found = []
    for option in ("fleet_ca", *(["next_fleet_ca"] if given.get("next_fleet_ca") else [])):
        if not isinstance(given.get(option), dict):
            raise AnsibleActionFail(f"{option}: is no description of a CA; give ca_certificate and ca_private_key.")
        _fleet_ca.check_given(option, given[option], "ca_certificate")
        found.append((option, given[option]))
    return found


def _said(found: _fleet_ca.Provided) -> str:
    if not found.made:
        return f"The fleet's CA is there: its certificate is {found.certificate}, its key {found.key}."
    return (
        f"{'The fleet has a new CA' if found.is_there else 'The fleet would have a new CA'}: its certificate is "
        f"{found.certificate}, its key {found.key}. Keep a copy of both elsewhere, and give it to every controller: nobody can "
        "make them again, and without the key no node gets another certificate."
    )
