# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.authority import (
    forbidden,
    unable_to_sign,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from cryptography import x509
from flawed import CRL_ALONE
from pki import authority, certify, ec_key

ROOT = authority("Root", path_length=1)
SIGNS = [(x509.KeyUsage(*[False] * 5, True, *[False] * 3), True)]
MAY_SIGN_CRLS_ALONE = [(CRL_ALONE, True)]


def said(*identities):
    return list(unable_to_sign([identity.certificate for identity in identities], utc_now()))


@pytest.mark.parametrize(
    ("made", "problems"),
    [
        ({}, []),
        ({"path_length": 0, "extensions": SIGNS}, []),
        ({"begin": -9, "end": -1}, ["the CA has expired"]),
        ({"begin": 400, "end": 500}, ["the CA is not valid before "]),
        ({"extensions": MAY_SIGN_CRLS_ALONE}, ["the CA may not sign certificates by its key usage"]),
        (
            {"begin": -9, "end": -1, "extensions": MAY_SIGN_CRLS_ALONE},
            ["the CA may not sign certificates by its key usage", "the CA has expired"],
        ),
    ],
)
@pytest.mark.parametrize("issuer", [None, ROOT])
def test_a_ca_signs_in_its_time_and_by_its_usage(made, problems, issuer):
    found = said(authority("Fleet CA", issuer, **made), *([issuer] if issuer else []))
    assert len(found) == len(problems)
    assert all(sentence.startswith(problem) for sentence, problem in zip(found, problems))


def test_a_host_is_no_ca():
    assert said(certify("Host", ec_key())) == ["the CA is not a CA's certificate"]


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ({"path_length": 0}, "allows 0 CAs beneath it and has 1"),
        ({"begin": -9, "end": -1}, "has expired"),
        ({"extensions": MAY_SIGN_CRLS_ALONE}, "may not sign certificates by its key usage"),
    ],
)
def test_the_cas_above_count_too_and_are_named(made, problem):
    root = authority("Root\n", **made)
    assert said(authority("Fleet CA", root), root) == [rf"the CA above it, CN=Root\n, {problem}"]


def test_a_path_may_be_as_long_as_its_cas_allow():
    middle = authority("Middle", ROOT)
    assert said(middle, ROOT) == []
    assert said(authority("Lower", middle), middle, ROOT) == [
        "the CA above it, CN=Root, allows 1 CAs beneath it and has 2"
    ]


@pytest.mark.parametrize(
    ("permitted", "excluded", "names", "refused"),
    [
        (None, None, ["mx1.example.com"], []),
        (["example.com"], None, ["mx1.example.com", "EXAMPLE.com", "*.example.com"], []),
        (
            ["example.com"],
            None,
            ["mx1.badexample.com", "example.com.evil.test"],
            ["mx1.badexample.com", "example.com.evil.test"],
        ),
        ([".example.com"], None, ["mx1.example.com", "example.com"], ["example.com"]),
        (["example.com", "example.net"], None, ["mx1.example.net"], []),
        (None, ["example.com"], ["mx1.example.com", "mx1.example.net"], ["mx1.example.com"]),
        (["example.com"], ["mx9.example.com"], ["mx1.example.com", "mx9.example.com"], ["mx9.example.com"]),
        (None, [""], ["mx1.example.com"], ["mx1.example.com"]),
    ],
)
@pytest.mark.parametrize("above", [False, True])
def test_name_constraints_say_for_whom_a_ca_may_sign(permitted, excluded, names, *, refused, above):
    subtrees = [trees and [x509.DNSName(tree) for tree in trees] for trees in (permitted, excluded)]
    extensions = [(x509.NameConstraints(*subtrees), True)] if any(subtrees) else []
    ca = authority("CA", extensions=extensions)
    chain = [authority("Lower", ca), ca] if above else [ca]
    assert list(forbidden([identity.certificate for identity in chain], names)) == refused


def test_constraints_of_other_kinds_of_names_are_left_to_openssl():
    ca = authority("CA", extensions=[(x509.NameConstraints([x509.RFC822Name("example.com")], None), True)])
    assert list(forbidden([ca.certificate], ["mx1.elsewhere.test"])) == []
