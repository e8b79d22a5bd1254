# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states that nodes remember, as a table for people."""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._table import table

HEAD = ["node", "state", "time", "proven", "by", "summary"]
WIDTH = 100
"""Longer summaries are cut: the whole one is in the node's history."""


def history_table(hosts: Sequence[str], hostvars: Mapping[str, Facts]) -> str:
    """One row a state, oldest first; a sentence where no node remembers any."""
    rows = [
        [
            host,
            str(state["number"]),
            state["time"],
            "yes" if state["proven"] else "no",
            state["task"] or state["module"],
            _cut(state["summary"]),
        ]
        for host in hosts
        for state in hostvars[host].get("smtp_rollback_info", {}).get("history", [])
    ]
    return table(HEAD, rows) if rows else "No node remembers a state: nothing has been changed yet."


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_history_table": history_table}
