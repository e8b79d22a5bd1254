# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    CertificateError,
    HardeningError,
    InvalidValue,
    PostfixError,
    ProofFailed,
    present,
    unforeseen,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.key_spellings import KEYS


def test_a_refused_value_is_one_sentence_of_option_value_problem_and_remedy():
    refusal = InvalidValue("server.level", "strict", "is not known", "use one of none, may, encrypt")
    assert str(refusal) == "server.level: 'strict' is not known; use one of none, may, encrypt."


@pytest.mark.parametrize("kind", [CertificateError, PostfixError, ProofFailed])
def test_every_failure_carries_facts_that_help(kind):
    failure = kind("The wire shows something else.", proof=["seen"])
    assert isinstance(failure, HardeningError)
    assert (str(failure), failure.facts) == ("The wire shows something else.", {"proof": ["seen"]})


@pytest.mark.parametrize("value", ["", 0, (), False])
def test_an_empty_value_is_there_and_none_is_not(value):
    assert present(value) is value
    with pytest.raises(AssertionError):
        present(None)


def test_no_sentence_repeats_a_key_nor_what_may_be_one():
    key = KEYS["p521-pkcs8-locked"].strip()
    assert str(HardeningError(f"it says {key!r}, which is no name.")) == "it says '(not shown)', which is no name."
    assert str(InvalidValue("name", key, "is no name", "x")) == "name: '(not shown)' is no name; x."
    assert str(InvalidValue("pem.certificate", "hunter2", "is bad", "x")) == "pem.certificate: '(not shown)' is bad; x."
    assert str(InvalidValue("pem.private_key", "/x.key", "is bad", "x")) == "pem.private_key: '/x.key' is bad; x."


def test_of_what_nobody_foresaw_the_kind_and_the_place_are_told_and_nothing_that_it_quotes():
    try:
        raise ValueError("-----BEGIN PRIVATE KEY-----")
    except ValueError as problem:
        assert re.fullmatch(r"ValueError in test_errors\.py, line \d+", unforeseen(problem))
