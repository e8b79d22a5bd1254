# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import fitness
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    build_chain,
    certificates_pem,
    read_certificates,
    read_chain,
    read_chain_file,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import (
    certificate_fingerprint,
    describe,
    utc_now,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    read_key,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError

YEAR = datetime.timedelta(days=365)


def test_a_chain_file_begins_with_the_key_and_reads_back(issue):
    chain = issue()
    content = chain.to_pem()
    assert content.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert read_chain_file("chain.pem", content).certificates == chain.certificates


def test_certificates_are_put_in_order(issue, fleet_ca):
    chain = issue()
    shuffled = certificates_pem([fleet_ca[0], chain.leaf])
    assert read_chain("pem", write_key(chain.key), shuffled).certificates == (chain.leaf, fleet_ca[0])


def test_a_key_that_does_not_match_is_refused(issue):
    with pytest.raises(CertificateError, match="does not match the certificate"):
        build_chain("pem", make_key(KeySpec("ecdsa", 256)), issue().certificates)


def test_a_chain_file_with_a_foreign_key_is_refused_by_name(issue):
    content = write_key(make_key(KeySpec("ecdsa", 256))) + certificates_pem(issue().certificates)
    with pytest.raises(CertificateError, match=r"^/store/1.pem: the private key does not match"):
        read_chain_file("/store/1.pem", content)


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_refused(content):
    with pytest.raises(CertificateError, match="ca_file"):
        read_certificates("ca_file", content)


@pytest.mark.parametrize(("passphrase", "remedy"), [(None, "give its passphrase"), ("wrong", "passphrase is wrong")])
def test_an_encrypted_key_without_its_passphrase_is_refused_and_not_repeated(passphrase, remedy):
    pem = write_key(make_key(KeySpec("ecdsa", 256)), "right")
    with pytest.raises(CertificateError, match=remedy) as refusal:
        read_key("pem.private_key", pem, passphrase)
    assert pem.decode().splitlines()[1] not in str(refusal.value)


def test_an_encrypted_key_is_read_with_its_passphrase():
    assert read_key("pem.private_key", write_key(make_key(KeySpec("ecdsa", 256)), "right"), "right")


def test_a_description_holds_no_key(issue):
    facts = describe(issue().certificates, utc_now())
    assert "PRIVATE" not in str(facts)
    assert facts["subject_alternative_names"] == ["mx1.example.com"]
    assert facts["self_signed"] is False
    assert facts["certificate_sha256"].count(":") == 31


def test_fingerprints_differ_between_certificates(issue):
    assert certificate_fingerprint(issue().leaf) != certificate_fingerprint(issue().leaf)


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
