# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source of an indexed table, as postmap(1) reads it, and back."""

from __future__ import annotations

from typing import Dict, Mapping

from .._bytes import to_bytes, to_text

Table = Dict[str, str]


def render_table(module: str, entries: Mapping[str, str]) -> bytes:
    head = f"# Made by mailfleet.smtp_hardening.{module}; changes made here are undone by its next run.\n"
    return to_bytes(head + "".join(f"{key}\t{value}\n" for key, value in sorted(entries.items())))


def parse_table(content: bytes) -> Table:
    """The entries of a table that ``render_table`` made."""
    rows = (line.partition("\t") for line in to_text(content).split("\n") if line and not line.startswith("#"))
    return {key: value for key, _tab, value in rows}
