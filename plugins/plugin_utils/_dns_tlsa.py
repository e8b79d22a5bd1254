# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which published TLSA records senders look at, and which of them say the same (RFC 6698 section 2.1, RFC 7671)."""

from __future__ import annotations

import hashlib
from typing import Dict, FrozenSet, Iterable, Tuple

_VERBATIM, _SHA256, _SHA512 = "0", "1", "2"
"""Matching types, the stronger digest last."""


def said(value: str) -> str:
    """The record by SHA-256 where it holds the thing itself: C(3 1 0) of a key says what C(3 1 1) says."""
    usage, selector, matching, data = value.split(" ", 3)
    if matching != _VERBATIM:
        return value
    return f"{usage} {selector} {_SHA256} {hashlib.sha256(bytes.fromhex(data)).hexdigest().upper()}"


def looked_at(published: Iterable[str]) -> FrozenSet[str]:
    """What counts of a record set. Of one usage and selector, senders take the strongest digest that is there and pass over the
    others; what holds the thing itself is looked at always (RFC 7671 section 9)."""
    values = list(published)
    strongest: Dict[Tuple[str, str], str] = {}
    for value in values:
        usage, selector, matching, _data = value.split(" ", 3)
        if matching in (_SHA256, _SHA512):
            strongest[usage, selector] = max(matching, strongest.get((usage, selector), matching))
    return frozenset(said(value) for value in values if _counts(value, strongest))


def _counts(value: str, strongest: Dict[Tuple[str, str], str]) -> bool:
    usage, selector, matching, _data = value.split(" ", 3)
    return matching in (_VERBATIM, strongest.get((usage, selector)))


def is_of_end_entity(value: str) -> bool:
    """Whether a record names the certificate itself or its key (DANE-EE), and no CA."""
    return value.startswith("3 ")


def hides(value: str) -> bool:
    """Whether records by weaker digests are passed over beside this one of a key or certificate."""
    return is_of_end_entity(value) and value.split(" ", 3)[2] == _SHA512
