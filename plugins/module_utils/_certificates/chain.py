# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key with its certificate chain: read, put in order, written as one Postfix chain file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterable, List, Optional, Sequence, Tuple, Type, TypeVar

from .._errors import CertificateError, present
from .keys import KEY, belong_together, public_key_of, read_any_key, read_served_keys, write_key
from .opaque import OpaqueKey, OpaquePublicKey
from .shown import shown
from .validity import not_after

if TYPE_CHECKING:
    from .kinds import Certificate, Named, ServedKey, ShownKey

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass

Extension = TypeVar("Extension", bound="x509.ExtensionType")
Found = TypeVar("Found")

_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.+?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.S
)


@dataclass(frozen=True)
class Chain:
    """The leaf first, then each certificate's issuer; the root may be left out."""

    key: ServedKey
    certificates: Tuple[Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        return self.certificates[0]

    def to_pem(self) -> bytes:
        """As smtpd_tls_chain_files wants it: the key, then its certificates (postconf(5))."""
        return write_key(self.key) + certificates_pem(self.certificates)


Chains = Tuple[Chain, ...]
"""What stands under one name: one chain, or one each for an ECDSA and an RSA key, which Postfix serves side by side."""


Pem = Tuple[str, bytes]
"""A file and what is in it."""

Located = Tuple[str, Found]
"""Something, and the file it is in."""


def chains_pem(chains: Chains) -> bytes:
    return b"".join(chain.to_pem() for chain in chains)


def read_certificates(option: str, pem: bytes) -> Tuple[Certificate, ...]:
    """Every certificate in ``pem``, in the order they stand there; one at least."""
    blocks = _CERTIFICATE.findall(pem)
    if not blocks:
        raise CertificateError(f"{option}: holds no certificate in PEM; give one that begins with BEGIN CERTIFICATE.")
    try:
        return tuple(x509.load_pem_x509_certificate(block, default_backend()) for block in blocks)
    except ValueError as problem:
        raise CertificateError(
            f"{option}: holds a certificate that cannot be read ({shown(str(problem))}); export it again."
        ) from None


def certificates_by_key(pems: Sequence[Pem]) -> Tuple[Located[Tuple[Certificate, ...]], ...]:
    """The certificates after each key in files that are read as one, and those before the first, each with the file that they
    begin in; one at least. Keys are not read."""
    found = [_certificates_in(part) for part in _by_key(pems) if any(_CERTIFICATE.search(text) for _path, text in part)]
    return tuple(found) or (_certificates_in(pems[:1]),)


def readable_certificates(pem: bytes) -> Tuple[Certificate, ...]:
    """The certificates in ``pem`` that this version of cryptography can read."""
    found: List[Certificate] = []
    for block in _CERTIFICATE.findall(pem):
        try:
            found.append(x509.load_pem_x509_certificate(block, default_backend()))
        except ValueError:
            continue
    return tuple(found)


def read_chains(option: str, key_pem: bytes, chain_pem: bytes, passphrase: Optional[str] = None) -> Chains:
    """The chain of each key in ``key_pem``, the certificates put in order."""
    keys = read_served_keys(f"{option}.private_key", key_pem, passphrase)
    return build_chains(option, keys, read_certificates(f"{option}.certificate", chain_pem))


def build_chains(option: str, keys: Sequence[ServedKey], certificates: Sequence[Certificate]) -> Chains:
    return tuple(build_chain(option, key, certificates) for key in keys)


def build_chain(option: str, key: ServedKey, certificates: Sequence[Certificate]) -> Chain:
    """The chain of ``key``: its own certificate, then the issuers found among ``certificates``.

    Of several certificates for the same key the newest counts.
    """
    leaves = [c for c in certificates if belong_together(key, c)]
    if isinstance(key, OpaqueKey):  # its issuers may have keys of the same kind
        leaves = [c for c in leaves if not any(is_issued_by(other, c) for other in certificates if other is not c)]
    if not leaves:
        raise CertificateError(
            f"{option}: the private key does not match the certificate; give a key and a certificate that belong together."
        )
    leaf = max(leaves, key=not_after)
    return Chain(key, order(leaf, [c for c in certificates if c not in leaves]))


def read_chain_file(path: str, content: bytes) -> Chains:
    """A chain file that Postfix is told to use: each key, and after it its certificates."""
    return tuple(chain for _path, chain in read_chain_files([(path, content)]))


def read_chain_files(pems: Sequence[Pem]) -> Tuple[Located[Chain], ...]:
    """Chain files that Postfix reads as one, each chain with the file of its leaf: a key, and in the same file or in the next
    ones its certificates (postconf(5), smtpd_tls_chain_files)."""
    _before, *parts = _by_key(pems)
    if not parts:
        raise CertificateError(
            f"{pems[0][0]}: holds no private key; a chain file begins with one (postconf(5), smtpd_tls_chain_files)."
        )
    return tuple(map(_read_part, parts))


def _read_part(part: Sequence[Pem]) -> Located[Chain]:
    key_path, text = part[0]
    key = read_any_key(key_path, present(KEY.search(text)).group())
    if not any(_CERTIFICATE.search(text) for _path, text in part):
        raise CertificateError(
            f"{key_path}: no certificate follows the private key; name the file of a key before that of its chain (postconf(5), "
            "smtpd_tls_chain_files)."
        )
    path, certificates = _certificates_in(part)
    if not belong_together(key, certificates[0]):
        key_file = "" if path == key_path else f" in {key_path}"
        follows = "" if key_file else " that follows it"
        raise CertificateError(
            f"{path}: the private key{key_file} does not match the certificate{follows}; put the right pair there, or make the "
            "certificate anew."
        )
    return path, Chain(key, certificates)


def _by_key(pems: Sequence[Pem]) -> List[List[Pem]]:
    """What stands before the first key, and then each key with what follows it until the next, whichever files that is in."""
    parts: List[List[Pem]] = [[]]
    for path, pem in pems:
        starts = [match.start() for match in KEY.finditer(pem)]
        first, *others = [pem[start:end] for start, end in zip([0, *starts], [*starts, len(pem)])]
        parts[-1].append((path, first))
        parts += ([(path, other)] for other in others)
    return parts


def _certificates_in(part: Sequence[Pem]) -> Located[Tuple[Certificate, ...]]:
    """All of them, and the file of the first; one at least."""
    holding = [(path, text) for path, text in part if _CERTIFICATE.search(text)] or part[:1]
    return holding[0][0], tuple(c for path, text in holding for c in read_certificates(path, text))


def order(leaf: Certificate, others: Sequence[Certificate]) -> Tuple[Certificate, ...]:
    """``leaf`` and, one after the other, the certificates that issued it, as far as ``others`` reach."""
    ordered: List[Certificate] = [leaf]
    rest = list(others)
    while not is_issued_by(ordered[-1], ordered[-1]):
        issuer = next((c for c in rest if is_issued_by(ordered[-1], c)), None)
        if issuer is None:
            break
        ordered.append(issuer)
        rest.remove(issuer)
    return tuple(ordered)


def is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether ``issuer``'s key signed ``certificate``; where cryptography cannot tell, whether it says so itself."""
    if certificate.issuer != issuer.subject:
        return False
    key = public_key_of(issuer)
    if isinstance(key, OpaquePublicKey):
        return _points_to(certificate, issuer)
    try:
        return _verifies(certificate, issuer) or _is_signed_by(certificate, key)
    except UnsupportedAlgorithm:
        return _points_to(certificate, issuer)


def _verifies(certificate: Certificate, issuer: Certificate) -> bool:
    """As cryptography 40 and later say, which refuse SHA-1 whoever has signed."""
    if not hasattr(certificate, "verify_directly_issued_by"):
        return False
    return _succeeds(partial(certificate.verify_directly_issued_by, issuer))


def _points_to(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the key identifiers agree, as far as both are there (RFC 5280 section 4.2.1.1). OpenSSL judges the rest."""
    authority = extension(certificate, x509.AuthorityKeyIdentifier)
    subject = extension(issuer, x509.SubjectKeyIdentifier)
    if authority is None or authority.key_identifier is None or subject is None:
        return True
    return authority.key_identifier == subject.digest


def extension(certificate: Named, kind: Type[Extension]) -> Optional[Extension]:
    """What one extension says; ``None`` where it is not there, or says nothing that can be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def _is_signed_by(certificate: Certificate, key: ShownKey) -> bool:
    """What cryptography leaves to us: PKCS#1 v1.5 and PSS, ECDSA, and keys with one scheme alone."""
    signed = (certificate.signature, certificate.tbs_certificate_bytes)
    digest = certificate.signature_hash_algorithm
    tries: List[Callable[[], None]] = []
    if isinstance(key, rsa.RSAPublicKey) and digest:
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        tries = [partial(key.verify, *signed, scheme, digest) for scheme in (padding.PKCS1v15(), pss)]
    elif isinstance(key, ec.EllipticCurvePublicKey) and digest:
        tries = [partial(key.verify, *signed, ec.ECDSA(digest))]
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        tries = [partial(key.verify, *signed)]
    return any(map(_succeeds, tries))


def _succeeds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def certificates_pem(certificates: Iterable[Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)
