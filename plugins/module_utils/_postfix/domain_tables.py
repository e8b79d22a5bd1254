# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Postfix looks up for domain records: the tables, their places in main.cf, and the parameters that they need."""

from __future__ import annotations

import os
import re
from typing import Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

from .. import _files as files
from .._errors import present
from .._model.domains import DomainPolicy
from .._model.incoming import Demand, Unlisted
from .._model.levels import ClientLevel
from . import incoming, store
from .levels import DANE, DANE_PARAMETERS, Parameters, protocol_list
from .state import State, split_list, without
from .tables import Table, render_table

TABLES = {
    "tls_policy": "smtp_tls_policy_maps",
    "lmtp_policy": "lmtp_tls_policy_maps",
    "transport": "transport_maps",
    "relay_domains": "relay_domains",
    "requiretls": "smtp_requiretls_policy",
}
"""Each table and the parameter that names it."""
SOURCES = "smtp_hardening_policy_sources"
"""A parameter of our own, which smtp_tls_policy_maps ends with: so they can be told from an operator's maps."""
SENDERS = "senders"
"""The access table, which smtpd_sender_restrictions names: see incoming.py."""
PARENTS = "parent_domain_matches_subdomains"


def others(state: State, parameter: str) -> str:
    """What an operator put into a list beside our table."""
    return without(state.explicit.get(parameter, ""), rf"{ours(state)}|\${SOURCES}\b")


def types_named(state: State) -> Set[str]:
    """The types of our tables, as main.cf names them."""
    return {
        found["type"]
        for parameter in (*TABLES.values(), incoming.RESTRICTIONS)
        for found in re.finditer(ours(state), state.explicit.get(parameter, ""))
    }


def ours(state: State) -> str:
    return rf"(?P<type>[a-z]+):(?P<path>{re.escape(domains_folder(state))}/\d+/\w+)"


def domains_folder(state: State) -> str:
    return os.path.join(state.store, "domains")


def all_tables(state: State, records: Sequence[DomainPolicy], unlisted: Unlisted) -> Dict[str, Table]:
    made = tables(
        records, state.version, relay_parents=relay_parents_match(state, records), lmtp=lmtp_transports(state)
    )
    made[SENDERS] = incoming.senders(records, unlisted, incoming.parents_match(state))
    return made


def lmtp_transports(state: State) -> FrozenSet[str]:
    """Services that speak LMTP, whose policies stand in a table of their own (postconf(5), lmtp_tls_policy_maps)."""
    return frozenset(service.name for service in state.senders if service.command == "lmtp")


def goes_by_lmtp(record: DomainPolicy, lmtp: FrozenSet[str]) -> bool:
    return record.route is not None and record.route.transport in lmtp


def tables(
    records: Iterable[DomainPolicy],
    version: Tuple[int, int],
    relay_parents: bool = False,
    lmtp: FrozenSet[str] = frozenset(),
) -> Dict[str, Table]:
    """All that Postfix must look up for these records when it sends or relays, by table."""
    made: Dict[str, Table] = {name: {} for name in TABLES}
    for record in records:
        if record.level is not None:
            policies = made["lmtp_policy" if goes_by_lmtp(record, lmtp) else "tls_policy"]
            policies.update(dict.fromkeys(record.next_hops, _policy(record, version)))
        if record.requiretls is not None:
            made["requiretls"].update(dict.fromkeys(record.destinations, record.requiretls.value))
        if record.route is not None:
            made["transport"].update(dict.fromkeys(record.names, str(record.route)))
        if record.local:
            names = (record.name,) if relay_parents else record.names
            made["relay_domains"].update(dict.fromkeys(names, "OK"))
    return made


def _policy(record: DomainPolicy, version: Tuple[int, int]) -> str:
    """The right side of smtp_tls_policy_maps; in a list of protocols it takes colons alone (postconf(5))."""
    parts = [present(record.level).value, *(f"match={name}" for name in record.match)]
    if record.minimum_protocol is not None:
        parts.append(f"protocols={protocol_list(record.minimum_protocol, version).replace(', ', ':')}")
    if record.ciphers is not None:
        parts.append(f"ciphers={record.ciphers}")
    if record.servername is not None:
        parts.append(f"servername={record.servername}")
    return " ".join(parts)


def relay_parents_match(state: State, records: Iterable[DomainPolicy]) -> bool:
    """Whether a domain in relay_domains will stand for the names below it, as it does by default.

    Where a record means its domain alone, that default has to go.
    """
    return "relay_domains" in split_list(state.effective[PARENTS]) and not alone(records)


def alone(records: Iterable[DomainPolicy]) -> List[str]:
    """The local domains whose subdomains are not."""
    return [record.name for record in records if record.local and not record.subdomains]


def render(table: Table) -> bytes:
    return render_table("smtp_domain_policy", table)


def needed_parameters(state: State, records: Sequence[DomainPolicy]) -> Parameters:
    """Parameters without which the records would not mean what they say."""
    lmtp = lmtp_transports(state)
    by_lmtp = [record for record in records if goes_by_lmtp(record, lmtp)]
    wanted = _client_parameters(state, "smtp", {record.level for record in records if record not in by_lmtp})
    wanted.update(_client_parameters(state, "lmtp", {record.level for record in by_lmtp}))
    if any(record.incoming and record.incoming.demand is Demand.CERTIFICATE for record in records):
        wanted.update(_trust(state, "smtpd"))
    parents = split_list(state.effective[PARENTS])
    if "relay_domains" in parents and alone(records):
        wanted[PARENTS] = ", ".join(name for name in parents if name != "relay_domains")
    return wanted


def _client_parameters(state: State, side: str, levels: Set[Optional[ClientLevel]]) -> Parameters:
    wanted: Parameters = dict(DANE_PARAMETERS) if levels & set(DANE) else {}
    if ClientLevel.FINGERPRINT in levels:
        wanted[f"{side}_tls_fingerprint_digest"] = "sha256"
    if any(level and level.trusts_a_ca for level in levels):
        wanted.update(_trust(state, side))
    return wanted


def knows_a_ca(state: State, side: str) -> bool:
    return _has_ca(state, side) or files.exists(store.trust_file(state))


def _has_ca(state: State, side: str) -> bool:
    """Whether main.cf says with which CAs one side verifies certificates."""
    return bool(state.effective.get(f"{side}_tls_CAfile") or state.effective.get(f"{side}_tls_CApath"))


def _trust(state: State, side: str) -> Parameters:
    """The store's CAs, where main.cf names none."""
    return {} if _has_ca(state, side) else {f"{side}_tls_CAfile": store.trust_file(state)}
