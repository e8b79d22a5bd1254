# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.behaviour import as_then, look

WELL = {"smtp/inet": {"starttls": True}}
BROKEN = {"smtp/inet": {"broken": True}}


def failing():
    raise ProofFailed("The wire shows something else.")


def test_a_proof_that_holds_is_enough():
    assert as_then(lambda: [{"service": "smtp/inet"}], pytest.fail, BROKEN) == [{"service": "smtp/inet"}]


@pytest.mark.parametrize("problem", [ProofFailed("no."), CertificateError("no.")])
def test_what_was_broken_then_may_be_as_broken_now(problem):
    def prove():
        raise problem

    assert as_then(prove, lambda: BROKEN, BROKEN) == [{"service": "smtp/inet", "broken": True}]


@pytest.mark.parametrize(("now", "then"), [(BROKEN, WELL), (BROKEN, {}), ({}, {}), (WELL, BROKEN)])
def test_what_is_otherwise_than_it_was_is_a_failure(now, then):
    with pytest.raises(ProofFailed, match="something else"):
        as_then(failing, lambda: now, then)


@pytest.mark.parametrize(
    ("short", "holds"),
    [
        (["smtp/inet"], True),
        (["smtp/inet", "new/inet"], True),
        (["587/inet"], False),
        (["smtp/inet", "other/inet"], False),
    ],
    ids=["as then", "new, as one was then", "well then", "new, as none was then"],
)
def test_only_what_falls_short_must_be_as_it_was_then(short, holds):
    then = {"smtp/inet": {"broken": True}, "587/inet": {"starttls": True}}
    now = {"smtp/inet": {"broken": True}, "587/inet": {"starttls": False}, "new/inet": {"broken": True}}
    now["other/inet"] = {"starttls": False}

    def prove():
        raise ProofFailed("The wire shows something else.", [(service, "is wrong") for service in short])

    if holds:
        assert [one["service"] for one in as_then(prove, lambda: now, then)] == list(now)
    else:
        with pytest.raises(ProofFailed):
            as_then(prove, lambda: now, then)


def test_a_listener_behaves_the_same_each_time(tls_node, listen):
    server = listen()
    tls_node.services = f"127.0.0.1:{server.port} inet n - y - - smtpd\n"
    first = look(tls_node.postfix)
    (seen,) = first.values()
    assert (seen["starttls"], seen["plaintext"], seen["recipient"]) == (True, "accepted", "250 2.1.0")
    assert look(tls_node.postfix) == first
    assert look(tls_node.postfix, ["smtp/inet"]) == {"smtp/inet": seen}


def test_a_listener_that_does_not_answer_is_broken_however_it_says_so(node):
    node.services = "127.0.0.1:1 inet n - y - - smtpd\n"
    assert look(node.postfix) == {"127.0.0.1:1/inet": {"broken": True}}


def test_nothing_is_known_where_postfix_cannot_be_asked(node):
    node.services = "no-such-port inet n - y - - smtpd\n"
    assert look(node.postfix) == {}
