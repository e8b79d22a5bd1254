# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text of strangers on a person's terminal: what would move, hide or reorder it is shown as an escape."""

from __future__ import annotations

import re
from typing import Callable, Mapping, Match

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for newline and tab; those that break or turn lines (Unicode TR9); halves of surrogate pairs."""


Change = Callable[[str], str]


def shown(text: str) -> str:
    """``text`` as a terminal may have it."""
    return text if text.isprintable() else _UNSEEN.sub(_escape, text)


def in_each_text(value: object, change: Change, change_name: Change) -> object:
    """What a module returns with each of its texts changed, and the names of values in their own way."""

    def changed(item: object) -> object:
        if isinstance(item, str):
            return change(item)
        if isinstance(item, Mapping):
            return {change_name(str(name)): changed(within) for name, within in item.items()}
        if isinstance(item, (list, tuple)):
            return [changed(within) for within in item]
        return item

    return changed(value)


def all_shown(value: object) -> object:
    return in_each_text(value, shown, shown)


def _escape(found: Match[str]) -> str:
    code = ord(found[0])
    short = {0x0C: r"\f", 0x0D: r"\r"}
    return short.get(code, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
