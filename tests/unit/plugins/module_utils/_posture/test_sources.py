# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Heard
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.configuration import Configuration
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.maps import Maps
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.posture import read_posture
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.sources import questions
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import TODAY
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import table

STS = "socketmap:inet:127.0.0.1:8462:policy"
MAY = {"smtp_tls_security_level": "may"}


def posture(node, maps, heard=(), **over):
    """Of main.cf with these maps, tables of the operator's among them, once others have said so much."""
    named = [item if isinstance(item, str) else table(node, f"policy-{len(node.tables)}", item) for item in maps]
    wanted = {**MAY, "smtp_tls_policy_maps": ", ".join(named), **over}
    node.write("".join(f"{n} = {v}\n" for n, v in wanted.items()))
    postfix = node.postfix
    postfix.heard.update(heard)
    return read_posture(Configuration(node.state, Maps(postfix, {}), {}), TODAY)


def fallen(node, maps_before, maps_after, heard=()):
    before, after = (posture(node, maps, heard) for maps in (maps_before, maps_after))
    return [str(item) for item in after.weaker_than(before)]


RECORD, ALONE = ({"a.example": "encrypt"}, STS), (STS,)


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        (ALONE, RECORD, ["a.example", ".example"]),
        (RECORD, ALONE, ["a.example", ".example"]),
        (RECORD, ({"a.example": "may"}, STS), []),
        (RECORD, RECORD, []),
        (RECORD, RECORD[:1], []),
        (ALONE, (), []),
        ((), ALONE, []),
        (ALONE, ("socketmap:inet:127.0.0.1:1:other",), []),
    ],
    ids=["a record comes", "one goes", "one changes", "none", "the source goes", "alone", "it comes", "another comes"],
)
def test_a_source_that_stays_is_asked_for_what_a_change_touches(node, before, after, asked):
    found = questions(posture(node, before), posture(node, after))
    assert found == [(STS, key) for key in asked]


def routed(node, target):
    """Mail for one domain goes elsewhere."""
    return {"transport_maps": table(node, f"transport-{len(node.tables)}", {"b.example": f"smtp:{target}"})}


def test_a_destination_that_no_change_touches_is_not_asked_for(node):
    before = posture(node, RECORD, **routed(node, "[hub.example]"))
    after = posture(node, ({**RECORD[0], "c.example": "may"}, STS), **routed(node, "[hub.example]"))
    assert questions(before, after) == [(STS, "c.example"), (STS, ".example")]


def test_another_next_hop_is_asked_for_as_postfix_would(node):
    before, after = (posture(node, ALONE, **routed(node, f"[hub.example]{port}")) for port in ("", ":587"))
    assert questions(before, after) == [(STS, "[hub.example]"), (STS, "[hub.example]:587")]


def test_a_smarthost_takes_from_all_domains_what_a_source_gave_them(node):
    before, after = posture(node, ALONE), posture(node, ALONE, relayhost="[hub.example]")
    assert questions(before, after) == [(STS, "[hub.example]")]
    heard = {(STS, "[hub.example]"): Heard(True)}
    for known in ({}, heard):
        before, after = posture(node, ALONE, known), posture(node, ALONE, known, relayhost="[hub.example]")
        fallen = [item.name for item in after.weaker_than(before)]
        assert fallen == ["other mail.policy_sources"]


def test_another_smarthost_is_asked_for_and_loses_nothing(node):
    heard = {(STS, f"[hub{number}.example]"): Heard(True) for number in (1, 2)}
    before, after = (posture(node, ALONE, heard, relayhost=f"[hub{number}.example]") for number in (1, 2))
    assert not after.weaker_than(before)


def test_a_source_that_goes_is_told_once_also_where_domains_have_routes(node):
    before = posture(node, ALONE, **routed(node, "[hub.example]"))
    after = posture(node, (), **routed(node, "[hub.example]"))
    assert [item.name for item in after.weaker_than(before)] == ["other mail.policy_sources"]


def test_a_smarthost_that_is_verified_is_as_good_as_any_source(node):
    maps = ({"[hub.example]": "secure"}, STS)
    before, after = posture(node, ALONE), posture(node, maps, relayhost="[hub.example]")
    assert not after.weaker_than(before)


def answers(policy):
    return {(STS, "a.example"): Heard(True, policy), (STS, ".example"): Heard(True)}


@pytest.mark.parametrize(
    ("heard", "before", "after", "expected"),
    [
        (answers("secure match=mx.a.example"), ALONE, RECORD, ["domain a.example.level from secure to encrypt"]),
        (answers("secure match=mx.a.example"), RECORD, ALONE, []),
        (answers("may"), ALONE, RECORD, []),
        (answers("may"), RECORD, ALONE, ["domain a.example.level from encrypt to may"]),
        (answers(None), ALONE, RECORD, []),
        (answers(None), RECORD, ALONE, ["domain a.example.level from encrypt to may"]),
        (answers("dane-only"), ALONE, RECORD, ["domain a.example.level from dane-only to encrypt"]),
        ({}, ALONE, RECORD, [f"domain a.example.policy_sources from {STS} to nothing"]),
        ({(STS, "a.example"): Heard(False)}, ALONE, RECORD, [f"domain a.example.policy_sources from {STS} to nothing"]),
        ({}, RECORD, RECORD, []),
        ({}, ALONE, ({"a.example": "secure match=mx.a.example"}, STS), []),
        ({}, ALONE, (), [f"other mail.policy_sources from {STS} to nothing"]),
        ({}, RECORD, RECORD[:1], [f"other mail.policy_sources from {STS} to nothing"]),
    ],
)
def test_what_a_source_says_of_a_domain_is_compared_and_what_it_does_not_say_counts_as_weaker(
    node, heard, before, after, expected
):
    assert fallen(node, before, after, heard) == expected


def test_a_record_goes_unheard_only_with_leave(node):
    assert f"domain a.example.policy from nothing to {STS}" in fallen(node, RECORD, ALONE)


def test_a_failure_is_no_word_about_a_domain(node):
    node.sources[STS] = {"a.example": "secure"}
    assert node.postfix.ask_others((STS, "a.example"), 5) == Heard(True, "secure")
    assert node.postfix.ask_others((STS, "b.example"), 5) == Heard(True, None)
    node.sources[STS] = "out of order"
    assert node.postfix.ask_others((STS, "a.example"), 5) == Heard(False)
