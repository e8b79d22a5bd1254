# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._changes import (
    Change,
    certificate_changes,
    changes,
    told,
    word,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.recorded_fleet import MODE, SETTLED


def record(**over):
    return {"name": "bank.example", "level": "secure", "match": [], "route": None, **over}


def domains(before, after, **over):
    return {"trusted_agents_strict_domain_policy": {"changed": True, "before": before, "after": after, **over}}


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([record()], [record(level="may")], [("bank.example: level", "secure", "may", 1)]),
        (
            [record()],
            [record(match=["mx.bank.example"], route="[mx.bank.example]:25")],
            [
                ("bank.example: match", [], ["mx.bank.example"], 1),
                ("bank.example: route", None, "[mx.bank.example]:25", 1),
            ],
        ),
        ([], [record()], [("domains", [], ["bank.example"], 1)]),
        ([record(), record(name="b")], [record(name="c")], [("domains", ["bank.example", "b"], ["c"], 3)]),
        ([record()], [record()], [("parameters", None, [], 1)]),
    ],
)
def test_what_changes_inside_a_record_is_told_by_its_name(before, after, found):
    assert changes(domains(before, after)) == [Change(*one) for one in found]


def test_next_hops_for_which_mail_would_wait_are_told_and_count_as_no_values():
    hop = {"next_hop": "[mx.test]:25", "by": "relayhost", "delivered": False, "reason": "no STARTTLS"}
    found = changes(domains([], [record()], next_hops=[hop, {**hop, "delivered": True}]))
    assert found[1:] == [Change("mail for [mx.test]:25 (relayhost)", "sent", "waits: no STARTTLS", 0)]


@pytest.mark.parametrize("result", [{}, SETTLED, {"failed": True, "msg": "no"}, {"skipped": True, "changed": False}])
def test_what_changes_nothing_or_failed_has_no_changes(result):
    assert changes({"trusted_agents_strict_mode": result, "trusted_agents_strict_domain_policy": result}) == []


def test_values_that_differ_are_told_by_side_and_name():
    found = changes({"trusted_agents_strict_mode": MODE})
    assert (len(found), found[0]) == (8, Change("server.level", "may", "encrypt"))


@pytest.mark.parametrize(
    ("result", "after"),
    [
        ({"changed": True, "reason": "it expires"}, ["it expires"]),
        ({"changed": True, "reason": None}, ["active"]),
        ({"changed": False, "reason": None}, []),
        ({"changed": True, "failed": True}, []),
        ({}, []),
    ],
)
def test_a_certificate_that_was_brought_is_a_change_with_its_reason(result, after):
    found = certificate_changes({"lenient_default_certificate_result": result})
    assert found == [Change("certificate", None, reason) for reason in after]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (["a", "b"], "a, b"),
        ({"level": "encrypt", "pins": [], "client_certificates": None}, "level encrypt"),
        ({}, "-"),
    ],
)
def test_values_are_written_as_people_read_them(value, text):
    assert word(value) == text


def test_of_parameters_only_the_names_are_told():
    assert told("parameters", None, ["a", "b"]) == ("parameters", "", "a, b")
    assert told("client.match", None, []) == ("client.match", "-", "-")
