# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entries of lookup tables that are secrets: checked, and repeated in no error."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Mapping, Optional, Tuple

from .._edge import Options
from .._errors import InvalidValue

KNOWN = ("smtp_sasl_password_maps",)


def read_secrets(given: Optional[Options]) -> Dict[str, Dict[str, str]]:
    """The option ``secrets``: entries by the parameter that names their table. No value is ever repeated in an error."""
    return {_known(name): dict(_entries(name, entries or {})) for name, entries in (given or {}).items()}


def _known(name: str) -> str:
    if name not in KNOWN:
        raise InvalidValue("secrets", name, "is no table of secrets", f"use {', '.join(KNOWN)}")
    return name


def _entries(name: str, entries: object) -> Iterator[Tuple[str, str]]:
    option = f"secrets.{name}"
    if not isinstance(entries, Mapping):
        raise InvalidValue(option, "(not shown)", "is no list of entries", "give keys with their values")
    for key, value in entries.items():
        if not re.match(r"[^\s#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*\Z", str(key)):
            raise InvalidValue(
                option,
                "(not shown)",
                "is a key that cannot be looked up",
                "write the key without blanks, as in postmap(1)",
            )
        if isinstance(value, (bool, float, list, tuple, Mapping)):
            raise InvalidValue(f"{option}.{key}", "(not shown)", "is no text", "put the secret in quotes")
        text = "" if value is None else str(value)
        if text != text.strip() or len(text.splitlines()) != 1 or re.search(r"[\x00-\x1f\x7f]", text):
            raise InvalidValue(
                f"{option}.{key}",
                "(not shown)",
                "is empty, begins or ends with a blank, or holds a control character, which no table can hold (postmap(1))",
                "choose another secret",
            )
        yield str(key), text
