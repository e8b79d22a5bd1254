# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import hashlib
import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
    describe,
    public_key_fingerprint,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import public_bytes
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.tests.unit import strange_keys
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pki import authority, certify, ec_key, rsa_key

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)


def test_a_certificate_is_described_in_full(issue):
    chain = issue(names=["mx1.example.com", "smtp.example.com"], days=90, now=NOW)
    facts = describe(chain.certificates, NOW)
    pem = certificates_pem(chain.certificates).decode()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    assert facts == {
        "subject": "CN=mx1.example.com",
        "issuer": "CN=Fleet CA",
        "self_signed": False,
        "subject_alternative_names": ["mx1.example.com", "smtp.example.com"],
        "serial": format(chain.leaf.serial_number, "X"),
        "not_before": "2026-01-01T11:00:00Z",
        "not_after": "2026-04-01T12:00:00Z",
        "days_left": 90,
        "key_type": "ecdsa",
        "key_size": 256,
        "signature_hash": "sha256",
        "certificate_sha256": ":".join(digest[i : i + 2] for i in range(0, 64, 2)),
        "public_key_sha256": public_key_fingerprint(chain.key.public_key()),
        "tlsa": [tlsa.of_key(chain.key.public_key())],
        "tlsa_alternatives": tlsa.alternatives(chain.certificates),
        "chain": pem,
    }


@pytest.mark.parametrize(
    ("later", "days"),
    [
        (datetime.timedelta(), 90),
        (datetime.timedelta(seconds=1), 89),
        (datetime.timedelta(days=90), 0),
        (datetime.timedelta(days=90, seconds=1), -1),
    ],
)
def test_only_whole_days_are_left(issue, later, days):
    assert describe(issue(days=90, now=NOW).certificates, NOW + later)["days_left"] == days


def test_the_key_fingerprint_stays_when_the_same_key_gets_a_new_certificate(issue):
    chain = issue(by="itself")
    digest = hashlib.sha256(public_bytes(chain.key.public_key())).hexdigest().upper()
    assert public_key_fingerprint(chain.leaf.public_key()).replace(":", "") == digest


def test_a_certificate_without_a_san_names_nobody(fleet_ca):
    facts = describe([fleet_ca[0]], utc_now())
    assert facts["subject_alternative_names"] == []
    assert facts["self_signed"] is True


def test_a_description_holds_no_key(issue):
    facts = describe(issue().certificates, utc_now())
    assert "PRIVATE" not in str(facts)
    assert facts["subject_alternative_names"] == ["mx1.example.com"]
    assert facts["self_signed"] is False
    assert facts["certificate_sha256"].count(":") == 31


def test_fingerprints_differ_between_certificates(issue):
    assert certificate_fingerprint(issue().leaf) != certificate_fingerprint(issue().leaf)


def test_a_certificate_that_cryptography_cannot_read_is_described_in_the_same_words(issue, tmp_path):
    strange = strange_keys.make(tmp_path)
    facts = describe(read_certificates("chain", strange.chain.encode()), utc_now())
    assert set(facts) == set(describe(issue().certificates, utc_now()))
    digest = hashlib.sha256(strange_keys.public_key(strange.key)).hexdigest().upper()
    assert (facts["key_type"], facts["key_size"], facts["signature_hash"]) == ("ecdsa", 0, "sha256")
    assert facts["public_key_sha256"].replace(":", "") == digest
    assert facts["tlsa"][0] == f"3 1 1 {digest}" and len(facts["tlsa"]) == 2
    assert (facts["subject"], facts["self_signed"]) == ("CN=mx1.example.com", False)


@pytest.mark.parametrize("kind", ["1.3.101.123", "mldsa65"])
def test_a_key_and_a_signature_of_a_kind_that_nobody_here_knows_are_described(issue, kind):
    chain = issue(kind=("ed25519", 0), by="itself")
    der = chain.leaf.public_bytes(Encoding.DER)
    longer = bytes.fromhex("0609608648016503040312") if kind == "mldsa65" else bytes.fromhex("06032b657b")
    (made,) = [x509.load_der_x509_certificate(renumbered(der, longer))]
    facts = describe([made], utc_now())
    assert (facts["key_type"], facts["key_size"], facts["signature_hash"]) == (kind, 0, None)
    assert facts["self_signed"] is True


def renumbered(der, identifier):
    """An Ed25519 certificate with another kind of key and of signature: the lengths around the identifiers grow with them."""

    def rebuild(value):
        header = 2 + (value[1] & 0x7F if value[1] & 0x80 else 0)
        if value == bytes.fromhex("06032b6570"):
            return identifier
        if not value[0] & 0x20:
            return value
        content, parts = value[header:], []
        while content:
            start = 2 + (content[1] & 0x7F if content[1] & 0x80 else 0)
            size = content[1] if start == 2 else int.from_bytes(content[2:start], "big")
            parts.append(rebuild(content[: start + size]))
            content = content[start + size :]
        body = b"".join(parts)
        length = len(body)
        size = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
        return value[:1] + size + body

    return rebuild(der)


HOSTILE = "mx1\r\nfailed=0 \x1b[2J\u202e"


def test_names_that_strangers_chose_are_escaped_wherever_they_are_told():
    made = certify(HOSTILE, ec_key(), authority(HOSTILE), ["mx1.example.com", "\x1b[31m.example.com"])
    facts = describe([made.certificate], utc_now())
    assert facts["subject"] == facts["issuer"] == r"CN=mx1\r\nfailed=0 \x1b[2J\u202e"
    assert facts["subject_alternative_names"] == ["mx1.example.com", r"\x1b[31m.example.com"]
    assert all(value.isprintable() for name, value in facts.items() if name != "chain" and isinstance(value, str))


def test_an_extension_that_cannot_be_read_says_nothing():
    unreadable = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, b"\x30\x03\x82\x01\xff")
    made = certify("mx1.example.com", ec_key(), extensions=[(unreadable, False)])
    assert describe([made.certificate], utc_now())["subject_alternative_names"] == []


@pytest.mark.parametrize("key", [ec_key(), rsa_key(2048)])
def test_fingerprints_of_keys_are_taken_of_what_stands_in_the_certificate(key):
    facts = describe([certify("mx1.example.com", key).certificate], utc_now())
    assert facts["public_key_sha256"] == public_key_fingerprint(key.public_key())
