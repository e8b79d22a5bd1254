# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From domain records to the tables that Postfix reads, and to a plan for them.

The records themselves lie beside the tables in ``records.json``: they are what the next run
compares with, and the tables follow from them.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .._errors import HardeningError, InvalidValue, PostfixError, present
from .._model.domains import DomainPolicy, check_agreement, check_coverage, read_domain
from .._model.incoming import Demand, Unlisted
from .._model.levels import ClientCertificates, ClientLevel, ServerLevel
from .._model.policies import ServerPolicy
from . import incoming, store
from .commands import Postfix
from .levels import DANE, DANE_PARAMETERS, Parameters, protocol_list, read_client, read_server
from .plan import NewFile, Plan, Shown, plan_parameters
from .ratchet import check_ratchet
from .state import State, split_list
from .tables import Table, parse_table, render_table

RECORDS = "records.json"
TABLES = {
    "tls_policy": "smtp_tls_policy_maps",
    "transport": "transport_maps",
    "relay_domains": "relay_domains",
    "requiretls": "smtp_requiretls_policy",
}
"""Each table and the parameter that names it."""
REQUIRETLS_SINCE = (3, 11)
"""RELEASE_NOTES of Postfix 3.11."""
SOURCES = "smtp_hardening_policy_sources"
"""A parameter of our own, which smtp_tls_policy_maps ends with: so they can be told from an operator's maps."""
SENDERS = "senders"
"""The access table, which smtpd_sender_restrictions names: see incoming.py."""
PARENTS = "parent_domain_matches_subdomains"

_INDEXES = (".cdb", ".db", ".dir", ".lmdb")
_INDEXED = ("btree", "cdb", "dbm", "hash", "lmdb", "sdbm", "texthash")


@dataclass(frozen=True)
class DomainWish:
    """What a task asks. ``None`` for the last two: left as it is."""

    records: Tuple[DomainPolicy, ...] = ()
    absent: Tuple[str, ...] = ()
    exclusive: bool = False
    unlisted: Optional[Unlisted] = None
    sources: Optional[Tuple[str, ...]] = None
    """Maps to ask for a TLS policy where no record and no map of the operator knows the next hop."""
    allow_weaker: bool = False


@dataclass(frozen=True)
class DomainPlan:
    plan: Plan
    before: Tuple[DomainPolicy, ...]
    after: Tuple[DomainPolicy, ...]
    unlisted: Unlisted
    unmet: Optional[str]
    """What must be set up first: a server that asks for certificates, a CA that another task brings."""

    def expired(self, today: datetime.date) -> List[str]:
        return [record.name for record in self.after if record.has_expired(today)]

    def uses_dane(self, today: datetime.date) -> bool:
        return any(record.level in DANE for record in all_in_force(self.after, today))


class _Made(NamedTuple):
    """What is to hold."""

    records: Tuple[DomainPolicy, ...]
    """In force today."""
    unlisted: Unlisted
    tables: Mapping[str, Table]

    def used(self, kept: Sequence[DomainPolicy]) -> Dict[str, Table]:
        """The tables that main.cf names: those with an entry, or one without where only that tells where the records lie."""
        found = {name: table for name, table in self.tables.items() if table}
        return found or ({"tls_policy": {}} if kept else {})


def plan_domains(state: State, wish: DomainWish, today: datetime.date) -> DomainPlan:
    """Compare the wanted records with those on the node. Writes nothing."""
    folder = current_folder(state)
    before = _read_before(folder, wish.exclusive)
    after = _merge(before, wish)
    unlisted_before = incoming.read_unlisted(state)
    unlisted = unlisted_before if wish.unlisted is None else wish.unlisted
    in_force = all_in_force(after, today)
    check_coverage(after)
    check_agreement([record.in_force(today) for record in after if not record.has_expired(today)])
    _check_known(state, in_force)
    _check_ratchet(state, all_in_force(before, today), in_force, (unlisted_before, unlisted), wish.allow_weaker)
    made = _Made(in_force, unlisted, _tables(state, in_force, unlisted))
    used = made.used(after)
    unchanged = before == after and (not used or _is_intact(folder, used))
    target = None
    if used:
        target = folder if unchanged else store.next_path(_domains_dir(state))
    files = tuple(_files(target, after, used)) if target is not None and not unchanged else ()
    shown = Shown("domain policies", _text(before), _text(after))
    plan = plan_parameters(
        state,
        _parameters(state, wish, made, {name: f"{state.table_type}:{target}/{name}" for name in used}),
        files=files,
        shown=(shown,) if before != after else (),
    )
    return DomainPlan(plan, before, after, unlisted, _unmet(state, in_force))


def current_folder(state: State) -> Optional[str]:
    """The numbered folder that main.cf names."""
    for parameter in (*TABLES.values(), incoming.RESTRICTIONS):
        found = re.search(_ours(state), state.explicit.get(parameter, ""))
        if found:
            return os.path.dirname(found["path"])
    return None


def read_records(folder: Optional[str]) -> Tuple[DomainPolicy, ...]:
    """The records that the tables in ``folder`` were made from."""
    if folder is None:
        return ()
    path = os.path.join(folder, RECORDS)
    try:
        return tuple(read_domain(f"{path}[{index}]", item) for index, item in enumerate(json.loads(store.read(path))))
    except (HardeningError, ValueError, KeyError, TypeError, AttributeError):
        raise PostfixError(f"{path} cannot be read.") from None


def _read_before(folder: Optional[str], exclusive: bool) -> Tuple[DomainPolicy, ...]:
    """The records on the node; where they are broken, only a complete list can take their place."""
    try:
        return read_records(folder)
    except PostfixError as problem:
        if exclusive:
            return ()
        raise PostfixError(f"{problem} List all domains with exclusive: true to make the tables anew.") from None


def _merge(before: Sequence[DomainPolicy], wish: DomainWish) -> Tuple[DomainPolicy, ...]:
    gone = set(wish.absent)
    kept = {} if wish.exclusive else {record.name: record for record in before if record.name not in gone}
    kept.update((record.name, record) for record in wish.records)
    return tuple(kept[name] for name in sorted(kept))


def all_in_force(records: Iterable[DomainPolicy], today: datetime.date) -> Tuple[DomainPolicy, ...]:
    return tuple(record.in_force(today) for record in records)


# From records to tables.


def _tables(state: State, records: Sequence[DomainPolicy], unlisted: Unlisted) -> Dict[str, Table]:
    made = tables(records, state.version, relay_parents=_relay_parents(state, records))
    made[SENDERS] = incoming.senders(records, unlisted, incoming.parents_match(state))
    return made


def tables(records: Iterable[DomainPolicy], version: Tuple[int, int], relay_parents: bool = False) -> Dict[str, Table]:
    """All that Postfix must look up for these records when it sends or relays, by table."""
    made: Dict[str, Table] = {name: {} for name in TABLES}
    for record in records:
        if record.level is not None:
            made["tls_policy"].update(dict.fromkeys(record.next_hops, _policy(record, version)))
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
    return " ".join(parts)


def _relay_parents(state: State, records: Iterable[DomainPolicy]) -> bool:
    """Whether a domain in relay_domains will stand for the names below it, as it does by default.

    Where a record means its domain alone, that default has to go, unless somebody else relies on it.
    """
    if "relay_domains" not in split_list(state.effective[PARENTS]):
        return False
    alone = [record.name for record in records if record.local and not record.subdomains]
    if alone and _others(state, "relay_domains"):
        raise InvalidValue(
            "domains",
            alone[0],
            "is to be local without the names below it, while main.cf lists other relay_domains that may rely on "
            f"{PARENTS}",
            "set subdomains: true, or take relay_domains out of that parameter yourself (postconf(5))",
        )
    return not alone


# What is wrong with them.


def _check_known(state: State, records: Iterable[DomainPolicy]) -> None:
    """Refuse what this version of Postfix does not know."""
    for record in records:
        if record.requiretls is not None and state.version < REQUIRETLS_SINCE:
            raise InvalidValue(
                "domains",
                record.name,
                f"has requiretls, which Postfix {state.effective['mail_version']} does not know",
                "leave it out below Postfix 3.11",
            )


def _unmet(state: State, records: Sequence[DomainPolicy]) -> Optional[str]:
    """The first sentence about what Postfix, as it is set up, could not honour or would hold mail back for."""
    try:
        _check_setup(state, records)
    except InvalidValue as problem:
        return str(problem)
    return None


def _check_setup(state: State, records: Sequence[DomainPolicy]) -> None:
    _check_reachable(state, records)
    server = read_server(state.effective)
    for record in records:
        level = record.level
        if level and level.trusts_a_ca and not _knows_a_ca(state, "smtp"):
            raise InvalidValue(
                "domains",
                record.name,
                f"has level {level}, but smtp_tls_CAfile names no CA, so all its mail would be deferred",
                "set client.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert",
            )
        _check_demand(state, record, server)


def _knows_a_ca(state: State, side: str) -> bool:
    return _has_ca(state, side) or os.path.exists(store.trust_file(state))


def _has_ca(state: State, side: str) -> bool:
    """Whether main.cf says with which CAs one side verifies certificates."""
    return bool(state.effective.get(f"{side}_tls_CAfile") or state.effective.get(f"{side}_tls_CApath"))


def _trust(state: State, side: str) -> Parameters:
    """The store's CAs, where main.cf names none."""
    return {} if _has_ca(state, side) else {f"{side}_tls_CAfile": store.trust_file(state)}


def _check_demand(state: State, record: DomainPolicy, server: ServerPolicy) -> None:
    demand = record.incoming.demand if record.incoming else Demand.NOTHING
    if demand is not Demand.NOTHING and server.level is ServerLevel.NONE:
        raise InvalidValue(
            "domains",
            record.name,
            f"demands {demand} of incoming mail, but the server offers no STARTTLS",
            "set server.level: may of smtp_tls_mode first",
        )
    if demand in (Demand.CERTIFICATE, Demand.PINS) and server.client_certificates is ClientCertificates.IGNORE:
        raise InvalidValue(
            "domains",
            record.name,
            "demands a client certificate, but the server asks nobody for one",
            "set server.client_certificates: request of smtp_tls_mode first",
        )
    if demand is Demand.CERTIFICATE and not _knows_a_ca(state, "smtpd"):
        raise InvalidValue(
            "domains",
            record.name,
            "demands a client certificate of a trusted CA, but smtpd_tls_CAfile names none",
            "set server.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert",
        )


def check_demands_can_be_met(state: State, option: str, level: Any, certificates: Any) -> None:
    """Refuse to offer no TLS, or to stop asking for client certificates, while domains' records demand them."""
    demands = incoming.demands(state)
    for name, value, lost in (
        ("level", level, demands if level is not None and level.value == "none" else set()),
        (
            "client_certificates",
            certificates,
            demands - {Demand.ENCRYPT} if certificates is ClientCertificates.IGNORE else set(),
        ),
    ):
        if lost:
            raise InvalidValue(
                f"{option}.{name}",
                value.value,
                f"would refuse all mail from domains whose records demand {' or '.join(sorted(lost))}",
                "leave it on, or take incoming out of these records first (smtp_domain_policy)",
            )


def _check_reachable(state: State, records: Iterable[DomainPolicy]) -> None:
    """A level without a route is looked up by the domain, which a relayhost hides (transport(5))."""
    relayhost = state.effective.get("relayhost", "")
    hidden = [r.name for r in records if relayhost and r.level is not None and r.route is None]
    if hidden:
        raise InvalidValue(
            "domains",
            hidden[0],
            f"has a level but no route, while relayhost = {relayhost} takes all mail, so its level would never be looked up",
            "give the domain a route, or set the level for the smarthost",
        )


def check_shadowed(postfix: Postfix, state: State, domains: DomainPlan) -> None:
    """Refuse a key that an operator's own table answers in another way.

    Ours, which stands first, would hide it; and where that table routes a domain, a level of ours that is looked up by
    the domain would never be.
    """
    if not domains.plan.changed:
        return
    for new in domains.plan.files:
        parameter = TABLES.get(os.path.basename(new.path))
        if parameter in ("smtp_tls_policy_maps", "transport_maps"):
            ours = parse_table(new.content)
            _refuse(
                (key, f"has an entry in {table} too, which says something else")
                for table, key, value in _answers(postfix, state, parameter, list(ours))
                if value != ours[key]
            )
    by_name = [name for record in domains.after if record.level and not record.route for name in record.names]
    _refuse(
        (key, f"has a level but no route, while {table} routes it ({value}), so its level would never be looked up")
        for table, key, value in _answers(postfix, state, "transport_maps", by_name)
        if value.partition(":")[2]
    )


def _refuse(found: Iterator[Tuple[str, str]]) -> None:
    for key, problem in found:
        raise InvalidValue("domains", key, problem, "take it out")


def _answers(postfix: Postfix, state: State, parameter: str, keys: Sequence[str]) -> Iterator[Tuple[str, str, str]]:
    """What an operator's own tables, as far as they are files of this node, answer: (table, key, value)."""
    for item in split_list(re.sub(_ours(state), "", state.effective.get(parameter, ""))):
        kind, _colon, path = item.replace("proxy:", "", 1).partition(":")
        if kind in _INDEXED and any(map(os.path.exists, (path, *(f"{path}{suffix}" for suffix in _INDEXES)))):
            yield from ((item, key, value) for key, value in postfix.ask_table(path, kind, keys))


def check_domains_ratchet(
    before: Sequence[DomainPolicy],
    level_before: ClientLevel,
    after: Sequence[DomainPolicy],
    level_after: ClientLevel,
    allow_weaker: bool,
) -> None:
    """Refuse a lower level for any domain; one without a record, or without a level there, has the client's."""
    names = [name for record in (*before, *after) for name in record.names]
    was, will = (
        {key: value for name in names for key, value in _protections(name, None, default).items()}
        | {key: value for r in records for name in r.names for key, value in _protections(name, r, default).items()}
        for records, default in ((before, level_before), (after, level_after))
    )
    check_ratchet(was, will, allow_weaker)


def _protections(name: str, record: Optional[DomainPolicy], default: ClientLevel) -> Dict[str, Any]:
    """What protects mail to and from a domain, by a name that a person can look up."""
    return {
        f"domain {name}.level": (record and record.level) or default,
        f"domain {name}.minimum_protocol": record and record.minimum_protocol,
        f"domain {name}.incoming": record.demand if record else Demand.NOTHING,
    }


def _check_ratchet(
    state: State,
    before: Sequence[DomainPolicy],
    after: Sequence[DomainPolicy],
    unlisted: Tuple[Unlisted, Unlisted],
    allow_weaker: bool,
) -> None:
    level = present(read_client(state.effective).level)
    check_domains_ratchet(before, level, after, level, allow_weaker)
    check_ratchet({"unlisted_senders": unlisted[0]}, {"unlisted_senders": unlisted[1]}, allow_weaker)


# Files and parameters.


def _is_intact(folder: Optional[str], used: Mapping[str, Table]) -> bool:
    """Whether the sources on the node are what the records make, no more and no less, each with its index."""
    if folder is None or not os.path.isdir(folder):
        return False
    entries = set(os.listdir(folder))
    if entries & {*TABLES, SENDERS} != set(used):
        return False
    return all(
        store.read(os.path.join(folder, name)) == _render(table)
        and any(entry.startswith(f"{name}.") for entry in entries)
        for name, table in used.items()
    )


def _files(folder: str, records: Sequence[DomainPolicy], used: Mapping[str, Table]) -> Iterable[NewFile]:
    facts = json.dumps([record.as_facts() for record in records], indent=1, sort_keys=True)
    yield NewFile(os.path.join(folder, RECORDS), facts.encode() + b"\n")
    for name, table in used.items():
        yield NewFile(os.path.join(folder, name), _render(table), table=True)


def _render(table: Table) -> bytes:
    return render_table("smtp_domain_policy", table)


def _parameters(state: State, wish: DomainWish, made: _Made, named: Mapping[str, str]) -> Parameters:
    """Our tables first in each list; what an operator put beside them stays; other sources of policies last."""
    sources = state.explicit.get(SOURCES, "") if wish.sources is None else ", ".join(wish.sources)
    wanted: Parameters = {}
    for name, parameter in TABLES.items():
        default = state.defaults.get(parameter, "") if name == "requiretls" else ""
        others = _others(state, parameter)
        last = f"${SOURCES}" if name == "tls_policy" and sources else ""
        ours = named.get(name)
        parts = [part for part in (ours, others or (default if ours else ""), last) if part]
        value = ", ".join(parts)
        if value != state.explicit.get(parameter, ""):
            wanted[parameter] = None if value == default else value
    wanted.update(incoming.incoming_parameters(state, made.records, named.get(SENDERS), made.unlisted))
    wanted[SOURCES] = sources or None
    wanted.update(_needed(state, made.records))
    return wanted


def _needed(state: State, records: Sequence[DomainPolicy]) -> Parameters:
    """Parameters without which the records would not mean what they say."""
    levels = {record.level for record in records}
    wanted: Parameters = dict(DANE_PARAMETERS) if levels & set(DANE) else {}
    if ClientLevel.FINGERPRINT in levels:
        wanted["smtp_tls_fingerprint_digest"] = "sha256"
    if any(level and level.trusts_a_ca for level in levels):
        wanted.update(_trust(state, "smtp"))
    if any(record.incoming and record.incoming.demand is Demand.CERTIFICATE for record in records):
        wanted.update(_trust(state, "smtpd"))
    parents = split_list(state.effective[PARENTS])
    if "relay_domains" in parents and not _relay_parents(state, records):
        wanted[PARENTS] = ", ".join(name for name in parents if name != "relay_domains")
    return wanted


def _others(state: State, parameter: str) -> str:
    """What an operator put into a list beside our table."""
    return re.sub(rf"({_ours(state)}|\${SOURCES}\b)[,\s]*", "", state.explicit.get(parameter, "")).strip(" ,")


def _ours(state: State) -> str:
    return rf"[a-z]+:(?P<path>{re.escape(_domains_dir(state))}/\d+/\w+)"


def _domains_dir(state: State) -> str:
    return os.path.join(state.store, "domains")


def _text(records: Iterable[DomainPolicy]) -> str:
    return "".join(f"{_line(record.as_facts())}\n" for record in records)


def _line(facts: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in facts.items() if value and (name, value) != ("mode", "enforce")}
    return " ".join([shown.pop("name"), *(f"{name}={_short(value)}" for name, value in shown.items())])


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{_short(item)}" for name, item in value.items() if item)
    return "+".join(value) if isinstance(value, list) else str(value)
