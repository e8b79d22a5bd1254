# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._verdict import verdict


def nodes(proven=0, stopped=0, unproven=0, profile="trusted_agents_strict", plan=()):
    outcomes = ["proven"] * proven + ["stopped"] * stopped + ["unproven"] * unproven
    return {str(place): {"outcome": one, "profile": profile, "plan": plan} for place, one in enumerate(outcomes)}


def mails(sent=0, failed=0):
    return [{"status": "sent", "tls": "Verified"}] * sent + [{"status": "bounced", "tls": None}] * failed


@pytest.mark.parametrize(
    ("given", "sent", "sentence", "ok"),
    [
        ({"proven": 97, "stopped": 3}, {}, "97 of 100 nodes strict and proven, 3 stopped, 0 messages failed", False),
        ({"proven": 3}, {"sent": 6}, "3 of 3 nodes strict and proven, 0 stopped, 0 messages failed", True),
        ({"proven": 1}, {}, "1 of 1 node strict and proven, 0 stopped, 0 messages failed", True),
        (
            {"proven": 2, "profile": "lenient_default"},
            {},
            "2 of 2 nodes lenient and proven, 0 stopped, 0 messages failed",
            True,
        ),
        (
            {"proven": 2, "unproven": 1},
            {"sent": 5, "failed": 1},
            "2 of 3 nodes strict and proven, 0 stopped, 1 unproven, 1 message failed",
            False,
        ),
        ({"stopped": 1, "profile": None}, {}, "0 of 1 node hardened and proven, 1 stopped, 0 messages failed", False),
        ({}, {}, "0 of 0 nodes hardened and proven, 0 stopped, 0 messages failed", False),
    ],
)
def test_a_run_is_one_sentence(given, sent, sentence, ok):
    found = verdict(nodes(**given), mails(**sent), check_mode=False)
    assert (found["sentence"], found["ok"]) == (sentence, ok)


def test_nodes_of_two_profiles_are_hardened():
    both = {**nodes(proven=1), "x": {"outcome": "proven", "profile": "lenient_default", "plan": []}}
    assert verdict(both, [], False)["sentence"].startswith("2 of 2 nodes hardened and proven")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"proven": 3, "plan": [1]}, "3 of 3 nodes looked at, 3 would change, 0 stopped; nothing was changed"),
        ({"proven": 2, "stopped": 1}, "2 of 3 nodes looked at, 0 would change, 1 stopped; nothing was changed"),
        (
            {"proven": 2, "unproven": 1},
            "3 of 3 nodes looked at, 0 would change, 0 stopped, 1 not as they should be now; nothing was changed",
        ),
    ],
)
def test_in_check_mode_the_sentence_says_what_would_be(given, sentence):
    assert verdict(nodes(**given), [], check_mode=True)["sentence"] == sentence


def test_messages_are_counted_by_how_tls_protected_them():
    found = verdict(nodes(proven=1), [*mails(sent=2, failed=1), {"status": "sent", "tls": None}], False)
    assert (found["messages"], found["messages_failed"]) == (4, 1)
    assert found["messages_by_tls"] == {"Verified": 2, "none": 1}
