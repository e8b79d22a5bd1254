# SPDX-License-Identifier: GPL-3.0-or-later
"""From which addresses a listener is asked."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import vantages as looking
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.connection import Target
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.vantages import TURNED_AWAY, vantages

OWN = ["192.0.2.5", "2001:db8::5", "192.0.2.6"]
RATE = {"smtpd_client_connection_rate_limit": "5"}
LOOPBACK = "127.0.0.0/8"


@pytest.fixture(autouse=True)
def own_addresses(monkeypatch):
    monkeypatch.setattr(looking, "own_addresses", lambda: OWN)


@pytest.mark.parametrize(
    ("address", "effective", "sources"),
    [
        ("127.0.0.1", {}, [None, "192.0.2.5", "192.0.2.6", LOOPBACK]),
        ("192.0.2.5", {}, [None, "192.0.2.6", LOOPBACK]),
        ("::1", {}, [None, "2001:db8::5"]),
        ("mx.example.com", {}, [None]),
        ("127.0.0.1", RATE, [LOOPBACK, None, "192.0.2.5", "192.0.2.6"]),
        ("127.0.0.1", {"smtpd_client_new_tls_session_rate_limit": "3"}, [LOOPBACK, None, "192.0.2.5", "192.0.2.6"]),
        ("127.0.0.1", {"smtpd_client_connection_rate_limit": "0"}, [None, "192.0.2.5", "192.0.2.6", LOOPBACK]),
        (
            "127.0.0.1",
            {**RATE, "smtpd_client_event_limit_exceptions": "127.0.0.0/8 [::1]/128"},
            [None, "192.0.2.5", "192.0.2.6", LOOPBACK],
        ),
        (
            "127.0.0.1",
            {**RATE, "smtpd_client_event_limit_exceptions": "10.0.0.0/8"},
            [LOOPBACK, None, "192.0.2.5", "192.0.2.6"],
        ),
    ],
)
def test_a_listener_is_asked_from_each_address_and_where_that_counts_from_many(address, effective, sources):
    targets = list(vantages(Target(address, 25, "mx1.example.com"), effective))
    assert [target.source for target in targets] == sources
    assert {(target.address, target.port, target.name) for target in targets} == {(address, 25, "mx1.example.com")}


def test_a_host_with_many_addresses_is_not_asked_from_all(monkeypatch):
    monkeypatch.setattr(looking, "own_addresses", lambda: [f"192.0.2.{number}" for number in range(200)])
    assert len(list(vantages(Target("127.0.0.1", 25, "x"), {}))) == looking.MOST + 2


@pytest.mark.parametrize(
    ("reply", "meant"),
    [("554 5.7.1 no", True), ("421 4.7.0 too many", True), ("421 4.3.2 busy", False), ("451 4.3.0 lookup", False)],
)
def test_a_reply_that_is_meant_for_the_client_is_told_apart(reply, meant):
    assert bool(TURNED_AWAY.match(reply)) is meant
