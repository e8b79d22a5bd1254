# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet: which hosts of an inventory belong to it, and what was last known of each.

What is known lies in one document on the controller, by the names of the inventory:

    {"version": 1, "nodes": {"mx1": {
        "seen": "2026-11-28T09:00:00Z",
        "shows": {"server": ["SHA256"], "client": ["SHA256"]},   the CAs that its active certificates are of
        "trusts": ["SHA256"],                                    the CAs in its trust file
        "tls": true,                                             whether it offers STARTTLS, and uses it when sending, in TLS 1.3
        "demands": ["certificate", "sending", "tls"],            what not every peer has (see demands())
        "pending": false}}}                                      whether it is not yet as its profile says

It holds no secret, and nothing that the next run over all nodes would not find again.
"""

from __future__ import annotations

import datetime
import json
from typing import Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    is_issued_by,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.ports import public_port
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES

VERSION = 1
STATE = "smtp_fleet_state"
"""The variable that says where the document lies."""
SIDES = ("server", "client")
CA = "smtp_fleet_ca"
LENIENT = "lenient_default"
"""The profile that demands nothing by itself."""
NEWEST = "TLSv1.3"
"""What strict nodes speak, and a list of protocols may leave out."""
ALL = frozenset(["certificate", "sending", "tls"])
"""Everything that a node can demand."""
SMTP, SENDERS = 25, ("smtp/unix", "relay/unix")
"""The port at which nodes take mail from one another, and the clients that bring it there (master(5))."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_AHEAD = datetime.timedelta(days=1)
"""By so much the clocks of controllers that share a document may differ."""
_FOR_EVERYBODY = ("none", "may", "dane")
"""Levels of a client at which mail goes out to whoever shows no certificate."""

Entry = Mapping[str, object]
Nodes = Dict[str, Entry]
Rules = Tuple[str, str]
"""What the hosts of a fleet have in common."""


def stated_ca(variables: Facts, name: str = CA) -> str:
    """The certificate of a host's CA as the inventory states it, for the role alone or for all of the collection."""
    only_role = variables.get("trusted_agents_strict_fleet_ca") if name == CA else None
    return str((only_role or variables.get(name) or {}).get("ca_certificate") or "")


def fleets(
    hosts: Iterable[str],
    hostvars: Mapping[str, Facts],
    absent: Sequence[str],
    *,
    ca_of: Callable[[Facts], str] = stated_ca,
    whatever_profile: bool = False,
) -> Dict[str, List[str]]:
    """Each fleet that one of these hosts belongs to: one of them, and all its members, whatever a run is limited to. They have
    profile and CA in common, or the CA C(whatever_profile); a host without a profile belongs to none."""

    def common(host: str) -> Optional[Rules]:
        variables = hostvars[host]
        profile = _profile(host, variables)
        return ("" if whatever_profile else str(profile), ca_of(variables)) if profile else None

    by_host = {host: common(host) for host in hostvars}
    first: Dict[Optional[Rules], str] = {}
    for host in hosts:
        first.setdefault(by_host[host], host)
    return {
        host: [name for name, others in by_host.items() if others == shared and name not in absent]
        for shared, host in first.items()
        if shared is not None
    }


def _profile(host: str, variables: Facts) -> Optional[str]:
    """As the inventory says it, or the playbook that imports C(harden). One that nobody knows would be of a fleet of its own, and
    nobody would wait for it."""
    profile = variables.get("smtp_harden_profile") or variables.get("smtp_profile")
    if profile and profile not in PROFILES:
        known = " or ".join(PROFILES)
        raise InvalidValue("smtp_profile", str(profile), f"is not known for {host}", f"set {known} in the inventory")
    return profile


def read_document(path: str, content: str) -> Nodes:
    """The nodes of a document; those of none where it is empty."""
    nodes: Nodes
    try:
        document = json.loads(content or f'{{"version": {VERSION}, "nodes": {{}}}}')
        version, nodes = document["version"], {str(name): {**entry} for name, entry in document["nodes"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        version, nodes = None, {}
    if isinstance(version, int) and version > VERSION:
        raise InvalidValue(
            STATE, path, "was written by a newer release of this collection", "install that release here too"
        )
    if version != VERSION:
        raise InvalidValue(
            STATE, path, "does not hold what is known of a fleet", "remove it; a run over all nodes makes it anew"
        )
    return nodes


def write_document(nodes: Nodes) -> str:
    return json.dumps({"version": VERSION, "nodes": nodes}, indent=1, sort_keys=True) + "\n"


def read_authority(pem: str) -> List[str]:
    """The fingerprints of a CA: the certificate that signs first, then those above it."""
    return [certificate_fingerprint(ca) for ca in read_certificates("smtp_fleet_ca", pem.encode())]


def read_entry(info: Facts, authorities: Iterable[str], now: datetime.datetime, pending: bool) -> Entry:
    """What M(mailfleet.smtp_hardening.smtp_tls_info) has told of a node; ``authorities`` are the CAs that it may be of, in PEM."""
    known = [read_certificates("smtp_fleet_ca", pem.encode())[0] for pem in authorities]

    def signers(side: str) -> List[str]:
        leaves = [read_certificates("chain", active["chain"].encode())[0] for active in info["active"][side]]
        return [
            certificate_fingerprint(ca) for ca in known if leaves and all(is_issued_by(leaf, ca) for leaf in leaves)
        ]

    return {
        "seen": now.strftime(_TIME),
        "shows": {side: signers(side) for side in SIDES},
        "trusts": [ca["certificate_sha256"] for ca in info["trust"]["authorities"]],
        "tls": uses_tls(info),
        "demands": demands(info["posture"]),
        "pending": pending,
    }


def uses_tls(info: Facts) -> bool:
    """Whether every service by which nodes write to one another offers STARTTLS, or uses it, and speaks the newest TLS."""
    speaks = all(NEWEST in info["protocols"][side] for side in SIDES)
    servers, clients = _between_nodes(info["posture"])
    return speaks and bool(servers) and all(values["level"] != "none" for values in (*servers, *clients))


def demands(posture: Optional[Facts]) -> List[str]:
    """What a node demands of its peers: TLS and a certificate of those that write to it, and anything of those that it writes to.
    One that cannot be judged may demand all of it."""
    servers, clients = _between_nodes(posture)
    if not servers:
        return sorted(ALL)
    found = {
        "tls": any(one["level"] == "encrypt" for one in servers),
        "certificate": any(one.get("client_certificates") == "require" or one.get("demands") for one in servers),
        "sending": any(one["level"] not in _FOR_EVERYBODY for one in clients),
    }
    return sorted(name for name, held in found.items() if held)


def _between_nodes(posture: Optional[Facts]) -> Tuple[List[Facts], List[Facts]]:
    """The servers at port 25 and the clients that mail for other hosts goes by, each with its overrides in master.cf; main.cf where
    there are none, and nobody where the node cannot be judged."""
    if posture is None:
        return [], []
    servers = [values for name, values in posture["servers"].items() if public_port(name) == SMTP]
    clients = [values for name, values in posture["clients"].items() if name in SENDERS]
    return servers or [posture["servers"]["server"]], clients or [posture["clients"]["client"]]


def demand_more(nodes: Nodes, hosts: Iterable[str], hostvars: Mapping[str, Facts]) -> List[str]:
    """Those of the hosts that may come to demand more than they do, as far as is known."""
    return [host for host in hosts if not meant(hostvars[host]).issubset(_listed(nodes.get(host, {}), "demands"))]


def meant(variables: Facts) -> FrozenSet[str]:
    """What the inventory may have a host demand that not every peer has: everything by the strict profile, and TLS by options
    beside the lenient one."""
    profile = variables.get("smtp_harden_profile") or variables.get("smtp_profile")
    if profile != LENIENT:
        return ALL if profile else frozenset()
    given = _options(variables)
    services = [(str(one.get("name")), one) for one in given["services"] or ()]
    servers = [one for name, one in services if public_port(name if "/" in name else f"{name}/inet") == SMTP]
    clients = [one for name, one in services if name in SENDERS]
    received = {_level(one) for one in (given["server"] or {}, *servers)}
    sent = {_level(one) for one in (given["client"] or {}, *clients)}
    found = {"tls": "encrypt" in received, "sending": not sent.issubset(_FOR_EVERYBODY)}
    return frozenset(name for name, held in found.items() if held)


def _options(variables: Facts) -> Facts:
    """As the inventory gives them, for the lenient role alone or for all of the collection."""
    names = (*SIDES, "services")
    return {name: variables.get(f"{LENIENT}_{name}", variables.get(f"smtp_{name}")) for name in names}


def _level(options: Facts) -> str:
    """Where none is given, the profile's."""
    return str(options.get("level") or _FOR_EVERYBODY[1]).strip().lower()


def canaries(pending: Sequence[str], hosts: Iterable[str], hostvars: Mapping[str, Facts]) -> List[str]:
    """Which of the hosts that differ go first: those that the inventory names, and where it names none, the first that it does not
    keep from that. In an INI inventory C(true) is a word."""
    wishes = {host: boolean(hostvars[host].get("smtp_canary", ""), strict=False) for host in hosts}
    if any(wishes.values()):
        return [host for host in pending if wishes[host]]
    return [host for host in pending if "smtp_canary" not in hostvars[host]][:1]


def _listed(entry: Facts, name: str) -> Sequence[str]:
    return entry.get(name) or ()


def unready(
    nodes: Nodes, names: Iterable[str], every: Iterable[str], authority: Sequence[str], oldest: datetime.datetime
) -> Dict[str, str]:
    """By name, the members of a fleet of which it is not known that they are what ``every`` one of them is to be, and why."""
    found = {name: _why_not(nodes.get(name), every, authority, oldest) for name in names}
    return {name: reason for name, reason in found.items() if reason}


def _why_not(
    entry: Optional[Facts], every: Iterable[str], authority: Sequence[str], oldest: datetime.datetime
) -> Optional[str]:
    if entry is None:
        return "no run has looked at it yet"
    try:
        seen = datetime.datetime.strptime(entry["seen"], _TIME).replace(tzinfo=datetime.timezone.utc)
        if seen < oldest:
            return f"it was seen on {seen:%Y-%m-%d} last"
        if seen > utc_now() + _AHEAD:
            return f"it was seen on {seen:%Y-%m-%d}, by a controller whose clock was wrong"
        return next((CONDITIONS[name][1] for name in every if not CONDITIONS[name][0](entry, authority)), None)
    except (KeyError, TypeError, ValueError):
        return "what is known of it cannot be read"


def _shows(entry: Facts, authority: Sequence[str]) -> bool:
    return bool(authority) and all(authority[0] in entry["shows"][side] for side in SIDES)


def _trusts(entry: Facts, authority: Sequence[str]) -> bool:
    return not set(authority).isdisjoint(entry["trusts"])


def _uses_tls(entry: Facts, _authority: Sequence[str]) -> bool:
    return bool(entry["tls"])


def _demands_nothing(entry: Facts, _authority: Sequence[str]) -> bool:
    return not entry["demands"]


CONDITIONS: Mapping[str, Tuple[Callable[[Facts, Sequence[str]], bool], str]] = {
    "shows": (_shows, "it does not show a certificate of the fleet's CA, or only when receiving or when sending"),
    "trusts": (_trusts, "it does not trust the fleet's CA"),
    "uses_tls": (_uses_tls, "it does not offer STARTTLS, or does not use it when sending, in TLS 1.3"),
    "demands_nothing": (_demands_nothing, "it demands TLS or certificates of the others"),
}
"""What every node can be asked to be, and what is said of one that is not."""
