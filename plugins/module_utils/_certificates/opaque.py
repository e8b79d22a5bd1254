# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys of kinds that OpenSSL and Postfix know and this version of cryptography does not: told by their bytes alone.

A certificate says which kind of key it holds, and the key's bytes, in its own DER (RFC 5280 section 4.1); so does a
private key in PKCS#8 (RFC 5958).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import List, Optional

_SEQUENCE, _INTEGER, _OBJECT, _VERSION = 0x30, 0x02, 0x06, 0xA0
_PKCS8 = re.compile(rb"-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----")
_SIGNATURES = "2.16.840.1.101.3.4.3"
_SLH_DSA = [
    f"slhdsa-{h}-{size}" for h in ("sha2", "shake") for size in ("128s", "128f", "192s", "192f", "256s", "256f")
]

NAMES = {
    "1.2.840.10040.4.1": "dsa",
    "1.2.840.10045.2.1": "ecdsa",
    "1.2.840.113549.1.1.1": "rsa",
    "1.2.840.113549.1.1.10": "rsa-pss",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    **{f"{_SIGNATURES}.{17 + i}": f"mldsa{size}" for i, size in enumerate((44, 65, 87))},
    **{f"{_SIGNATURES}.{20 + i}": name for i, name in enumerate(_SLH_DSA)},
}
"""Kinds of keys by their object identifiers (RFC 3279, RFC 8410; NIST's register for ML-DSA and SLH-DSA)."""


@dataclass(frozen=True)
class OpaquePublicKey:
    """The public key of a certificate."""

    spki: bytes
    """SubjectPublicKeyInfo, as it stands in the certificate."""

    @property
    def kind(self) -> str:
        return _kind(_parts(self.spki)[0])


@dataclass(frozen=True)
class OpaqueKey:
    """A private key, which is passed on as it was read."""

    pem: bytes = field(repr=False)
    kind: str


def subject_public_key(tbs: bytes) -> OpaquePublicKey:
    """The public key in what a certificate's issuer has signed (TBSCertificate)."""
    parts = _parts(tbs)
    return OpaquePublicKey(parts[6 if parts[0][0] == _VERSION else 5])


def read_opaque(pem: bytes) -> Optional[OpaqueKey]:
    """A private key of whatever kind; ``None`` where this is no complete one, or an encrypted one."""
    found = _PKCS8.search(pem)
    if not found:
        return None
    try:
        version, algorithm, *key = _parts(base64.b64decode(b"".join(found[1].split()), validate=True))
        return OpaqueKey(found.group() + b"\n", _kind(algorithm)) if version[0] == _INTEGER and key else None
    except (binascii.Error, ValueError):
        return None


def _kind(algorithm: bytes) -> str:
    """By its name, or the number itself where none is known."""
    identifier = _parts(algorithm)[0]
    if identifier[0] != _OBJECT:
        raise ValueError("this is no AlgorithmIdentifier")
    number = _dotted(_content(identifier))
    return NAMES.get(number, number)


def _dotted(encoded: bytes) -> str:
    numbers, value = [], 0
    for byte in encoded:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _parts(der: bytes) -> List[bytes]:
    """The values within a SEQUENCE, each with its tag and its length; ValueError where this is none, or is cut short."""
    if not der or der[0] != _SEQUENCE or _end(der, 0) != len(der):
        raise ValueError("this is no SEQUENCE")
    content, found, start = _content(der), [], 0
    while start < len(content):
        end = _end(content, start)
        found.append(content[start:end])
        start = end
    if not found:
        raise ValueError("this SEQUENCE is empty")
    return found


def _content(value: bytes) -> bytes:
    return value[_header(value, 0) :]


def _header(der: bytes, start: int) -> int:
    """How long tag and length are."""
    if len(der) < start + 2:
        raise ValueError("this is cut short")
    return 2 + (der[start + 1] & 0x7F if der[start + 1] & 0x80 else 0)


def _end(der: bytes, start: int) -> int:
    header = _header(der, start)
    size = der[start + 1] if header == 2 else int.from_bytes(der[start + 2 : start + header], "big")
    end = start + header + size
    if end > len(der):
        raise ValueError("this is cut short")
    return end
