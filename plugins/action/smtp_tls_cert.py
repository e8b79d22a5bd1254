# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_tls_cert on the controller: signs with the fleet's own CA between two calls of the module."""

from __future__ import annotations

from typing import List, Tuple

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import library
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import (
    Arguments,
    Options,
    Result,
    Variables,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model import words
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.own_ca import DAYS, check_assigned
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_ca, _other_cas
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._controller_files import (
    MAKE_OR_COPY,
    ControllerFiles,
    as_list,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._named_task import ActionModule as NamedTask

CONTROLLER_ONLY = ("ca_private_key", "ca_passphrase", "ca_create", "domains")
"""Options that never reach a node."""


class ActionModule(NamedTask):
    """Gives the node the contents of the controller's CA files, and signs where the provider is own_ca."""

    _supports_async = False  # two calls of the module make one task

    def act(self, task_vars: Variables) -> Result:
        given = self._task.args
        own_ca = dict(given["own_ca"]) if isinstance(given.get("own_ca"), dict) else None
        files = ControllerFiles(self._loader, self._templar, task_vars)
        arguments = _with_authorities(self.arguments(task_vars), files)
        if own_ca is not None:
            arguments["own_ca"] = _for_the_node(own_ca)
            if given.get("provider") == "own_ca" and given.get("state", "present") == "present":
                return self._with_own_ca(arguments, own_ca, files, task_vars)
        return self._execute_module(module_args=arguments, task_vars=task_vars)

    def _with_own_ca(
        self, arguments: Arguments, own_ca: Options, files: ControllerFiles, task_vars: Variables
    ) -> Result:
        if library.MISSING:
            raise AnsibleActionFail(
                "The Python library cryptography is missing on the controller; install python3-cryptography there, or "
                "pip install cryptography in Ansible's own environment."
            )
        asked = _fleet_ca.options_of("own_ca", own_ca)
        _fleet_ca.check_given("own_ca", own_ca, "ca_certificate", "ca_private_key")
        for option, given in asked[1:]:
            _fleet_ca.check_given(
                option, given, "ca_certificate", *(["ca_private_key"] if _is_to_be_made(given) else [])
            )
        node = str(task_vars.get("inventory_hostname", ""))
        names = _assigned(own_ca, node)
        domains = own_ca.get("domains")
        _fleet_ca.check_domains(names, None if domains is None else as_list(domains))
        if not self._are_made(asked, arguments, files, task_vars):
            reason = "the CA does not exist yet and check mode makes none"
            return {"changed": True, "reason": reason, "active": {"server": False, "client": False}}
        options = {**arguments["own_ca"], "assigned": names}
        for option, given in asked:
            content = files.content(f"{option}.ca_certificate", given["ca_certificate"], MAKE_OR_COPY)
            (options if option == "own_ca" else options["next_ca"])["ca_certificate"] = content
        first: Result = self._execute_module(module_args={**arguments, "own_ca": options}, task_vars=task_vars)
        wanted = first.pop("signing_request", None)
        if first.get("failed") or not wanted:
            return first
        authority = _fleet_ca.load(
            options["ca_certificate"],
            files.content("own_ca.ca_private_key", own_ca["ca_private_key"], MAKE_OR_COPY),
            own_ca.get("ca_passphrase"),
        )
        csr, wish = _asked_for(wanted)
        check_assigned(wish, names, node)
        signed_names = [words.certificate_name("own_ca.names", name) for name in names]
        options["certificate"] = authority.sign(csr, signed_names, int(options.get("days") or DAYS))
        second = self._execute_module(module_args={**arguments, "own_ca": options}, task_vars=task_vars)
        if second.pop("signing_request", None):
            raise AnsibleActionFail(
                "The node asks for another signature than the one it was given; something else has changed its "
                "store meanwhile, so run the task again."
            )
        return second

    def _are_made(
        self, asked: _fleet_ca.Asked, arguments: Arguments, files: ControllerFiles, task_vars: Variables
    ) -> bool:
        """Make the CAs that the task asks for (C(ca_create)); ``False`` where check mode keeps one from being made."""
        wanted = [(option, given) for option, given in asked if _is_to_be_made(given)]
        if wanted and "distrusted_issuer" not in as_list(arguments.get("accept") or []):
            self._refuse_others(asked, arguments, files, task_vars)
        made = [_fleet_ca.provide(files, option, given, self._task.check_mode) for option, given in wanted]
        return all(found.is_there for found in made)

    def _refuse_others(
        self, asked: _fleet_ca.Asked, arguments: Arguments, files: ControllerFiles, task_vars: Variables
    ) -> None:
        """A task that makes a CA makes none for a node that belongs to another."""
        there = {name: arguments[name] for name in ("config_dir",) if name in arguments}
        facts: Result = self._execute_module(
            module_name="mailfleet.smtp_hardening.smtp_tls_info", module_args=there, task_vars=task_vars
        )
        if facts.get("failed"):
            raise AnsibleActionFail(str(facts.get("msg")))
        _other_cas.refuse_others(
            str(task_vars.get("inventory_hostname", "")),
            facts,
            files.shown("own_ca.ca_certificate", asked[0][1]["ca_certificate"]),
            _fleet_ca.known(files, asked),
            files.certificates("trust.authorities", (arguments.get("trust") or {}).get("authorities")),
        )


def _with_authorities(arguments: Arguments, files: ControllerFiles) -> Arguments:
    """The task with the contents of the CAs that it trusts, which lie on the controller."""
    trust = arguments.get("trust")
    if not isinstance(trust, dict) or not trust.get("authorities"):
        return arguments
    return {
        **arguments,
        "trust": {**trust, "authorities": files.contents("trust.authorities", trust["authorities"])},
    }


def _asked_for(wanted: object) -> Tuple[str, List[str]]:
    """What a node wants to have signed, and as whom: words of somebody who may have been taken over."""
    csr = wanted.get("csr") if isinstance(wanted, dict) else None
    names = wanted.get("names") if isinstance(wanted, dict) else None
    if not isinstance(csr, str) or not isinstance(names, list):
        raise AnsibleActionFail(
            "The node asks for a signature in words that the module does not use; look at the node."
        )
    return csr, [str(name) for name in names]


def _assigned(own_ca: Options, node: str) -> List[str]:
    """What the inventory calls the node; what it calls itself gives it no name."""
    names = own_ca.get("names")
    if names is None:
        return [node]
    return [words.certificate_name("own_ca.names", name) for name in as_list(names)]


def _is_to_be_made(given: Options) -> bool:
    return bool(boolean(given.get("ca_create") or False))


def _for_the_node(own_ca: Options) -> Arguments:
    """The suboption without what never leaves the controller, whatever the task is about."""
    options = {name: value for name, value in own_ca.items() if name not in CONTROLLER_ONLY}
    if isinstance(options.get("next_ca"), dict):
        options["next_ca"] = {
            name: options["next_ca"][name] for name in ("ca_certificate",) if name in options["next_ca"]
        }
    return options
