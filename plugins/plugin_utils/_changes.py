# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run changes on a node, or would: value by value, inside records too."""

from __future__ import annotations

from typing import Iterator, List, Mapping, NamedTuple, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES


class Change(NamedTuple):
    """What differs. Lists stay lists."""

    what: str
    before: object
    after: object
    values: int = 1
    """How many values that are: of a list of records, how many come and go; 0 for what only follows."""


def changes(variables: Facts) -> List[Change]:
    """Of one node, by what its profile's role registered."""
    found: List[Change] = []
    for role in PROFILES:
        found += _policies(variables.get(f"{role}_mode") or {})
        found += _domains(variables.get(f"{role}_domain_policy") or {})
    return found


def certificate_changes(variables: Facts) -> List[Change]:
    """Certificates come before the rest: they are no part of what waits for the canary."""
    results = [variables.get(f"{role}_certificate_result") or {} for role in PROFILES]
    return [
        Change("certificate", None, result.get("reason") or "active")
        for result in results
        if result.get("changed") and not result.get("failed")
    ]


def told(what: str, before: object, after: object) -> Tuple[str, str, str]:
    """A change as people read it. Of parameters behind the same values only the names are told: there is nothing before."""
    return what, "" if what == "parameters" else word(before), word(after)


def word(value: object) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {word(one)}" for name, one in value.items() if one not in (None, [], "")) or "-"
    if isinstance(value, list):
        return ", ".join(map(word, value)) or "-"
    return "-" if value is None else str(value) or "-"


def _policies(mode: Facts) -> Iterator[Change]:
    if not mode.get("changed") or "after" not in mode:
        return
    rows = [
        Change(f"{side}.{name}", mode["before"][side][name], value)
        for side, values in mode["after"].items()
        for name, value in values.items()
        if mode["before"][side][name] != value
    ]
    rows.extend(_next_hops(mode))
    pending = mode.get("pending") or {}
    yield from rows or [Change("parameters", None, [*pending.get("set", ()), *pending.get("unset", ())])]


def _next_hops(result: Facts) -> Iterator[Change]:
    """Those for which mail would wait: who is to hold them up should know before the first node changes."""
    for hop in result.get("next_hops") or ():
        if not hop["delivered"]:
            yield Change(f"mail for {hop['next_hop']} ({hop['by']})", "sent", f"waits: {hop['reason']}", 0)


def _domains(result: Facts) -> Iterator[Change]:
    if not result.get("changed") or "after" not in result:
        return
    before, after = ({record["name"]: record for record in result[side]} for side in ("before", "after"))
    gone, new = ([name for name in one if name not in other] for one, other in ((before, after), (after, before)))
    if gone or new:
        yield Change("domains", gone, new, len(gone) + len(new))
    inside = [one for name in after if name in before for one in _inside(before[name], after[name])]
    yield from inside
    yield from _next_hops(result)
    pending = result.get("pending") or {}
    if not (gone or new or inside):
        yield Change("parameters", None, [*pending.get("set", ()), *pending.get("unset", ())])


def _inside(before: Facts, after: Facts) -> Iterator[Change]:
    for name, value in after.items():
        if before.get(name) != value:
            yield Change(f"{after['name']}: {name}", before.get(name), value)
