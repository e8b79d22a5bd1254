# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From domain records to a plan for the tables that Postfix reads.

The records themselves lie beside the tables in ``records.json``: they are what the next run
compares with, and the tables follow from them.
"""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .. import _files as files
from .._errors import PostfixError
from .._model.domains import DomainPolicy, check_agreement, check_coverage
from .._model.incoming import Unlisted
from . import helpers, incoming, store
from .domain_checks import check_known, check_local, check_routes, check_unlisted, unmet
from .domain_tables import (
    SENDERS,
    SOURCES,
    TABLES,
    all_tables,
    domains_folder,
    needed_parameters,
    others,
    render,
    types_named,
)
from .levels import DANE, Parameters
from .plan import NewFile, Plan, Shown, plan_parameters
from .records import RECORDS, current_folder, read_records
from .state import State
from .tables import Table
from .tls_required import tls_required


@dataclass(frozen=True)
class DomainWish:
    """What a task asks. ``None`` for the last two: left as it is."""

    records: Tuple[DomainPolicy, ...] = ()
    absent: Tuple[str, ...] = ()
    exclusive: bool = False
    unlisted: Optional[Unlisted] = None
    sources: Optional[Tuple[str, ...]] = None
    """Maps to ask for a TLS policy where no record and no map of the operator knows the next hop."""
    tls_required_no: Optional[bool] = None
    """Whether a message may ask by its header not to be held back; ``None``: not where a record demands TLS."""
    from_nothing: bool = False
    """Whether a complete list may take the place of records that cannot be read (C(exclusive) with C(allow_weaker))."""


@dataclass(frozen=True)
class DomainPlan:
    plan: Plan
    before: Tuple[DomainPolicy, ...]
    after: Tuple[DomainPolicy, ...]
    in_force: Tuple[DomainPolicy, ...]
    """What counts today of the records after."""
    unlisted: Unlisted
    unmet: Optional[str]
    """What must be set up first: a server that asks for certificates, a CA that another task brings."""

    def expired(self, today: datetime.date) -> List[str]:
        return [record.name for record in self.after if record.has_expired(today)]

    @property
    def uses_dane(self) -> bool:
        return any(record.level in DANE for record in self.in_force)


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
    before = _read_before(folder, wish)
    after = _merge(before, wish)
    unlisted_before = incoming.read_unlisted(state)
    unlisted = unlisted_before if wish.unlisted is None else wish.unlisted
    in_force = all_in_force(after, today)
    check_coverage(after)
    check_agreement([record.in_force(today) for record in after if not record.has_expired(today)])
    check_known(state, in_force)
    check_routes(state, after, in_force)
    check_local(state, in_force)
    check_unlisted(after, unlisted)
    made = _Made(in_force, unlisted, all_tables(state, in_force, unlisted))
    used = made.used(after)
    unchanged = before == after and _is_intact(state, folder, used)
    target = None
    if used:
        target = folder if unchanged else store.next_path(domains_folder(state))
    files = tuple(_files(target, after, used)) if target is not None and not unchanged else ()
    shown = Shown("domain policies", _text(before), _text(after))
    plan = plan_parameters(
        state,
        _parameters(state, wish, made, {name: f"{state.table_type}:{target}/{name}" for name in used}),
        services=helpers.for_implicit_tls(state) if any(r.route and r.route.implicit_tls for r in after) else (),
        files=files,
        shown=(shown,) if before != after else (),
    )
    return DomainPlan(plan, before, after, in_force, unlisted, unmet(state, in_force))


def _read_before(folder: Optional[str], wish: DomainWish) -> Tuple[DomainPolicy, ...]:
    """The records on the node; where they are broken, only a complete list can take their place."""
    try:
        return read_records(folder)
    except PostfixError:
        if wish.from_nothing:
            return ()
        raise


def _merge(before: Sequence[DomainPolicy], wish: DomainWish) -> Tuple[DomainPolicy, ...]:
    gone = set(wish.absent)
    kept = {} if wish.exclusive else {record.name: record for record in before if record.name not in gone}
    kept.update((record.name, record) for record in wish.records)
    return tuple(kept[name] for name in sorted(kept))


def all_in_force(records: Iterable[DomainPolicy], today: datetime.date) -> Tuple[DomainPolicy, ...]:
    return tuple(record.in_force(today) for record in records)


def _is_intact(state: State, folder: Optional[str], used: Mapping[str, Table]) -> bool:
    """Whether the sources on the node are what the records make, no more and no less, each with its index, and main.cf names
    no other type of table than new ones get: an upgrade of Postfix may have changed that."""
    if folder is None or not files.is_folder(folder):
        return False
    entries = set(files.names(folder))
    if entries & {*TABLES, SENDERS} != set(used) or types_named(state) - {state.table_type}:
        return False
    return all(
        store.read(os.path.join(folder, name)) == render(table)
        and any(entry.startswith(f"{name}.") for entry in entries)
        for name, table in used.items()
    )


def _files(folder: str, records: Sequence[DomainPolicy], used: Mapping[str, Table]) -> Iterable[NewFile]:
    facts = json.dumps([record.as_facts() for record in records], indent=1, sort_keys=True)
    yield NewFile(os.path.join(folder, RECORDS), facts.encode() + b"\n")
    for name, table in used.items():
        yield NewFile(os.path.join(folder, name), render(table), table=True)


def _parameters(state: State, wish: DomainWish, made: _Made, named: Mapping[str, str]) -> Parameters:
    """Our tables first in each list; what an operator put beside them stays; other sources of policies last."""
    sources = state.explicit.get(SOURCES, "") if wish.sources is None else ", ".join(wish.sources)
    wanted: Parameters = {}
    for name, parameter in TABLES.items():
        default = state.defaults.get(parameter, "") if name == "requiretls" else ""
        operators = others(state, parameter)
        last = f"${SOURCES}" if name == "tls_policy" and sources else ""
        table = named.get(name)
        parts = [part for part in (table, operators or (default if table else ""), last) if part]
        value = ", ".join(parts)
        if value != state.explicit.get(parameter, ""):
            wanted[parameter] = None if value in ("", default) else value
    wanted.update(incoming.incoming_parameters(state, made.records, named.get(SENDERS), made.unlisted))
    wanted[SOURCES] = sources or None
    wanted.update(needed_parameters(state, made.records))
    wanted.update(tls_required(state, (record.level for record in made.records), wish.tls_required_no))
    return wanted


def _text(records: Iterable[DomainPolicy]) -> str:
    return "".join(f"{_line(record.as_facts())}\n" for record in records)


def _line(facts: Mapping[str, object]) -> str:
    shown = {name: value for name, value in facts.items() if value and (name, value) != ("mode", "enforce")}
    return " ".join([str(shown.pop("name")), *(f"{name}={_short(value)}" for name, value in shown.items())])


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{_short(item)}" for name, item in value.items() if item)
    return "+".join(value) if isinstance(value, list) else str(value)
