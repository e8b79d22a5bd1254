# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.opaque import (
    NAMES,
    OpaquePublicKey,
    read_opaque,
    subject_public_key,
)
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa

KINDS = [
    (make_key(KeySpec("rsa", 2048)), "rsa"),
    (make_key(KeySpec("ecdsa", 384)), "ecdsa"),
    (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
    (ed448.Ed448PrivateKey.generate(), "ed448"),
    (rsa.generate_private_key(65537, 4096), "rsa"),
]


def pem(der, label="PRIVATE KEY"):
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


@pytest.mark.parametrize(("key", "kind"), KINDS, ids=lambda value: value if isinstance(value, str) else "")
def test_bytes_alone_tell_the_kind_of_a_key_and_its_public_half(key, kind, issue):
    found = read_opaque(b"# first\n" + write_key(key))
    assert (found.kind, found.pem) == (kind, write_key(key))
    assert OpaquePublicKey(public_bytes(key.public_key())).kind == kind


def test_the_public_key_stands_in_the_certificate(issue, fleet_ca):
    for certificate in (issue().leaf, issue(kind=("rsa", 2048)).leaf, fleet_ca[0]):
        found = subject_public_key(certificate.tbs_certificate_bytes)
        assert found.spki == public_bytes(certificate.public_key())


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("0609608648016503040311", "mldsa44"),
        ("0609608648016503040312", "mldsa65"),
        ("060960864801650304031f", "slhdsa-shake-256f"),
        ("06032b657b", "1.3.101.123"),
        ("0603883703", "2.999.3"),
    ],
)
def test_a_kind_without_a_name_here_is_told_by_its_number(identifier, kind):
    algorithm = bytes.fromhex(identifier)
    algorithm = bytes([0x30, len(algorithm)]) + algorithm
    inner = b"\x02\x01\x00" + algorithm + b"\x04\x01k"
    assert read_opaque(pem(bytes([0x30, len(inner)]) + inner)).kind == kind


def test_each_kind_has_a_name_of_its_own():
    assert len(NAMES) == len(set(NAMES.values())) == 21


WHOLE = write_key(make_key(KeySpec("ecdsa", 256)))
DER = base64.b64decode(b"".join(WHOLE.splitlines()[1:-1]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hunter2",
        WHOLE.replace(b"-----END PRIVATE KEY-----", b""),
        write_key(make_key(KeySpec("ecdsa", 256)), "secret"),
        *(pem(DER[:size]) for size in range(len(DER))),
        pem(DER + b"\x00"),
        pem(b"\x30\x00"),
        pem(b"\x30\x03\x02\x01\x00"),
        pem(b"\x30\x82"),
        pem(b"\x31" + DER[1:]),
        pem(DER, "CERTIFICATE"),
    ],
)
def test_what_is_no_complete_key_in_the_clear_is_none(text):
    assert read_opaque(text) is None


def test_a_key_is_in_no_representation():
    assert "BEGIN" not in repr(read_opaque(WHOLE))
