# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run would change on each node, as a table for people."""

from __future__ import annotations

from typing import List, Mapping, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._table import table

HEAD = ["node", "what", "before", "after"]


def pending_table(hosts: Sequence[str], hostvars: Mapping[str, Facts]) -> str:
    """One row a value that differs; a sentence where none does."""
    rows: List[List[str]] = []
    for host in hosts:
        for role in PROFILES:
            rows.extend([host, *row] for row in _policies(hostvars[host].get(f"{role}_mode", {})))
            rows.extend([host, *row] for row in _domains(hostvars[host].get(f"{role}_domain_policy", {})))
    return table(HEAD, rows) if rows else "Nothing differs: every node is as its profile says."


def _policies(mode: Facts) -> List[List[str]]:
    if not mode.get("changed"):
        return []
    rows = []
    for side, values in mode["after"].items():
        for name, value in values.items():
            before = mode["before"][side][name]
            if before != value:
                rows.append([f"{side}.{name}", _word(before), _word(value)])
    rows.extend(_next_hops(mode))
    return rows or [["parameters", "", ", ".join([*mode["pending"]["set"], *mode["pending"]["unset"]])]]


def _next_hops(result: Facts) -> List[List[str]]:
    """Those for which mail would wait: who is to hold them up should know before the first node changes."""
    cut_off = [hop for hop in result.get("next_hops", ()) if not hop["delivered"]]
    return [[f"mail for {hop['next_hop']} ({hop['by']})", "sent", f"waits: {hop['reason']}"] for hop in cut_off]


def _domains(result: Facts) -> List[List[str]]:
    if not result.get("changed"):
        return []
    before, after = ([record["name"] for record in result[side]] for side in ("before", "after"))
    return [["domains", _word(before), _word(after)], *_next_hops(result)]


def _word(value: object) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value)) or "-"


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_pending_table": pending_table}
