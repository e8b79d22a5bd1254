# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a certificate says, as return values: never a byte of a key."""

from __future__ import annotations

import datetime
import hashlib
from typing import TYPE_CHECKING, List, Optional, Sequence, TypedDict

from . import tlsa
from .chain import certificates_pem, extension, is_issued_by
from .keys import describe_public_key, public_bytes, public_key_of
from .shown import name_text, shown
from .validity import not_after, not_before

if TYPE_CHECKING:
    from .kinds import Certificate, Named, ShownKey

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass


class CertificateFacts(TypedDict):
    """What a module returns of a certificate: names are escaped, since whoever made it chose them."""

    subject: str
    issuer: str
    self_signed: bool
    subject_alternative_names: List[str]
    serial: str
    not_before: str
    not_after: str
    days_left: int
    key_type: str
    key_size: int
    signature_hash: Optional[str]
    certificate_sha256: str
    public_key_sha256: str
    tlsa: List[str]
    tlsa_alternatives: List[str]
    """What DNS may say instead."""
    chain: str


def describe(certificates: Sequence[Certificate], now: datetime.datetime) -> CertificateFacts:
    """The leaf's facts and the chain in PEM, for results, tables and audits."""
    leaf = certificates[0]
    key = public_key_of(leaf)
    kind, bits = describe_public_key(key)
    return {
        "subject": name_text(leaf.subject),
        "issuer": name_text(leaf.issuer),
        "self_signed": is_issued_by(leaf, leaf),
        "subject_alternative_names": [shown(name) for name in dns_names(leaf)],
        "serial": format(leaf.serial_number, "X"),
        "not_before": not_before(leaf).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": not_after(leaf).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": (not_after(leaf) - now).days,
        "key_type": kind,
        "key_size": bits,
        "signature_hash": hash_name(leaf),
        "certificate_sha256": certificate_fingerprint(leaf),
        "public_key_sha256": public_key_fingerprint(key),
        "tlsa": tlsa.records(certificates),
        "tlsa_alternatives": tlsa.alternatives(certificates),
        "chain": certificates_pem(certificates).decode(),
    }


def certificate_fingerprint(certificate: Certificate) -> str:
    """As Postfix prints it with smtpd_tls_fingerprint_digest = sha256."""
    return _fingerprint(certificate.public_bytes(serialization.Encoding.DER))


def public_key_fingerprint(public_key: ShownKey) -> str:
    """Of SubjectPublicKeyInfo: what Postfix matches and TLSA ``3 1 1`` publishes (RFC 7671)."""
    return _fingerprint(public_bytes(public_key))


def dns_names(certificate: Named) -> List[str]:
    """As they stand there, to be compared; whoever shows them escapes them."""
    names = extension(certificate, x509.SubjectAlternativeName)
    return list(names.get_values_for_type(x509.DNSName)) if names is not None else []


def is_ca(certificate: Certificate) -> bool:
    """Whether a certificate may sign others (RFC 5280 section 4.2.1.9)."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def extended_key_usages(certificate: Certificate) -> Optional[List[str]]:
    """Dotted OIDs; ``None`` where the certificate is for any use."""
    usages = extension(certificate, x509.ExtendedKeyUsage)
    return None if usages is None else [usage.dotted_string for usage in usages]


def may_sign(certificate: Certificate) -> bool:
    """Whether TLS may use the key to sign: all key exchanges of TLS 1.3 need that (RFC 8446 section 4.4.2.2)."""
    usage = extension(certificate, x509.KeyUsage)
    return usage is None or usage.digital_signature


def may_certify(certificate: Certificate) -> bool:
    """Whether the key may sign certificates (RFC 5280 section 4.2.1.3)."""
    usage = extension(certificate, x509.KeyUsage)
    return usage is None or usage.key_cert_sign


def hash_name(certificate: Certificate) -> Optional[str]:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    return algorithm.name if algorithm else None


def _fingerprint(data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
