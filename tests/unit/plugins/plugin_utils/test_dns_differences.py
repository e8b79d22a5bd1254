# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of answers; whole comparisons stand in the filter's tests."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_differences
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_answers import Answer, Signature
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_records import Record

NAME, KEY = "_25._tcp.mx1.example.com.", "3 1 1 " + "AA" * 32
RECORD = Record(NAME, "TLSA", 3600, KEY, False, (frozenset([KEY]),))
SIGNED = Signature(0, 2**31)


@pytest.mark.parametrize(
    ("answer", "published"),
    [(Answer((KEY,)), True), (Answer(), False), (Answer(failure="SERVFAIL"), None)],
)
def test_a_record_is_published_or_not_or_nobody_knows(answer, published):
    assert _dns_differences.is_published(RECORD, answer) is published


def test_a_key_in_two_certificates_is_published_where_both_are_matched():
    whole = ["3 0 1 " + digits * 32 for digits in ("BB", "CC")]
    shared = Record(NAME, "TLSA", 60, KEY, False, tuple(frozenset([KEY, w]) for w in whole))
    assert _dns_differences.is_published(shared, Answer((whole[0],))) is False
    assert _dns_differences.is_published(shared, Answer(tuple(whole))) is True
    assert _dns_differences.is_published(shared, Answer((KEY,))) is True


@pytest.mark.parametrize(
    ("kind", "answer", "warned"),
    [
        ("TLSA", Answer((KEY,), authoritative=True, signature=SIGNED), True),
        ("MX", Answer(("10 mx1.example.com.",), authoritative=True, signature=SIGNED), True),
        ("TXT", Answer(("v=STSv1; id=1;",), authoritative=True, signature=SIGNED), False),
        ("TLSA", Answer((KEY,), authoritative=True), False),
        ("TLSA", Answer((KEY,), authenticated=True, signature=SIGNED), False),
    ],
)
def test_that_a_name_server_vouches_for_nothing_is_told_once(kind, answer, warned):
    found = _dns_differences.unvouched({(NAME, kind): answer, ("other.", kind): answer})
    assert len(found) == warned
