# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From domain records to the three tables that Postfix reads, and to a plan for them.

The records themselves lie beside the tables in ``records.json``: they are what the next run
compares with, and the tables follow from them.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .._errors import HardeningError, InvalidValue, PostfixError, present
from .._model.domains import DomainPolicy, check_agreement, read_domain
from .._model.levels import ClientLevel
from . import store
from .levels import Parameters, read_client
from .plan import NewFile, Plan, Shown, plan_parameters
from .ratchet import check_ratchet
from .state import State

RECORDS = "records.json"
TABLES = {"tls_policy": "smtp_tls_policy_maps", "transport": "transport_maps", "relay_domains": "relay_domains"}
"""Each table and the parameter that names it."""

Table = Dict[str, str]


@dataclass(frozen=True)
class DomainPlan:
    plan: Plan
    before: Tuple[DomainPolicy, ...]
    after: Tuple[DomainPolicy, ...]


def plan_domains(
    state: State,
    wanted: Sequence[DomainPolicy],
    absent: Sequence[str],
    exclusive: bool,
    allow_weaker: bool = False,
) -> DomainPlan:
    """Compare the wanted records with those on the node. Writes nothing."""
    folder = current_folder(state)
    before = _read_before(folder, exclusive)
    after = _merge(before, wanted, absent, exclusive)
    check_agreement(after)
    _check_reachable(state, after)
    level = present(read_client(state.effective).level)
    check_domains_ratchet(before, level, after, level, allow_weaker)
    intact = folder is not None and _is_intact(folder, before, state.table_type)
    unchanged = before == after and (intact or not after)
    target = folder if unchanged and after else (store.next_path(_domains_dir(state)) if after else None)
    files = () if unchanged or target is None else tuple(_files(target, after))
    plan = plan_parameters(
        state,
        _parameters(state, target, after),
        files=files,
        shown=(Shown("domain policies", _text(before), _text(after)),) if before != after else (),
    )
    return DomainPlan(plan, before, after)


def current_folder(state: State) -> Optional[str]:
    """The numbered folder that main.cf names."""
    for parameter in TABLES.values():
        found = re.search(_ours(state), state.explicit.get(parameter, ""))
        if found:
            return os.path.dirname(found["path"])
    return None


def read_records(folder: Optional[str]) -> Tuple[DomainPolicy, ...]:
    """The records that the tables in ``folder`` were made from."""
    if folder is None:
        return ()
    items = json.loads(store.read(os.path.join(folder, RECORDS)))
    return tuple(read_domain(f"{folder}/{RECORDS}[{index}]", item) for index, item in enumerate(items))


def _read_before(folder: Optional[str], exclusive: bool) -> Tuple[DomainPolicy, ...]:
    """The records on the node; where they are broken, only a complete list can take their place."""
    try:
        return read_records(folder)
    except (HardeningError, ValueError, KeyError):
        if exclusive:
            return ()
        raise PostfixError(
            f"{folder}/{RECORDS} cannot be read; list all domains with exclusive: true to make the tables anew."
        ) from None


def tables(records: Iterable[DomainPolicy]) -> Dict[str, Table]:
    """All that Postfix must look up for these records, by table."""
    made: Dict[str, Table] = {name: {} for name in TABLES}
    for record in records:
        if record.protection is not None:
            made["tls_policy"][record.next_hop] = record.protection
        if record.route is not None:
            made["transport"][record.name] = str(record.route)
        if record.local:
            made["relay_domains"][record.name] = "OK"
    return made


def _merge(
    before: Sequence[DomainPolicy], wanted: Sequence[DomainPolicy], absent: Sequence[str], exclusive: bool
) -> Tuple[DomainPolicy, ...]:
    kept = {} if exclusive else {record.name: record for record in before if record.name not in set(absent)}
    kept.update((record.name, record) for record in wanted)
    return tuple(kept[name] for name in sorted(kept))


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


def check_domains_ratchet(
    before: Sequence[DomainPolicy],
    level_before: ClientLevel,
    after: Sequence[DomainPolicy],
    level_after: ClientLevel,
    allow_weaker: bool,
) -> None:
    """Refuse a lower level for any domain; one without a record, or without a level there, has the client's."""
    names = [record.name for record in (*before, *after)]
    was, will = (
        {f"domain {name}.level": default for name in names}
        | {f"domain {r.name}.level": r.level or default for r in records}
        for records, default in ((before, level_before), (after, level_after))
    )
    check_ratchet(was, will, allow_weaker)


def _is_intact(folder: str, records: Iterable[DomainPolicy], kind: str) -> bool:
    """Whether the sources on the node are what the records make, and each table that is used is there."""
    if not os.path.isdir(folder):
        return False
    for name, table in tables(records).items():
        path = os.path.join(folder, name)
        if table and not (os.path.exists(path) and store.read(path) == _render(table)):
            return False
        if table and not any(entry.startswith(f"{name}.") for entry in os.listdir(folder)):
            return False
    return True


def _files(folder: str, records: Sequence[DomainPolicy]) -> Iterable[NewFile]:
    facts = json.dumps([record.as_facts() for record in records], indent=1, sort_keys=True)
    yield NewFile(os.path.join(folder, RECORDS), facts.encode() + b"\n")
    for name, table in tables(records).items():
        if table:
            yield NewFile(os.path.join(folder, name), _render(table), table=True)


def _render(table: Mapping[str, str]) -> bytes:
    head = "# Made by mailfleet.smtp_hardening.smtp_domain_policy; changes made here are undone by its next run.\n"
    return (head + "".join(f"{key}\t{value}\n" for key, value in sorted(table.items()))).encode()


def parse_table(content: bytes) -> Table:
    """The entries of a table that this file rendered."""
    rows = (line.partition("\t") for line in content.decode().splitlines() if not line.startswith("#"))
    return {key: value for key, _tab, value in rows}


def _parameters(state: State, folder: Optional[str], records: Sequence[DomainPolicy]) -> Parameters:
    """Our tables first in each list; what an operator put beside them stays."""
    made = tables(records)
    wanted: Parameters = {}
    for name, parameter in TABLES.items():
        others = _without_ours(state, state.explicit.get(parameter, ""))
        ours = f"{state.table_type}:{os.path.join(folder, name)}" if folder and made[name] else ""
        if ours or re.search(_ours(state), state.explicit.get(parameter, "")):
            wanted[parameter] = ", ".join(part for part in (ours, others) if part) or None
    return wanted


def _ours(state: State) -> str:
    return rf"[a-z]+:(?P<path>{re.escape(_domains_dir(state))}/\d+/\w+)"


def _without_ours(state: State, value: str) -> str:
    return re.sub(_ours(state) + r"[,\s]*", "", value).strip(" ,")


def _domains_dir(state: State) -> str:
    return os.path.join(state.store, "domains")


def _text(records: Iterable[DomainPolicy]) -> str:
    return "".join(f"{_line(record.as_facts())}\n" for record in records)


def _line(facts: Mapping[str, Any]) -> str:
    words: List[str] = [facts["name"]]
    words.extend(
        f"{key}={','.join(value) if isinstance(value, list) else value}"
        for key, value in facts.items()
        if value and key != "name"
    )
    return " ".join(words)
