# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_pending_table import FilterModule, pending_table
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.filter.table_rows import rows


def changed(before, after):
    return {"changed": True, "before": before, "after": after, "pending": {"set": {}, "unset": []}}


def test_what_differs_is_a_row_of_before_and_after():
    mode = changed(
        {"server": {"level": "none", "ciphers": "medium"}, "client": {"match": ["a", "b"]}},
        {"server": {"level": "may", "ciphers": "medium"}, "client": {"match": []}},
    )
    domains = changed([], [{"name": "partner.example"}])
    hostvars = {"mx1": {"lenient_default_mode": mode, "lenient_default_domain_policy": domains}, "mx2": {}}
    assert rows(pending_table(["mx1", "mx2"], hostvars))[2:] == [
        ["mx1", "server.level", "none", "may"],
        ["mx1", "client.match", "a, b", "-"],
        ["mx1", "domains", "-", "partner.example"],
    ]


def test_what_changes_inside_a_record_is_a_row_of_its_own():
    before = [{"name": "bank.example", "level": "secure", "route": None}, {"name": "gone.example"}]
    after = [{"name": "bank.example", "level": "may", "route": "[mx.bank.example]:25"}, {"name": "new.example"}]
    table = pending_table(["mx1"], {"mx1": {"lenient_default_domain_policy": changed(before, after)}})
    assert rows(table)[2:] == [
        ["mx1", "domains", "gone.example", "new.example"],
        ["mx1", "bank.example: level", "secure", "may"],
        ["mx1", "bank.example: route", "-", "[mx.bank.example]:25"],
    ]


def test_a_change_behind_the_same_policy_names_its_parameters():
    mode = changed({"server": {"level": "may"}}, {"server": {"level": "may"}})
    mode["pending"] = {"set": {"smtpd_tls_loglevel": "1"}, "unset": ["smtpd_tls_CApath"]}
    assert rows(pending_table(["mx1"], {"mx1": {"trusted_agents_strict_mode": mode}}))[2] == [
        "mx1",
        "parameters",
        "smtpd_tls_loglevel, smtpd_tls_CApath",
    ]


@pytest.mark.parametrize("hostvars", [{}, {"lenient_default_mode": {"changed": False}}])
def test_nodes_that_are_as_they_should_be_are_told_in_a_sentence(hostvars):
    assert pending_table(["mx1"], {"mx1": hostvars}) == "Nothing differs: every node is as its profile says."


def test_the_table_of_pending_changes_is_a_filter():
    assert FilterModule().filters() == {"smtp_pending_table": pending_table}
