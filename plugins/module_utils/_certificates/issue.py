# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates made here: self-signed ones, requests, and what a fleet's CA signs."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from .._errors import CertificateError
from .describe import dns_names
from .validity import not_after

if TYPE_CHECKING:
    from .kinds import Certificate, PrivateKey, PublicKey

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass

_REQUEST = re.compile(rb"-----BEGIN CERTIFICATE REQUEST-----.+?-----END CERTIFICATE REQUEST-----", re.S)

CLOCK_SKEW = datetime.timedelta(hours=1)
"""Certificates begin a little earlier than now, for peers whose clock is behind."""

Life = Tuple[datetime.datetime, datetime.datetime]
"""From when on, and until when."""


@dataclass(frozen=True)
class CertificateSpec:
    """Whom a certificate names (DNS names, the first one also as CN) and for how many days."""

    names: Tuple[str, ...]
    days: int

    @property
    def lifetime(self) -> datetime.timedelta:
        return datetime.timedelta(days=self.days)


def self_sign(spec: CertificateSpec, key: PrivateKey, now: datetime.datetime) -> Certificate:
    """A certificate of ``key`` by itself: good for encryption, no proof of identity."""
    subject = _subject(spec.names[0])
    builder = _leaf(subject, subject, key.public_key(), spec.names, (now, now + spec.lifetime))
    return builder.sign(key, _digest(key), default_backend())


def request(names: Sequence[str], key: PrivateKey) -> bytes:
    """A certificate signing request in PEM (RFC 2986)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(names[0]))
    builder = builder.add_extension(_alternative_names(names), critical=False)
    return builder.sign(key, _digest(key), default_backend()).public_bytes(serialization.Encoding.PEM)


def split_requests(pem: bytes) -> List[bytes]:
    """Each request in ``pem``."""
    return _REQUEST.findall(pem)


def requested_names(pem: bytes) -> List[Tuple[str, ...]]:
    """The DNS names that each request in ``pem`` asks for."""
    found = (x509.load_pem_x509_csr(part, default_backend()) for part in split_requests(pem))
    return [tuple(dns_names(csr)) for csr in found]


def sign_request(
    csr_pem: bytes,
    spec: CertificateSpec,
    ca_certificate: Certificate,
    ca_key: PrivateKey,
    now: datetime.datetime,
    *,
    above: Sequence[Certificate] = (),
) -> Certificate:
    """A leaf certificate for the key in the request, which outlives neither its CA nor the CAs ``above`` that.

    Only the key is taken from the request: the names are the caller's, so that a node cannot
    ask for another node's name. serverAuth and clientAuth both: the same certificate shows
    who a node is when it receives and when it sends.
    """
    try:
        csr = x509.load_pem_x509_csr(csr_pem, default_backend())
        is_its_own = csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError("The node's certificate request cannot be read; run the task again.") from None
    if not is_its_own:
        raise CertificateError("The node's certificate request is not signed by its own key; run the task again.")
    end = min(now + spec.lifetime, last_day([ca_certificate, *above]))
    builder = _leaf(_subject(spec.names[0]), ca_certificate.subject, csr.public_key(), spec.names, (now, end))
    builder = builder.add_extension(_authority(ca_certificate, ca_key), critical=False)
    return builder.sign(ca_key, _digest(ca_key), default_backend())


def last_day(authorities: Sequence[Certificate]) -> datetime.datetime:
    """When the first of a CA's certificates ends, and with it whatever it has signed."""
    return min(map(not_after, authorities))


def make_ca(common_name: str, key: PrivateKey, days: int, now: datetime.datetime) -> Certificate:
    """A self-signed CA that may sign leaves and no further CAs (RFC 5280 section 4.2.1.9)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _dated(name, name, key.public_key(), (now, now + datetime.timedelta(days=days)))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(
        _key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return builder.sign(key, _digest(key), default_backend())


def _leaf(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, names: Sequence[str], life: Life
) -> x509.CertificateBuilder:
    builder = _dated(subject, issuer, public_key, life)
    usages: List[x509.ObjectIdentifier] = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage(usages), False),
        (_alternative_names(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return builder


def _dated(subject: x509.Name, issuer: x509.Name, public_key: PublicKey, life: Life) -> x509.CertificateBuilder:
    begin, end = life
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(begin - CLOCK_SKEW).not_valid_after(end)


def _digest(key: PrivateKey) -> Optional[hashes.SHA256]:
    """Ed25519 and Ed448 hash by themselves (RFC 8410)."""
    with_digest = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, dsa.DSAPrivateKey)
    return hashes.SHA256() if isinstance(key, with_digest) else None


def _subject(common_name: str) -> x509.Name:
    """The CN holds 64 characters at most (RFC 5280, ub-common-name): a longer name is in the SAN alone."""
    if len(common_name) > 64:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _authority(ca_certificate: Certificate, ca_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    try:
        known = ca_certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier(known.digest, None, None)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())


def _key_usage(**wanted: bool) -> x509.KeyUsage:
    usages = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    ).split()
    return x509.KeyUsage(**{usage: wanted.get(usage, False) for usage in usages})
