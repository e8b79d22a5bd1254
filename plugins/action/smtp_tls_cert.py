# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_tls_cert on the controller: signs with the fleet's own CA between two calls of the module."""

from __future__ import annotations

from typing import List, Union

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import lookup_loader
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import (
    Arguments,
    Options,
    Result,
    Variables,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model import words
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import PEM_MARK
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.own_ca import DAYS
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._named_task import ActionModule as NamedTask

CONTROLLER_ONLY = ("ca_private_key", "ca_passphrase", "ca_create", "domains")
"""Options that never reach a node."""


class ActionModule(NamedTask):
    """Gives the node the contents of the controller's CA files, and signs where the provider is own_ca."""

    _supports_async = False  # two calls of the module make one task

    def act(self, task_vars: Variables) -> Result:
        given = self._task.args
        own_ca = dict(given["own_ca"]) if isinstance(given.get("own_ca"), dict) else None
        arguments = self._with_authorities(self.arguments(task_vars), task_vars)
        if own_ca is not None:
            arguments["own_ca"] = _for_the_node(own_ca)
            if given.get("provider") == "own_ca" and given.get("state", "present") == "present":
                return self._with_own_ca(arguments, own_ca, task_vars)
        return self._execute_module(module_args=arguments, task_vars=task_vars)

    def _with_authorities(self, arguments: Arguments, task_vars: Variables) -> Arguments:
        """The task with the contents of the CAs that it trusts, which lie on the controller."""
        trust = arguments.get("trust")
        if not isinstance(trust, dict) or not trust.get("authorities"):
            return arguments
        contents = [self._content(str(item), task_vars) for item in _as_list(trust["authorities"])]
        return {**arguments, "trust": {**trust, "authorities": contents}}

    def _with_own_ca(self, arguments: Arguments, own_ca: Options, task_vars: Variables) -> Result:
        if library.MISSING:
            raise AnsibleActionFail(
                "The Python library cryptography is missing on the controller; install python3-cryptography there."
            )
        following = dict(own_ca.get("next_ca") or {})
        _check_given("own_ca", own_ca, "ca_certificate", "ca_private_key")
        if following:
            keys = ["ca_private_key"] if boolean(following.get("ca_create") or False) else []
            _check_given("own_ca.next_ca", following, "ca_certificate", *keys)
        if not self._create_ca(own_ca) or (following and not self._create_ca(following)):
            reason = "the CA does not exist yet and check mode makes none"
            return {"changed": True, "reason": reason, "active": {"server": False, "client": False}}
        options = dict(arguments["own_ca"])
        certificate = options["ca_certificate"] = self._content(own_ca["ca_certificate"], task_vars)
        if following:
            options["next_ca"] = {"ca_certificate": self._content(following["ca_certificate"], task_vars)}
        first: Result = self._execute_module(module_args={**arguments, "own_ca": options}, task_vars=task_vars)
        wanted = first.pop("signing_request", None)
        if first.get("failed") or not wanted:
            return first
        authority = _fleet_ca.load(
            certificate, self._content(own_ca["ca_private_key"], task_vars), own_ca.get("ca_passphrase")
        )
        days = int(options.get("days") or DAYS)
        names = [
            words.certificate_name("own_ca.names", name) for name in _as_list(options.get("names") or wanted["names"])
        ]
        domains = own_ca.get("domains")
        _fleet_ca.check_domains(names, None if domains is None else _as_list(domains))
        options["certificate"] = authority.sign(wanted["csr"], names, days)
        second = self._execute_module(module_args={**arguments, "own_ca": options}, task_vars=task_vars)
        if second.pop("signing_request", None):
            raise AnsibleActionFail(
                "The node asks for another signature than the one it was given; something else has changed its "
                "store meanwhile, so run the task again."
            )
        return second

    def _create_ca(self, given: Options) -> bool:
        """Make the CA where that is asked for; ``False`` where check mode keeps it from being made."""
        if not boolean(given.get("ca_create") or False):
            return True
        certificate, key = (self._loader.path_dwim(given[name]) for name in ("ca_certificate", "ca_private_key"))
        if self._task.check_mode:
            return _fleet_ca.exists(certificate, key)
        _fleet_ca.create_if_missing(certificate, key, given.get("ca_passphrase"))
        return True

    def _content(self, value: str, task_vars: Variables) -> str:
        """PEM as it is, or the file of that name, decrypted in memory where it is a vault."""
        if PEM_MARK in value:
            return value
        lookup = lookup_loader.get("ansible.builtin.file", loader=self._loader, templar=self._templar)
        content: str = lookup.run([value], variables=task_vars)[0]
        return content


def _for_the_node(own_ca: Options) -> Arguments:
    """The suboption without what never leaves the controller, whatever the task is about."""
    options = {name: value for name, value in own_ca.items() if name not in CONTROLLER_ONLY}
    if isinstance(options.get("next_ca"), dict):
        options["next_ca"] = {
            name: options["next_ca"][name] for name in ("ca_certificate",) if name in options["next_ca"]
        }
    return options


def _check_given(option: str, values: Options, *names: str) -> None:
    for name in names:
        if not values.get(name):
            raise AnsibleActionFail(f"{option}.{name}: is missing; give it as a path on the controller or as content.")


def _as_list(value: Union[str, List[str]]) -> List[str]:
    """A list as Ansible's options take it: one word stands for a list of one."""
    return [value] if isinstance(value, str) else value
