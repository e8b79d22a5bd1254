# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key with its certificate chain: read, put in order, written as one Postfix chain file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

from .._errors import CertificateError
from .keys import public_bytes, read_key, write_key

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass

_CERTIFICATE = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----.+?-----END (?:X509 )?CERTIFICATE-----", re.S)
_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.S)


@dataclass(frozen=True)
class Chain:
    """The leaf first, then each certificate's issuer; the root may be left out."""

    key: Any
    certificates: Tuple[Any, ...]

    @property
    def leaf(self) -> Any:
        return self.certificates[0]

    def to_pem(self) -> bytes:
        """As smtpd_tls_chain_files wants it: the key, then its certificates (postconf(5))."""
        return write_key(self.key) + certificates_pem(self.certificates)


def read_certificates(option: str, pem: bytes) -> Tuple[Any, ...]:
    """Every certificate in ``pem``, in the order they stand there; one at least."""
    blocks = _CERTIFICATE.findall(pem)
    if not blocks:
        raise CertificateError(f"{option}: holds no certificate in PEM; give one that begins with BEGIN CERTIFICATE.")
    try:
        return tuple(x509.load_pem_x509_certificate(block, default_backend()) for block in blocks)
    except ValueError as problem:
        raise CertificateError(
            f"{option}: holds a certificate that cannot be read ({problem}); export it again."
        ) from None


def read_chain(option: str, key_pem: bytes, chain_pem: bytes, passphrase: Optional[str] = None) -> Chain:
    """Key and certificates that belong together, the certificates put in order."""
    key = read_key(f"{option}.private_key", key_pem, passphrase)
    certificates = read_certificates(f"{option}.certificate", chain_pem)
    return build_chain(option, key, certificates)


def build_chain(option: str, key: Any, certificates: Sequence[Any]) -> Chain:
    """The chain of ``key``: its own certificate, then the issuers found among ``certificates``."""
    mine = public_bytes(key.public_key())
    leaves = [c for c in certificates if public_bytes(c.public_key()) == mine]
    if not leaves:
        raise CertificateError(
            f"{option}: the private key does not match the certificate; give the key that the certificate was made for."
        )
    return Chain(key, order(leaves[0], [c for c in certificates if c is not leaves[0]]))


def read_chain_file(path: str, content: bytes) -> Chain:
    """A chain file that Postfix is told to use: its first key and the certificates that follow it."""
    keys = list(_KEY.finditer(content))
    if not keys:
        raise CertificateError(
            f"{path}: holds no private key; a chain file begins with one (postconf(5), smtpd_tls_chain_files)."
        )
    end = keys[1].start() if len(keys) > 1 else len(content)
    key = read_key(path, keys[0].group())
    certificates = read_certificates(path, content[keys[0].end() : end])
    if public_bytes(certificates[0].public_key()) != public_bytes(key.public_key()):
        raise CertificateError(
            f"{path}: the private key does not match the certificate that follows it; put the right pair there, or make the certificate anew."
        )
    return Chain(key, certificates)


def order(leaf: Any, others: Sequence[Any]) -> Tuple[Any, ...]:
    """``leaf`` and, one after the other, the certificates that issued it, as far as ``others`` reach."""
    ordered: List[Any] = [leaf]
    rest = list(others)
    while not is_issued_by(ordered[-1], ordered[-1]):
        issuer = next((c for c in rest if is_issued_by(ordered[-1], c)), None)
        if issuer is None:
            break
        ordered.append(issuer)
        rest.remove(issuer)
    return tuple(ordered)


def is_issued_by(certificate: Any, issuer: Any) -> bool:
    """Whether ``issuer``'s key signed ``certificate``."""
    if certificate.issuer != issuer.subject:
        return False
    key = issuer.public_key()
    signed = (certificate.signature, certificate.tbs_certificate_bytes)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(*signed, padding.PKCS1v15(), certificate.signature_hash_algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(*signed, ec.ECDSA(certificate.signature_hash_algorithm))
        else:
            key.verify(*signed)
    except InvalidSignature:
        return False
    return True


def certificates_pem(certificates: Sequence[Any]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)
