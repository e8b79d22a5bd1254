# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import fitness
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HOST = "mx1.example.com"


def certificate(key=None, names=(HOST,), usages=None, issuer=None, signed_with=None):
    """A certificate as another tool could have made it: only what is given stands in it."""
    key = key or make_key(KeySpec("ecdsa", 256))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder().subject_name(subject).serial_number(7).public_key(key.public_key())
    builder = builder.issuer_name(issuer[0].subject if issuer else subject)
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + 90 * DAY)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(issuer[1] if issuer else key, signed_with or hashes.SHA256())


def unfit(made, use="server", authorities=(), host=HOST, now=NOW):
    return list(fitness.unfit_for_agents([made], host, use, authorities, now))


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (NOW, []),
        (NOW - 2 * DAY, ["is not valid before 2025-12-31"]),
        (NOW + 90 * DAY - datetime.timedelta(seconds=1), []),
        (NOW + 90 * DAY, ["expired on 2026-04-01"]),
    ],
)
def test_a_certificate_is_good_from_its_first_second_to_its_last(at, found):
    assert list(fitness.weaknesses(certificate(), at)) == found


@pytest.mark.parametrize(("bits", "found"), [(1024, ["has an RSA key of 1024 bits, fewer than 2048"]), (2048, [])])
def test_an_rsa_key_below_2048_bits_is_weak(bits, found):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    assert list(fitness.weaknesses(certificate(key), NOW)) == found


def test_a_certificate_without_a_san_names_no_host():
    assert list(fitness.weaknesses(certificate(names=()), NOW)) == ["names no host in its SAN"]


def test_a_signature_with_sha_1_is_weak(monkeypatch):
    made = certificate()
    monkeypatch.setattr(fitness, "hash_name", lambda certificate: "sha1")
    assert list(fitness.weaknesses(made, NOW)) == ["is signed with SHA1"]


@pytest.mark.parametrize(
    ("usages", "use", "found"),
    [
        (None, "server", []),
        (None, "client", []),
        ([ExtendedKeyUsageOID.SERVER_AUTH], "server", []),
        (
            [ExtendedKeyUsageOID.SERVER_AUTH],
            "client",
            ["is not allowed as a client certificate by its extended key usage"],
        ),
        (
            [ExtendedKeyUsageOID.CLIENT_AUTH],
            "server",
            ["is not allowed as a server certificate by its extended key usage"],
        ),
        (
            [ExtendedKeyUsageOID.CODE_SIGNING],
            "client",
            ["is not allowed as a client certificate by its extended key usage"],
        ),
    ],
)
def test_a_certificate_must_be_allowed_for_its_side(fleet_ca, usages, use, found):
    assert unfit(certificate(usages=usages, issuer=fleet_ca), use, [fleet_ca[0]]) == found


def test_every_reason_is_given_at_once():
    made = certificate(names=["mx9.example.com"], usages=[ExtendedKeyUsageOID.CLIENT_AUTH])
    assert unfit(made, now=NOW + 91 * DAY) == [
        "is self-signed",
        "expired on 2026-04-01",
        "names mx9.example.com and not this host, mx1.example.com",
        "is not allowed as a server certificate by its extended key usage",
        "is not issued by a CA in ca_file",
    ]


def test_one_ca_of_several_is_enough(fleet_ca):
    stranger = certificate()
    assert unfit(certificate(issuer=fleet_ca), authorities=[stranger, fleet_ca[0]]) == []
