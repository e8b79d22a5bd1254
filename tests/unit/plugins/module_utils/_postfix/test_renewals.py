# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import renewals
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.renewals import Last
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

GOOD = Last("ab", "2026-11-27T12:00:00Z", "2026-11-27T11:00:00Z", warnings=("12 days left",))
BAD = Last("ab", "2026-11-27T12:00:00Z", "2026-11-27T11:00:00Z", "the certificate expired", waits=True)


@pytest.mark.parametrize("last", [GOOD, BAD])
def test_what_is_kept_reads_back(node, last):
    path = write(renewals.last_path(node.store("renewal"), "mx"), last.to_json())
    assert renewals.read_last(path) == last


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b'{"pair": "a"}', b"\xff"])
def test_what_cannot_be_read_is_as_if_it_were_not_there(node, content):
    path = renewals.last_path(node.store("renewal"), "mx")
    if content is not None:
        write(path, content)
    assert renewals.read_last(path) is None


def test_facts_tell_when_and_why_and_no_digest():
    assert BAD.as_facts() == {
        "time": "2026-11-27T12:00:00Z",
        "since": "2026-11-27T11:00:00Z",
        "problem": "the certificate expired",
        "warnings": [],
    }


def test_every_certificate_that_was_looked_at_is_listed_with_what_failed(node):
    write(renewals.last_path(node.store("renewal"), "bad"), BAD.to_json())
    write(renewals.last_path(node.store("renewal"), "good"), GOOD.to_json())
    write(node.store("renewal", "good.json"), "{}")
    assert renewals.failing(node.store()) == [("bad", BAD), ("good", None)]
