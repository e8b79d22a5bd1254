# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_wire_table import FilterModule, wire_table
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.filter.table_rows import rows

SEEN = {
    "listener": "127.0.0.1:25",
    "implicit_tls": False,
    "starttls": True,
    "plaintext": "refused",
    "protocols": {"TLSv1.2": "refused", "TLSv1.3": "accepted"},
    "cipher": "TLS_AES_256_GCM_SHA384",
    "certificate": {
        "key_type": "ecdsa",
        "key_size": 256,
        "self_signed": False,
        "issuer": "CN=Fleet CA",
        "days_left": 89,
    },
    "client_certificate": "require",
    "error": None,
}
MAIL = {
    "recipient": "a@mx2",
    "status": "sent",
    "tls": "Verified",
    "tls_detail": "TLSv1.3 with cipher X",
    "reply": "250",
}


def wire(observation=None, **mail):
    seen = {"observations": [observation] if observation else [], "deliveries": [{**MAIL, **mail}] if mail else []}
    return rows(wire_table(["mx1"], {"mx1": {"smtp_harden_seen": seen}}))


@pytest.mark.parametrize(
    ("over", "cells"),
    [
        (
            {},
            ["offered", "refused", "TLSv1.3", "TLS_AES_256_GCM_SHA384", "ECDSA 256", "CN=Fleet CA", "89", "required"],
        ),
        (
            {
                "starttls": False,
                "plaintext": "accepted",
                "protocols": {},
                "cipher": None,
                "certificate": None,
                "client_certificate": None,
            },
            ["not offered", "accepted", "-", "-", "-", "-", "-", "-"],
        ),
        (
            {"implicit_tls": True, "starttls": False, "plaintext": None, "client_certificate": "ignore"},
            ["implicit", "-", "TLSv1.3", "TLS_AES_256_GCM_SHA384", "ECDSA 256", "CN=Fleet CA", "89", "not asked for"],
        ),
        ({"error": "connection refused"}, ["?", "connection refused"]),
    ],
)
def test_a_listener_is_a_row_of_what_the_wire_showed(over, cells):
    assert wire({**SEEN, **over})[2] == ["mx1", "127.0.0.1:25", *cells]


def test_a_self_signed_certificate_is_called_so():
    certificate = {**SEEN["certificate"], "self_signed": True, "issuer": "CN=mx1"}
    assert "self-signed" in wire({**SEEN, "certificate": certificate})[2]


@pytest.mark.parametrize(
    ("mail", "cells"),
    [
        ({"status": "sent"}, ["sent", "Verified", "TLSv1.3 with cipher X"]),
        ({"status": "sent", "tls": None, "tls_detail": None}, ["sent", "none"]),
        ({"status": "deferred", "tls": None, "reply": "not verified"}, ["deferred", "none", "not verified"]),
        ({"status": None, "tls": None, "reply": None}, ["still in the queue", "none"]),
    ],
)
def test_a_message_is_a_row_of_what_became_of_it(mail, cells):
    assert wire(SEEN, **mail)[-1] == ["mx1", "a@mx2", *cells]


def rehearsed(host="mx1", **over):
    seen = {"domain": "x.test", "level": "secure", "delivered": True, "tls": "Verified", "reason": None, **over}
    return {host: {"smtp_harden_seen": {"rehearsals": [seen]}}}


@pytest.mark.parametrize(
    ("over", "cells"),
    [
        ({}, ["x.test", "secure", "goes out", "Verified"]),
        ({"level": "dane", "tls": None}, ["x.test", "dane", "goes out", "none"]),
        (
            {"delivered": False, "tls": "Trusted", "reason": "num=62:hostname mismatch"},
            ["x.test", "secure", "would wait", "Trusted", "num=62:hostname mismatch"],
        ),
        (
            {"level": "encrypt", "delivered": False, "tls": None, "reason": "no STARTTLS is offered"},
            ["x.test", "encrypt", "would wait", "none", "no STARTTLS is offered"],
        ),
    ],
)
def test_a_rehearsal_is_a_row_of_what_would_become_of_mail(over, cells):
    assert rows(wire_table(["mx1"], rehearsed(**over)))[-1] == ["mx1", *cells]


def test_rehearsals_stand_last_below_a_head_of_their_own():
    hostvars = {**rehearsed("mx1"), **rehearsed("mx2", domain="y.test")}
    hostvars["mx1"]["smtp_harden_seen"].update(observations=[SEEN], deliveries=[MAIL])
    listeners, mails, rehearsals = (rows(part) for part in wire_table(["mx1", "mx2"], hostvars).split("\n\n"))
    assert (len(listeners), len(mails)) == (3, 3)
    assert rehearsals[0] == ["node", "domain", "level", "if enforced", "TLS", "detail"]
    assert [row[:2] for row in rehearsals[2:]] == [["mx1", "x.test"], ["mx2", "y.test"]]


@pytest.mark.parametrize("seen", [{}, {"rehearsals": []}])
def test_where_nothing_was_rehearsed_there_is_no_table_of_it(seen):
    assert "if enforced" not in wire_table(["mx1"], {"mx1": {"smtp_harden_seen": seen}})


def test_a_node_that_was_not_reached_has_no_row():
    assert len(wire_table(["mx1", "mx2"], {"mx1": {"smtp_harden_seen": {}}, "mx2": {}}).splitlines()) == 2


def test_the_table_of_what_the_wire_showed_is_a_filter():
    assert FilterModule().filters() == {"smtp_wire_table": wire_table}
