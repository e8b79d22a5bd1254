# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import hashlib
import ssl

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
    describe,
    public_key_fingerprint,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import public_bytes
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now

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
