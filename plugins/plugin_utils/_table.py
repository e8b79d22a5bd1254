# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plain text tables for the terminal."""

from __future__ import annotations

from typing import List, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.shown import shown


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """``rows`` under ``head``, columns as wide as their widest cell. What strangers wrote is escaped."""
    cells = [[shown(cell) for cell in row] for row in rows]
    lines: List[Sequence[str]] = [head, *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(line, widths) for line in [head, rule, *cells])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()
