# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLSA records: what to publish for a chain, and whether a published one still holds (RFC 6698, RFC 7671, RFC 7672)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Iterable, List, NamedTuple, Optional, Sequence

from .._errors import InvalidValue
from .keys import public_bytes, public_key_of

if TYPE_CHECKING:
    from .kinds import Certificate, ShownKey

try:
    from cryptography.hazmat.primitives import serialization
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass

_RECORD = re.compile(r"([23])\s+([01])\s+([012])\s+([0-9A-Fa-f\s]+)\Z")
_DIGITS = {1: 64, 2: 128}
_DIGESTS = {1: hashlib.sha256, 2: hashlib.sha512}


class Record(NamedTuple):
    """One record's data, in RFC 6698's words."""

    usage: int
    """2 (DANE-TA, a CA of the chain) or 3 (DANE-EE, the certificate itself); SMTP knows no others (RFC 7672 section 3.1.3)."""
    selector: int
    """0, the whole certificate, or 1, its public key."""
    matching: int
    """0, verbatim; 1, SHA-256; 2, SHA-512."""
    data: str

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data}"


def read_record(option: str, text: str) -> Record:
    """A record's data as in a zone file, C(3 1 1 9C41...)."""
    found = _RECORD.match(text.strip())
    data = "".join(found[4].split()).upper() if found else ""
    if not found or len(data) != _DIGITS.get(int(found[3]), len(data) + len(data) % 2):
        raise InvalidValue(
            option,
            text,
            "is no TLSA record that SMTP uses",
            "write usage (2 or 3), selector, matching type and the digest in hexadecimal, as in 3 1 1 9C41...",
        )
    return Record(int(found[1]), int(found[2]), int(found[3]), data)


def records(certificates: Sequence[Certificate]) -> List[str]:
    """What to publish for a chain (leaf first): C(3 1 1) of its key, C(2 1 1) of each CA that the server sends along."""
    leaf, *issuers = certificates
    return [of_key(public_key_of(leaf))] + [
        str(Record(2, 1, 1, _data(1, public_bytes(public_key_of(ca))))) for ca in issuers
    ]


def of_key(public_key: ShownKey, matching: int = 1) -> str:
    """C(3 1 1) of a key, or C(3 1 2), known before any certificate is made for it."""
    return str(Record(3, 1, matching, _data(matching, public_bytes(public_key))))


def alternatives(certificates: Sequence[Certificate]) -> List[str]:
    """What else could be published for a chain and would match it, as digests (RFC 6698 section 2.1)."""
    kinds = [(selector, matching) for selector in (0, 1) for matching in (1, 2)]
    return [
        str(Record(usage, selector, matching, _data(matching, _selected(selector, certificate))))
        for usage, certificate in zip([3, *[2] * (len(certificates) - 1)], certificates)
        for selector, matching in kinds
        if (selector, matching) != (1, 1)
    ]


def holds(
    published: Iterable[Record],
    public_key: ShownKey,
    issuers: Sequence[Certificate],
    leaf: Optional[Certificate] = None,
) -> bool:
    """Whether a client would take a certificate of this key: one matching record is enough (RFC 6698 section 2.1).

    Without ``leaf``, before the certificate is signed, records of whole end-entity certificates cannot match.
    """
    return any(_matches(record, public_key, issuers, leaf) for record in published)


def _matches(record: Record, public_key: ShownKey, issuers: Sequence[Certificate], leaf: Optional[Certificate]) -> bool:
    if record.usage == 2:
        found = [_selected(record.selector, ca) for ca in issuers]
    elif record.selector == 1:
        found = [public_bytes(public_key)]
    else:
        found = [] if leaf is None else [_selected(record.selector, leaf)]
    return record.data in [_data(record.matching, der) for der in found]


def _selected(selector: int, certificate: Certificate) -> bytes:
    if selector == 1:
        return public_bytes(public_key_of(certificate))
    return certificate.public_bytes(serialization.Encoding.DER)


def _data(matching: int, der: bytes) -> str:
    return (_DIGESTS[matching](der).digest() if matching else der).hex().upper()
