# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private keys: made, read and written as bytes, without paths.

Works with python3-cryptography 3.3.2 (Debian bullseye) and later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Sequence, Tuple

from .._edge import Options
from .._errors import CertificateError, InvalidValue
from .opaque import OpaqueKey, OpaquePublicKey, read_opaque, subject_public_key

if TYPE_CHECKING:
    from .kinds import AnyPrivateKey, Certificate, PrivateKey, ServedKey, ShownKey

try:
    import cryptography
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.backends import default_backend
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import dh, ec, ed25519, padding, rsa, x448, x25519

    CAN_LEAVE_PRIMES = int(cryptography.__version__.partition(".")[0]) >= 39
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass

KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.S)

BOTH = "both"
"""An ECDSA key and, for peers that know no ECDSA, an RSA key."""

RSA_SIZES = (2048, 3072, 4096)
CURVES = {256: "SECP256R1", 384: "SECP384R1"}
ED25519 = "ed25519"
"""Of one size, which nobody chooses."""


@dataclass(frozen=True)
class KeySpec:
    """The kind of key that is wanted: C(rsa) with a size in bits, C(ecdsa) on a NIST curve, or C(ed25519) with none."""

    kind: str
    size: int

    @classmethod
    def read(cls, option: str, given: Options) -> Tuple[KeySpec, ...]:
        """The kinds of keys that a provider's options ask for. ``key_size`` of C(both) is the RSA key's."""
        kind, size = given["key_type"], given.get("key_size")
        if kind == BOTH:
            return (cls("ecdsa", 256), *cls.read(option, {"key_type": "rsa", "key_size": size or 3072}))
        if kind == ED25519:
            if size:
                raise InvalidValue(f"{option}.key_size", size, f"is no choice for a key of type {kind}", "leave it out")
            return (cls(kind, 0),)
        size = size or (4096 if kind == "rsa" else 256)
        sizes = RSA_SIZES if kind == "rsa" else tuple(CURVES)
        if size not in sizes:
            raise InvalidValue(
                f"{option}.key_size",
                size,
                f"is no size for a key of type {kind}",
                f"use one of {', '.join(map(str, sizes))}",
            )
        return (cls(kind, size),)

    def fits(self, public_key: ShownKey) -> bool:
        return (self.kind, self.size) == describe_public_key(public_key)


def make_key(spec: KeySpec) -> PrivateKey:
    """A new private key."""
    if spec.kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=spec.size, backend=default_backend())
    if spec.kind == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    curve: ec.EllipticCurve = getattr(ec, CURVES[spec.size])()
    return ec.generate_private_key(curve, backend=default_backend())


def read_any_key(option: str, pem: bytes, passphrase: Optional[str] = None) -> ServedKey:
    """The private key in ``pem``, of whatever kind; the error never repeats what was read."""
    try:
        return _load(pem, passphrase.encode() if passphrase else None)
    except TypeError as problem:
        remedy = "give its passphrase" if passphrase is None else "leave the passphrase out"
        raise CertificateError(f"{option}: {problem}; {remedy}.") from None
    except Exception:  # cryptography raises ValueError and UnsupportedAlgorithm, by version
        opaque = read_opaque(pem)
        if opaque is not None:
            return opaque
        doubt = ", or the passphrase is wrong" if passphrase else ""
        raise CertificateError(f"{option}: this is no private key that can be read{doubt}; give it in PEM.") from None


def _load(pem: bytes, passphrase: Optional[bytes]) -> AnyPrivateKey:
    """As cryptography reads it. Of an RSA key it would test the primes anew each time, for a quarter of a second where it has
    4096 bits; a signature that the public half verifies says fifty times as fast whether the halves belong together."""
    unproven = {"unsafe_skip_rsa_key_validation": True} if CAN_LEAVE_PRIMES else {}
    key = serialization.load_pem_private_key(pem, passphrase, backend=default_backend(), **unproven)
    if unproven and isinstance(key, rsa.RSAPrivateKey):
        scheme, digest = padding.PKCS1v15(), hashes.SHA256()
        key.public_key().verify(key.sign(pem, scheme, digest), pem, scheme, digest)
    return key


def read_key(option: str, pem: bytes, passphrase: Optional[str] = None) -> PrivateKey:
    """The private key in ``pem``, which is to sign certificates or requests."""
    return able_to_sign(option, read_any_key(option, pem, passphrase))


def able_to_sign(option: str, key: ServedKey) -> PrivateKey:
    """``key``, unless it is of a kind with which nothing can be signed here."""
    if isinstance(key, OpaqueKey):
        raise CertificateError(
            f"{option}: python3-cryptography cannot sign with a key of type {key.kind}; give an RSA, ECDSA or Ed25519 key."
        )
    return _no_agreement(option, key)


def read_keys(option: str, pem: bytes, passphrase: Optional[str] = None) -> Tuple[PrivateKey, ...]:
    """Every private key in ``pem``, which are to sign; one at least."""
    return tuple(read_key(option, block, passphrase) for block in _blocks(pem))


def read_served_keys(option: str, pem: bytes, passphrase: Optional[str] = None) -> Tuple[ServedKey, ...]:
    """Every private key in ``pem``, which Postfix is to serve; one at least."""
    keys = (read_any_key(option, block, passphrase) for block in _blocks(pem))
    return tuple(key if isinstance(key, OpaqueKey) else _no_agreement(option, key) for key in keys)


def _blocks(pem: bytes) -> Sequence[bytes]:
    return KEY.findall(pem) or [pem]


def _no_agreement(option: str, key: AnyPrivateKey) -> PrivateKey:
    """``key``, unless it is of a kind that only agrees on other keys: certificates and TLS 1.3 need signatures."""
    if isinstance(key, (dh.DHPrivateKey, x25519.X25519PrivateKey, x448.X448PrivateKey)):
        raise CertificateError(f"{option}: this is a key that cannot sign; give an RSA or ECDSA key.")
    return key


def write_key(key: ServedKey, passphrase: Optional[str] = None) -> bytes:
    """``key`` as PKCS#8 PEM: unencrypted, as Postfix reads it, unless there is a passphrase."""
    if isinstance(key, OpaqueKey):
        return key.pem
    secret = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


def public_key_of(certificate: Certificate) -> ShownKey:
    """The key in a certificate, of whatever kind it is."""
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):  # by version; an elliptic curve that is not known, too
        return subject_public_key(certificate.tbs_certificate_bytes)


def describe_public_key(public_key: ShownKey) -> Tuple[str, int]:
    """(``rsa``, bits), (``ecdsa``, bits) or the name of another kind with 0."""
    if isinstance(public_key, OpaquePublicKey):
        return public_key.kind, 0
    if isinstance(public_key, rsa.RSAPublicKey):
        return "rsa", public_key.key_size
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return "ecdsa", public_key.curve.key_size
    return type(public_key).__name__.lstrip("_").replace("PublicKey", "").lower(), 0


def public_bytes(public_key: ShownKey) -> bytes:
    """SubjectPublicKeyInfo in DER: what fingerprints and TLSA 3 1 1 are taken of."""
    if isinstance(public_key, OpaquePublicKey):
        return public_key.spki
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def belong_together(key: ServedKey, certificate: Certificate) -> bool:
    """Whether ``certificate`` is of ``key``; of a key that cryptography cannot read, whether it may be."""
    public_key = public_key_of(certificate)
    if isinstance(key, OpaqueKey):
        return key.kind == describe_public_key(public_key)[0]
    return public_bytes(key.public_key()) == public_bytes(public_key)
