# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates good and bad, made by cryptography alone: nothing of the collection is used."""

import datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

DAY = datetime.timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
BOTH = (SERVER, CLIENT)


class Identity(NamedTuple):
    """A key with its certificate."""

    key: Any
    certificate: Any

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self):
        return self.encrypted_key(None)

    def encrypted_key(self, passphrase):
        how = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()

    @property
    def sha256(self):
        """As C(openssl x509 -fingerprint -sha256) and Postfix print it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits):
    return rsa.generate_private_key(65537, bits)


def ed_key(kind=ed25519.Ed25519PrivateKey):
    return kind.generate()


def certify(
    subject,
    key,
    issuer=None,
    names=(),
    *,
    ca=False,
    usages=BOTH,
    begin=-1,
    end=30,
    digest=None,
    sign=True,
    path_length=None,
    extensions=(),
):
    """A certificate of ``key``; self-signed without an issuer. ``begin`` and ``end`` are days from now. Further
    extensions come each with whether it is critical."""
    now = datetime.datetime.now(datetime.timezone.utc)
    above = issuer or Identity(key, None)
    name = _name(subject)
    builder = x509.CertificateBuilder(
        above.certificate.subject if issuer else name,
        name,
        key.public_key(),
        x509.random_serial_number(),
        now + begin * DAY,
        now + end * DAY,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if usages and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if not sign:
        unsigned = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
        builder = builder.add_extension(unsigned, critical=True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    hashes_itself = isinstance(above.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return Identity(key, builder.sign(above.key, None if hashes_itself else digest or hashes.SHA256()))


def authority(subject, issuer=None, key=None, **flaws):
    return certify(subject, key or ec_key(), issuer, ca=True, **{"end": 365, **flaws})


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
