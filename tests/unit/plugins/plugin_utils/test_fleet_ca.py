# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import os
import re

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    is_issued_by,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca, request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import (
    not_after,
    utc_now,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._controller_files import ControllerFiles
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448
from flawed import CRL_ALONE
from pki import authority, ed_key

ROOT = authority("Root", path_length=0)


def paths(folder):
    return str(folder / "ca.pem"), str(folder / "ca.key")


def read(path):
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def test_a_ca_is_made_once_with_a_key_for_its_owner_alone(tmp_path):
    certificate, key = paths(tmp_path / "new")
    assert _fleet_ca.create_if_missing(certificate, key, "secret")
    made = read(certificate), read(key)
    assert oct(os.stat(key).st_mode & 0o777) == "0o600"
    assert "ENCRYPTED" in made[1]
    assert not _fleet_ca.create_if_missing(certificate, key, "secret")
    assert (read(certificate), read(key)) == made


def test_half_a_ca_is_refused(tmp_path):
    certificate, key = paths(tmp_path)
    (tmp_path / "ca.pem").write_text("there")
    with pytest.raises(HardeningError, match="finds only one of"):
        _fleet_ca.create_if_missing(certificate, key, None)


def test_a_ca_key_that_does_not_fit_is_refused(tmp_path):
    one, other = paths(tmp_path / "one"), paths(tmp_path / "other")
    for pair in (one, other):
        _fleet_ca.create_if_missing(*pair, None)
    with pytest.raises(HardeningError, match="does not match the first certificate"):
        _fleet_ca.load(read(one[0]), read(other[1]), None)


def test_a_node_cannot_ask_for_another_nodes_name(tmp_path, issue):
    certificate, key = paths(tmp_path)
    _fleet_ca.create_if_missing(certificate, key, None)
    authority = _fleet_ca.load(read(certificate), read(key), None)
    csr = request(["mx2.example.com"], issue().key).decode()
    signed = read_certificates("signed", authority.sign(csr, ["mx1.example.com"], 90).encode())
    assert dns_names(signed[0]) == ["mx1.example.com"]


def test_a_leaf_cannot_sign(issue):
    chain = issue()
    with pytest.raises(HardeningError, match="is not a CA's"):
        _fleet_ca.load(certificates_pem(chain.certificates).decode(), write_key(chain.key).decode(), None)


def test_an_expired_ca_cannot_sign():
    key = make_key(KeySpec("ecdsa", 256))
    certificate = make_ca("Old CA", key, 1, utc_now() - datetime.timedelta(days=9))
    with pytest.raises(HardeningError, match="the CA has expired"):
        _fleet_ca.load(certificates_pem([certificate]).decode(), write_key(key).decode(), None)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_each_request_gets_a_certificate_of_its_own(tmp_path, issue, count):
    certificate, key = paths(tmp_path)
    _fleet_ca.create_if_missing(certificate, key, None)
    authority = _fleet_ca.load(read(certificate), read(key), None)
    keys = [issue().key for _turn in range(count)]
    signed = authority.sign(
        b"".join(request(["mx1.example.com"], key) for key in keys).decode(), ["mx1.example.com"], 90
    )
    assert signed.count("BEGIN CERTIFICATE") == count


@pytest.mark.parametrize(
    ("name", "domains", "covered"),
    [
        ("mx1.example.com", None, True),
        ("mx1.example.com", [], False),
        ("MX1.Example.com", ["example.COM"], True),
        ("example.com", [".example.com"], True),
        ("badexample.com", ["example.com"], False),
        ("example.com", ["mx1.example.com"], False),
        ("example.com.evil.example", ["example.com"], False),
        ("*.example.com", ["example.com"], True),
        ("*.com", ["example.com"], False),
    ],
)
def test_a_name_is_in_a_domain_by_whole_labels(name, domains, covered):
    if covered:
        _fleet_ca.check_domains([name], domains)
        return
    with pytest.raises(HardeningError, match=f"does not cover {re.escape(name)}, as which the node is to be known"):
        _fleet_ca.check_domains([name], domains)


def described(folder, **more):
    certificate, key = paths(folder)
    return {"ca_certificate": certificate, "ca_private_key": key, **more}


@pytest.fixture
def files():
    return ControllerFiles(DataLoader(), None, {"inventory_hostname": "mx1.example.com"})


def test_a_ca_is_provided_once_and_not_in_check_mode(tmp_path, files):
    given = described(tmp_path / "new")
    found = [_fleet_ca.provide(files, "own_ca", given, check_mode) for check_mode in (True, False, False, True)]
    assert [(one.is_there, one.made) for one in found] == [(False, True), (True, True), (True, False), (True, False)]
    assert {(one.certificate, one.key) for one in found} == {paths(tmp_path / "new")}


def test_a_ca_that_is_given_as_content_is_there(tmp_path, files):
    given = {"ca_certificate": ROOT.pem, "ca_private_key": ROOT.key_pem}
    found = _fleet_ca.provide(files, "own_ca", given, check_mode=False)
    assert (found.is_there, found.made) == (True, False)
    assert (found.certificate, found.key) == ("own_ca.ca_certificate", "own_ca.ca_private_key")


def test_two_cas_can_be_told_apart_by_their_names(tmp_path):
    names = set()
    for turn in range(2):
        certificate, key = paths(tmp_path / str(turn))
        _fleet_ca.create_if_missing(certificate, key, None)
        (made,) = read_certificates("ca", read(certificate).encode())
        names.add(made.subject.rfc4514_string())
    assert len(names) == 2
    assert all(re.fullmatch(r"CN=SMTP fleet CA \d{4}-\d\d-\d\d [0-9A-F]{8}", name) for name in names)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, ["own_ca"]),
        ({"next_ca": None}, ["own_ca"]),
        ({"next_ca": {"ca_certificate": "/next.pem"}}, ["own_ca", "own_ca.next_ca"]),
    ],
)
def test_the_cas_of_a_task_are_its_own_and_the_one_that_follows(given, options):
    assert [option for option, _given in _fleet_ca.options_of("own_ca", given)] == options


def test_of_cas_that_are_not_there_nothing_is_known(tmp_path, files):
    asked = [("own_ca", {"ca_certificate": ROOT.pem}), ("own_ca.next_ca", described(tmp_path))]
    assert _fleet_ca.known(files, asked) == [ROOT.certificate]


@pytest.mark.parametrize("value", [None, "", [], 7])
def test_an_option_of_a_ca_that_is_missing_is_named(value):
    with pytest.raises(
        HardeningError, match=r"^own_ca\.ca_private_key: is missing; give it as a path on the controller"
    ):
        _fleet_ca.check_given(
            "own_ca", {"ca_certificate": "x", "ca_private_key": value}, "ca_certificate", "ca_private_key"
        )


def load(*identities):
    return _fleet_ca.load("".join(identity.pem for identity in identities), identities[0].key_pem, None)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: [authority("CA", begin=1)], "the CA is not valid before "),
        (
            lambda: [authority("CA", extensions=[(CRL_ALONE, True)])],
            "the CA may not sign certificates by its key usage",
        ),
        (lambda: [authority("CA", ROOT), ROOT], "the CA above it, CN=Root, allows 0 CAs beneath it and has 1"),
        (
            lambda: [authority("CA", old := authority("Old", begin=-9, end=-1)), ROOT, old],
            "the CA above it, CN=Old, has expired",
        ),
    ],
)
def test_a_ca_whose_signatures_nobody_takes_does_not_sign(made, said):
    with pytest.raises(HardeningError) as refusal:
        load(*made())
    sentence = str(refusal.value)
    assert sentence.startswith(f"own_ca.ca_certificate: {said}")
    assert sentence.endswith("; give one that is valid, and trust both meanwhile.")


def test_a_ca_does_not_sign_for_names_outside_of_its_constraints(issue):
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    ca = load(authority("CA", extensions=[(constraints, True)]))
    csr = request(["mx1.example.com"], issue().key).decode()
    assert ca.sign(csr, ["mx1.example.com"], 90)
    with pytest.raises(HardeningError) as refusal:
        ca.sign(csr, ["mx1.example.com", "mx1.example.net"], 90)
    assert str(refusal.value) == (
        "own_ca.ca_certificate: the CA CN=CA may not sign for mx1.example.net by its name constraints; "
        "give names that they allow in own_ca.names, or another CA."
    )


def test_what_it_signs_ends_with_the_first_of_its_certificates(issue):
    root = authority("Root", end=9)
    ca = load(authority("CA", root), root)
    (leaf,) = read_certificates("signed", ca.sign(request(["mx1"], issue().key).decode(), ["mx1"], 90).encode())
    assert not_after(leaf) == not_after(root.certificate)


@pytest.mark.parametrize("key", [ed_key(), ed_key(ed448.Ed448PrivateKey)])
def test_a_ca_with_an_edwards_curve_signs(issue, key):
    made = authority("CA", key=key)
    signed = load(made).sign(request(["mx1.example.com"], issue().key).decode(), ["mx1.example.com"], 90)
    (leaf,) = read_certificates("signed", signed.encode())
    assert is_issued_by(leaf, made.certificate)
