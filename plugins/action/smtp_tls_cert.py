# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_tls_cert on the controller: signs with the fleet's own CA between two calls of the module."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import DEFAULT_DAYS, PEM_MARK
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_ca

CONTROLLER_ONLY = ("ca_private_key", "ca_passphrase", "ca_create")
"""Options that never reach a node."""


class ActionModule(ActionBase):
    """Passes the task on as it is, unless the provider is own_ca."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = {"task": self._task.get_name().strip(), **self._task.args}
        if arguments.get("provider") != "own_ca" or not isinstance(arguments.get("own_ca"), dict):
            return self._execute_module(module_args=arguments, task_vars=task_vars)
        try:
            return self._with_own_ca(arguments, task_vars or {})
        except HardeningError as problem:
            raise AnsibleActionFail(str(problem)) from problem

    def _with_own_ca(self, arguments: Dict[str, Any], task_vars: Dict[str, Any]) -> Dict[str, Any]:
        options = dict(arguments["own_ca"])
        if library.MISSING:
            raise AnsibleActionFail(
                "The Python library cryptography is missing on the controller; install python3-cryptography there."
            )
        secret = {name: options.pop(name, None) for name in CONTROLLER_ONLY}
        given = {"ca_certificate": options.get("ca_certificate"), "ca_private_key": secret["ca_private_key"]}
        for name, value in given.items():
            if not value:
                raise AnsibleActionFail(
                    f"own_ca.{name}: is missing; give it as a path on the controller or as content."
                )
        created = self._create_ca(given, secret, task_vars)
        if created is None:
            return {"changed": True, "reason": "the CA does not exist yet and check mode makes none", "active": {}}
        certificate = self._content(given["ca_certificate"], task_vars)
        options["ca_certificate"] = certificate
        first = self._execute_module(module_args={**arguments, "own_ca": options}, task_vars=task_vars)
        wanted = first.pop("signing_request", None)
        if first.get("failed") or not wanted:
            return first
        authority = _fleet_ca.load(
            certificate, self._content(given["ca_private_key"], task_vars), secret["ca_passphrase"]
        )
        days = int(options.get("days") or DEFAULT_DAYS["own_ca"])
        options["certificate"] = authority.sign(wanted["csr"], options.get("names") or wanted["names"], days)
        return self._execute_module(module_args={**arguments, "own_ca": options}, task_vars=task_vars)

    def _create_ca(self, given: Dict[str, str], secret: Dict[str, Any], task_vars: Dict[str, Any]) -> Optional[bool]:
        """Make the CA where that is asked for; ``None`` where check mode keeps it from being made."""
        if not boolean(secret["ca_create"] or False):
            return False
        paths = [self._loader.path_dwim(path) for path in given.values()]
        if self._task.check_mode:
            return _fleet_ca.exists(*paths) or None
        return _fleet_ca.create_if_missing(*paths, secret["ca_passphrase"])

    def _content(self, value: str, task_vars: Dict[str, Any]) -> str:
        """PEM as it is, or the file of that name, decrypted in memory where it is a vault."""
        if PEM_MARK in value:
            return value
        lookup = lookup_loader.get("ansible.builtin.file", loader=self._loader, templar=self._templar)
        return lookup.run([value], variables=task_vars)[0]
