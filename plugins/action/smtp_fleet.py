# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_fleet: all of it happens on the controller, once for all hosts of the play."""

from __future__ import annotations

import contextlib
import datetime
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Result, Variables
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet, _fleet_file
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._controller_files import (
    MAKE_OR_COPY,
    ControllerFiles,
)

CAS = (_fleet.CA, "smtp_next_fleet_ca")
"""Variables of hosts that name the CAs which their certificates may be of."""
DAYS = 7
NAMED = 5
"""So many nodes are named with what they lack; of more, how many they are."""
OPTIONS = {
    "note": {"type": "str"},
    "pending": {"type": "str"},
    "every": {"type": "list", "elements": "str", "choices": list(_fleet.CONDITIONS), "default": []},
    "of": {"type": "list", "elements": "str"},
    "ca": {"type": "str", "choices": list(CAS), "default": CAS[0]},
    "before": {"type": "str", "default": "Nothing of this is done"},
}


class ActionModule(ActionBase):
    """Notes what nodes are, and fails while one of them is not what every one is to be."""

    BYPASS_HOST_LOOP = True
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Variables] = None) -> Result:
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(OPTIONS)  # type: ignore[no-untyped-call]  # ActionBase has no types
        try:
            return self._act(options, task_vars or {})
        except HardeningError as problem:
            raise AnsibleActionFail(str(problem)) from None

    def _act(self, options: Facts, task_vars: Variables) -> Result:
        hosts: Sequence[str] = task_vars["ansible_play_hosts"]
        hostvars: Mapping[str, Facts] = task_vars["hostvars"]
        here = hostvars[task_vars["inventory_hostname"]]  # what task_vars holds is not templated
        # Which hosts there are, hostvars does not say: before ansible-core 2.19 with the controller, where a play was on it, or none.
        # The controller is no node, though extra variables give it a profile, unless the play is on it.
        inventory = {
            host: hostvars[host] for host in task_vars["groups"]["all"] if host != "localhost" or host in hosts
        }
        path = _fleet_file.place(_first_of_all(inventory) or here)
        if options["note"] and not self._task.check_mode:
            with _fleet_file.changed(path) as nodes:
                nodes.update(self._noted(options, hosts, hostvars, nodes))
        else:
            nodes = _fleet_file.known(path)
            nodes.update(self._noted(options, hosts, hostvars, nodes))
        unready = self._unready(options, hosts, here, inventory, nodes) if options["every"] else {}
        pending = [host for host in hosts if nodes.get(host, {}).get("pending")]
        result = {
            "changed": False,
            "unready": unready,
            "may_demand_more": _fleet.demand_more(nodes, hosts, hostvars),
            "to_use_tls": self._to_use_tls(hosts, inventory),
            "pending": pending,
            "canaries": _fleet.canaries(pending, hosts, hostvars),
        }
        if not unready:
            return result
        unknown = [name for name in _absent(here) if name not in inventory]
        return {**result, "failed": True, "msg": _sentence(options["before"], unready, unknown, path)}

    def _noted(
        self, options: Facts, hosts: Sequence[str], hostvars: Mapping[str, Facts], known: _fleet.Nodes
    ) -> _fleet.Nodes:
        """What the hosts have shown of which the play has asked it. Who does not say whether it differs is as it was known."""
        found: _fleet.Nodes = {}
        for host in hosts if options["note"] else ():
            info = hostvars[host].get(options["note"]) or {}
            if "active" in info:
                authorities = self._readable(hostvars[host])
                before = known.get(host, {}).get("pending")
                pending = bool(hostvars[host].get(options["pending"] or "", before))
                found[host] = _fleet.read_entry(info, authorities, utc_now(), pending)
        return found

    def _unready(
        self, options: Facts, hosts: Sequence[str], here: Facts, inventory: Mapping[str, Facts], nodes: _fleet.Nodes
    ) -> Dict[str, str]:
        """Of each fleet that one of the hosts is of. In check mode, hosts of the play will be what a run makes of them."""
        oldest = utc_now() - datetime.timedelta(days=_days(here))
        foretold = hosts if self._task.check_mode else ()
        found: Dict[str, str] = {}
        concerned = hosts if options["of"] is None else options["of"]
        peers = "demands_nothing" in options["every"]
        fleets = _fleet.fleets(concerned, inventory, _absent(here), ca_of=self._same_ca(), whatever_profile=peers)
        for host, names in fleets.items():
            given = _authorities(inventory[host], [options["ca"]])
            contents = [self._content(name, value, inventory[host]) for name, value in given.items()]
            authority = _fleet.read_authority(contents[0]) if contents else []
            asked = [name for name in names if name not in foretold]
            found.update(_fleet.unready(nodes, asked, options["every"], authority, oldest))
        return found

    def _to_use_tls(self, hosts: Sequence[str], inventory: Mapping[str, Facts]) -> List[str]:
        """Who is of a fleet of which one host may demand TLS of the others."""
        fleets = _fleet.fleets(hosts, inventory, (), ca_of=self._same_ca()).values()
        asked = {name for names in fleets if any(_fleet.meant(inventory[one]) for one in names) for name in names}
        return [host for host in hosts if host in asked]

    def _same_ca(self) -> Callable[[Facts], str]:
        """What is the same for hosts with the same CA, in whatever words the inventory says where it is."""
        found: Dict[Tuple[str, str], str] = {}

        def ca_of(variables: Facts) -> str:
            stated = _fleet.stated_ca(variables)
            key = (stated, str(variables.get("inventory_dir")))
            if key not in found:
                found[key] = stated
                with contextlib.suppress(AnsibleError, HardeningError):
                    found[key] = _fleet.read_authority(self._content(_fleet.CA, stated, variables))[0] if stated else ""
            return found[key]

        return ca_of

    def _readable(self, variables: Facts) -> List[str]:
        """The CAs of a host that are there; of one that nobody can read no certificate is known to be."""
        found = []
        for name, value in _authorities(variables, CAS).items():
            with contextlib.suppress(AnsibleError, HardeningError):
                found.append(self._content(name, value, variables))
        return found

    def _content(self, name: str, value: str, variables: Facts) -> str:
        files = ControllerFiles(self._loader, self._templar, variables)
        return files.content(f"{name}.ca_certificate", value, MAKE_OR_COPY)


def _first_of_all(inventory: Mapping[str, Facts]) -> Optional[Facts]:
    """Whose inventory says where the document lies: the same host, whoever is in the run, where there are several inventories."""
    return next((variables for variables in inventory.values() if variables.get("smtp_profile")), None)


def _authorities(variables: Facts, names: Sequence[str]) -> Dict[str, str]:
    """The certificates of CAs, by the variable that names each."""
    given = {name: _fleet.stated_ca(variables, name) for name in names}
    return {name: certificate for name, certificate in given.items() if certificate}


def _sentence(before: str, unready: Mapping[str, str], unknown: Sequence[str], path: str) -> str:
    named = [f"{name}: {reason}" for name, reason in list(unready.items())[:NAMED]]
    more = [f"and {len(unready) - NAMED} more"] if len(unready) > NAMED else []
    mistaken = f" What it names now, {', '.join(unknown)}, is no host of the inventory." if unknown else ""
    return (
        f"{before} before every node of the fleet is known to be ready: {'; '.join(named + more)}. Run this for them too, or name in "
        f"smtp_absent those that are out of the fleet for now.{mistaken} What is known of them lies in {path}."
    )


def _days(variables: Facts) -> int:
    """For how many days it counts what was seen of a node."""
    stated = variables.get("smtp_fleet_days", DAYS)
    try:
        return int(stated)
    except (TypeError, ValueError):
        raise InvalidValue("smtp_fleet_days", stated, "is no number of days", f"write one, such as {DAYS}") from None


def _absent(variables: Facts) -> List[str]:
    """The nodes that are out of the fleet for now."""
    return _as_list(variables.get("smtp_absent") or [])


def _as_list(value: Union[str, List[str]]) -> List[str]:
    return value.replace(",", " ").split() if isinstance(value, str) else value
