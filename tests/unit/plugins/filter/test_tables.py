# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_certificate_table import (
    FilterModule as CertificateFilters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_certificate_table import certificate_table
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_history_table import (
    FilterModule as HistoryFilters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_history_table import history_table
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_pending_table import (
    FilterModule as PendingFilters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_pending_table import pending_table
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_wire_table import FilterModule as WireFilters
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_wire_table import wire_table

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


def rows(text):
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


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


def test_each_file_brings_the_filter_of_its_name():
    assert HistoryFilters().filters() == {"smtp_history_table": history_table}
    assert PendingFilters().filters() == {"smtp_pending_table": pending_table}
    assert WireFilters().filters() == {"smtp_wire_table": wire_table}


STATE = {
    "number": 3,
    "time": "2026-11-24T12:00:00Z",
    "module": "smtp_tls_mode",
    "task": "Set it",
    "summary": "set: smtpd_tls_security_level",
    "proven": True,
}


@pytest.mark.parametrize(
    ("over", "cells"),
    [
        ({}, ["3", "2026-11-24T12:00:00Z", "yes", "Set it", "set: smtpd_tls_security_level"]),
        ({"task": None}, ["3", "2026-11-24T12:00:00Z", "yes", "smtp_tls_mode", "set: smtpd_tls_security_level"]),
        ({"proven": False}, ["3", "2026-11-24T12:00:00Z", "no", "Set it", "set: smtpd_tls_security_level"]),
        ({"summary": "x" * 100}, ["3", "2026-11-24T12:00:00Z", "yes", "Set it", "x" * 100]),
        ({"summary": "x" * 101}, ["3", "2026-11-24T12:00:00Z", "yes", "Set it", "x" * 99 + "…"]),
    ],
)
def test_a_state_that_a_node_remembers_is_a_row(over, cells):
    hostvars = {"mx1": {"smtp_rollback_info": {"history": [{**STATE, **over}]}}}
    assert rows(history_table(["mx1"], hostvars))[2] == ["mx1", *cells]


def test_states_stand_by_node_oldest_first():
    info = {"smtp_rollback_info": {"history": [{**STATE, "number": number} for number in (1, 2)]}}
    seen = rows(history_table(["mx1", "mx2", "mx3"], {"mx1": info, "mx2": {}, "mx3": info}))[2:]
    assert [row[:2] for row in seen] == [["mx1", "1"], ["mx1", "2"], ["mx3", "1"], ["mx3", "2"]]


@pytest.mark.parametrize("hostvars", [{}, {"smtp_rollback_info": {}}, {"smtp_rollback_info": {"history": []}}])
def test_nodes_that_remember_nothing_are_told_in_a_sentence(hostvars):
    said = history_table(["mx1"], {"mx1": hostvars})
    assert said == "No node remembers a state: nothing has been changed yet."


def shown(key="AB", **over):
    found = {
        "subject_alternative_names": ["mx1.example.com", "smtp.example.com"],
        "issuer": "CN=Fleet CA",
        "days_left": 89,
    }
    return {**found, "public_key_sha256": ":".join([key] * 32), **over}


def rotated(before, after):
    variables = {"smtp_rotate_before": {"active": before}, "smtp_rotate_after": {"active": after}}
    return rows(certificate_table(["mx1"], {"mx1": variables}))[2:]


@pytest.mark.parametrize(
    ("before", "was"), [([shown("AB")], "the same"), ([shown("CD")], ":".join(["CD"] * 8)), ([], "none")]
)
def test_an_active_certificate_is_a_row_with_what_was_there_before(before, was):
    found = rotated({"server": before, "client": []}, {"server": [shown("AB")], "client": []})
    assert found == [
        ["mx1", "server", "mx1.example.com, smtp.example.com", "CN=Fleet CA", "89", ":".join(["AB"] * 8), was]
    ]


def test_each_side_and_each_of_two_certificates_has_a_row_of_its_own():
    active = {"server": [shown("AB"), shown("CD")], "client": [shown("EF")]}
    assert [row[:2] for row in rotated(active, active)] == [["mx1", "server"], ["mx1", "server"], ["mx1", "client"]]


def test_the_table_of_certificates_is_a_filter():
    assert CertificateFilters().filters() == {"smtp_certificate_table": certificate_table}
