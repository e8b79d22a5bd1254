# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_tlsa

KEY, OTHER, CA = "3 1 1 " + "AA" * 32, "3 1 2 " + "BB" * 64, "2 1 1 " + "CC" * 32
WHOLE = "3 0 1 " + "DD" * 32
VERBATIM = "3 1 0 3082"


def test_what_holds_the_key_itself_says_what_its_digest_says():
    assert _dns_tlsa.said(VERBATIM) == "3 1 1 " + hashlib.sha256(b"\x30\x82").hexdigest().upper()
    assert [_dns_tlsa.said(value) for value in (KEY, OTHER, CA)] == [KEY, OTHER, CA]


@pytest.mark.parametrize(
    ("published", "passed_over"),
    [
        ([KEY], []),
        ([KEY, OTHER], [KEY]),
        ([OTHER, KEY], [KEY]),
        ([KEY, WHOLE, CA, OTHER], [KEY]),
        ([KEY, WHOLE, CA], []),
        ([VERBATIM, OTHER], []),
        ([KEY, "3 1 3 AB"], ["3 1 3 AB"]),
        ([], []),
    ],
)
def test_of_one_usage_and_selector_the_strongest_digest_counts_alone(published, passed_over):
    looked_at = {_dns_tlsa.said(value) for value in published if value not in passed_over}
    assert _dns_tlsa.looked_at(published) == looked_at


@pytest.mark.parametrize(("value", "hides"), [(OTHER, True), (KEY, False), ("2 1 2 " + "CC" * 64, False)])
def test_a_record_by_sha_512_hides_weaker_ones_of_keys(value, hides):
    assert _dns_tlsa.hides(value) is hides


@pytest.mark.parametrize(("value", "of_key"), [(KEY, True), (WHOLE, True), (CA, False)])
def test_a_record_of_a_ca_names_no_key_that_is_served(value, of_key):
    assert _dns_tlsa.is_of_end_entity(value) is of_key
