# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import fitness
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
YEAR = datetime.timedelta(days=365)
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


def test_a_good_agent_certificate_is_fit_for_both_uses(issue, fleet_ca):
    for use in ("server", "client"):
        assert not list(
            fitness.unfit_for_agents(issue().certificates, "mx1.example.com", use, [fleet_ca[0]], utc_now())
        )


@pytest.mark.parametrize(
    ("made", "host", "problem"),
    [
        ({"by": "itself"}, "mx1.example.com", "is self-signed"),
        ({"days": 1, "now": utc_now() - YEAR}, "mx1.example.com", "expired on"),
        ({"now": utc_now() + YEAR}, "mx1.example.com", "is not valid before"),
        ({"names": ["mx2.example.com"]}, "mx1.example.com", "and not this host"),
        ({"names": ["*.example.com"]}, "mx1.other.example", "and not this host"),
    ],
)
def test_an_unfit_agent_certificate_is_named(issue, fleet_ca, made, host, problem):
    chain = issue(**made)
    found = list(fitness.unfit_for_agents(chain.certificates, host, "server", [fleet_ca[0]], utc_now()))
    assert any(problem in sentence for sentence in found)


def test_a_certificate_of_a_foreign_ca_is_unfit(issue):
    stranger = issue(by="itself").leaf
    found = list(fitness.unfit_for_agents(issue().certificates, "mx1.example.com", "server", [stranger], utc_now()))
    assert found == ["is not issued by a CA in ca_file"]


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["mx1.example.com"], "MX1.example.com", True),
        (["*.example.com"], "mx1.example.com", True),
        (["*.example.com"], "a.mx1.example.com", False),
        (["*.example.com"], "example.com", False),
        ([], "mx1.example.com", False),
    ],
)
def test_a_wildcard_covers_one_label(names, host, covered):
    assert fitness.covers(names, host) is covered


def test_a_foreign_leaf_does_not_become_fit_by_what_follows_it(issue, fleet_ca):
    chain = [issue(by="itself").leaf, issue().leaf]
    found = list(fitness.unfit_for_agents(chain, "mx1.example.com", "server", [fleet_ca[0]], utc_now()))
    assert "is not issued by a CA in ca_file" in found
