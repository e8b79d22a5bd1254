# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._failures import broken, failures
from ansible_collections.mailfleet.smtp_hardening.tests.unit.recorded_fleet import (
    DOMAINS,
    LISTENER,
    MODE,
    NO_MAILBOX,
    SETTLED,
    mail,
    node,
)

MODE_OF = "trusted_agents_strict_mode"


def kinds(variables, **options):
    return [failure.kind for failure in failures(variables, **options)]


def without(*left_out):
    return {name: value for name, value in node("mx1").items() if name not in left_out}


def seen(**over):
    return node("mx1", smtp_harden_seen={"observations": [LISTENER], "deliveries": [], **over})


def test_a_node_that_is_changed_and_proven_has_no_failure():
    assert failures(node("mx1", ["mx2"])) == []


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        (
            {MODE_OF: {"failed": True, "msg": "smtp_server: 1 is wrong;\n mend it."}},
            "smtp_server: 1 is wrong; mend it.",
        ),
        ({"smtp_harden_info": {"unreachable": True, "msg": "No route to host"}}, "not reached: No route to host"),
        ({"smtp_harden_seen": {"unreachable": True, "msg": "gone"}}, "not reached: gone"),
        ({"smtp_harden_seen": {"failed": True}}, "it failed without a word"),
        ({"smtp_harden_stopped": {"msg": "It was not drained."}}, "It was not drained."),
        ({"trusted_agents_strict_certificate_result": {"failed": True, "msg": "no CA"}}, "no CA"),
        ({"smtp_harden_given_up": True}, "one of its tasks failed"),
    ],
)
def test_a_node_is_stopped_by_the_first_task_that_failed_in_its_own_words(over, reason):
    (failure,) = failures(node("mx1", **over))
    assert (failure.kind, failure.reason) == ("stopped", reason)
    assert 0 < len(failure.remedy) <= 62, "it stands in one line of the summary"


def test_a_node_without_a_closing_proof_counts_as_stopped():
    (failure,) = failures(without("smtp_harden_seen"))
    assert (failure.kind, failure.reason) == ("stopped", "the run ended before its proof")
    assert kinds({}) == ["stopped"]


@pytest.mark.parametrize(
    ("over", "check_mode", "waits"),
    [
        ({MODE_OF: {**MODE, "proof": []}}, False, True),
        ({MODE_OF: {**MODE, "proof": []}}, True, False),
        ({"trusted_agents_strict_domain_policy": {**DOMAINS, "proof": []}}, False, True),
        ({MODE_OF: SETTLED}, False, False),
        ({MODE_OF: {**MODE, "proof": []}, "smtp_harden_seen": {"observations": []}}, False, False),
    ],
)
def test_a_node_whose_turn_did_not_come_is_stopped_unless_nothing_was_to_be_changed(over, check_mode, waits):
    found = failures(node("mx1", **over), check_mode=check_mode)
    assert [failure.kind for failure in found] == ["stopped"] * waits
    assert all("turn" in failure.reason for failure in found)


def test_keys_in_the_words_of_a_task_are_not_told():
    key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"
    (failure,) = failures(node("mx1", **{MODE_OF: {"failed": True, "msg": f"cannot read {key}"}}))
    assert "MIIB" not in failure.reason


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({}, None),
        (
            {"problems": ["takes plaintext mail", "speaks TLSv1.1"]},
            "smtp/inet at 127.0.0.1:25 takes plaintext mail; speaks TLSv1.1",
        ),
        ({"error": "refused", "problems": []}, "smtp/inet at 127.0.0.1:25 cannot be asked: refused"),
        ({"error": "refused", "problems": ["cannot be talked to"]}, "smtp/inet at 127.0.0.1:25 cannot be talked to"),
    ],
)
def test_a_listener_that_shows_less_than_was_asked_is_a_failure(over, reason):
    found = failures(seen(observations=[{**LISTENER, **over}]))
    assert [failure.reason for failure in found] == ([reason] if reason else [])
    assert all(len(failure.remedy) <= 62 for failure in found), "it stands in one line of the summary"


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        ("cannot be talked to: [Errno 111] Connection refused", "see that Postfix runs"),
        ("offers no STARTTLS", "list it in smtp_unproven"),
    ],
)
def test_no_exception_is_proposed_for_a_listener_where_nobody_listens(problem, remedy):
    (failure,) = failures(seen(observations=[{**LISTENER, "problems": [problem]}]))
    assert remedy in failure.remedy and len(failure.remedy) <= 62


def test_a_listener_that_may_go_unproven_by_name_is_no_failure():
    wrong = {**LISTENER, "problems": ["turns this host away"]}
    excused = {**MODE, "unproven": [{"service": "smtp/inet", "problem": "turns this host away"}]}
    assert kinds({**seen(observations=[wrong]), MODE_OF: excused}) == []
    assert kinds({**seen(observations=[{**wrong, "service": "465/inet"}]), MODE_OF: excused}) == ["listener"]


@pytest.mark.parametrize(
    ("status", "reply", "reason", "remedy"),
    [
        ("bounced", NO_MAILBOX.format("mx2"), "bounced: host mx2", "smtp_test_mailbox"),
        ("bounced", "554 5.7.1 no", "bounced: 554 5.7.1 no", "mend what the reply says"),
        ("deferred", "Server certificate not verified", "deferred: Server", "waits at the sender"),
        (None, None, "no word of it", "postqueue"),
    ],
)
def test_a_message_that_did_not_arrive_is_a_failure_with_what_to_do(status, reply, reason, remedy):
    (failure,) = failures(seen(deliveries=[mail("mx2"), mail("mx3", status, reply, None)]))
    assert (failure.kind, failure.about) == ("mail", "box@mx3")
    assert failure.reason.startswith(reason) and remedy in failure.remedy
    assert len(failure.remedy) <= 62, "it stands in one line of the summary"


@pytest.mark.parametrize(
    ("result", "is_broken"),
    [
        (None, True),
        ({}, True),
        ({"failed": True}, True),
        ({"unreachable": True}, True),
        ({"failed": False, "a": 1}, False),
    ],
)
def test_what_failed_or_was_never_begun_is_broken(result, is_broken):
    assert broken(result) is is_broken
