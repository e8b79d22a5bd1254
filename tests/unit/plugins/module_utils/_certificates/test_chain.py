# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    build_chain,
    certificates_pem,
    is_issued_by,
    order,
    read_certificates,
    read_chain,
    read_chain_file,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    request,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError

SPEC = CertificateSpec(("mx1.example.com",), 90)


@pytest.fixture(scope="module")
def ladder():
    """Key and certificates of a host: leaf, issuing CA, root."""
    keys = [make_key(KeySpec("ecdsa", 256)) for _step in range(3)]
    root = make_ca("Root", keys[2], 3650, utc_now())
    issuing = sign_request(
        request(["ca.example.com"], keys[1]), CertificateSpec(("ca.example.com",), 900), root, keys[2], utc_now()
    )
    leaf = sign_request(request(SPEC.names, keys[0]), SPEC, issuing, keys[1], utc_now())
    return Chain(keys[0], (leaf, issuing, root))


@pytest.mark.parametrize("places", list(itertools.permutations(range(3))))
def test_a_chain_is_put_in_order_from_any_order(ladder, places):
    shuffled = certificates_pem([ladder.certificates[place] for place in places])
    assert read_chain("pem", write_key(ladder.key), shuffled).certificates == ladder.certificates


def test_a_chain_ends_where_the_next_issuer_is_missing(ladder):
    leaf, _issuing, root = ladder.certificates
    assert order(leaf, [root]) == (leaf,)


def test_a_certificate_that_does_not_belong_to_the_chain_is_left_out(ladder, issue):
    leaf, issuing, _root = ladder.certificates
    assert order(leaf, [issue().leaf, issuing]) == (leaf, issuing)


def test_a_root_stands_alone(ladder):
    root = ladder.certificates[2]
    assert order(root, list(ladder.certificates[:2])) == (root,)


def test_a_ca_of_the_same_name_with_another_key_did_not_issue_it(issue):
    impostor = make_ca("Fleet CA", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    assert issue().leaf.issuer == impostor.subject
    assert not is_issued_by(issue().leaf, impostor)


def test_a_ca_of_another_name_with_the_same_key_did_not_issue_it(issue, fleet_ca):
    renamed = make_ca("Renamed CA", fleet_ca[1], 3650, utc_now())
    assert not is_issued_by(issue().leaf, renamed)


def test_an_rsa_ca_is_recognised_by_its_signature():
    ca_key, key = make_key(KeySpec("rsa", 2048)), make_key(KeySpec("ecdsa", 256))
    ca = make_ca("RSA CA", ca_key, 3650, utc_now())
    assert is_issued_by(sign_request(request(SPEC.names, key), SPEC, ca, ca_key, utc_now()), ca)


def test_certificates_are_read_in_the_order_they_stand_in_with_words_between(ladder):
    text = (
        b"subject: leaf\n"
        + certificates_pem(ladder.certificates[:1])
        + b"\n\n# CA\n"
        + certificates_pem(ladder.certificates[1:])
    )
    assert read_certificates("ca_file", text) == ladder.certificates


def test_a_chain_file_for_two_kinds_of_key_is_read_up_to_the_second_key(ladder, issue):
    content = ladder.to_pem() + issue().to_pem()
    assert read_chain_file("/store/1.pem", content).certificates == ladder.certificates


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ("certificate", "/store/1.pem: holds no private key; a chain file begins with one"),
        ("key", "/store/1.pem: holds no certificate in PEM; give one that begins with BEGIN CERTIFICATE."),
    ],
)
def test_half_a_chain_file_is_refused_by_name(ladder, parts, sentence):
    content = certificates_pem(ladder.certificates) if parts == "certificate" else write_key(ladder.key)
    with pytest.raises(CertificateError) as refusal:
        read_chain_file("/store/1.pem", content)
    assert str(refusal.value).startswith(sentence)


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
