# SPDX-License-Identifier: GPL-3.0-or-later
"""The levels in effect."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import policies
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    OVERRIDES,
    SERVICES,
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "none"}, ("none", "", "ignore")),
        ({"smtpd_tls_security_level": "", "smtpd_use_tls": "yes"}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "", "smtpd_enforce_tls": "yes"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": ""}, ("none", "", "ignore")),
        ({"smtpd_tls_wrappermode": "yes"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_req_ccert": "yes"}, ("may", "TLSv1.2", "request")),
        ({"smtpd_tls_req_ccert": "yes", "smtpd_tls_security_level": "encrypt"}, ("encrypt", "TLSv1.2", "require")),
        ({"smtpd_tls_ask_ccert": "yes"}, ("may", "TLSv1.2", "request")),
        ({"smtpd_tls_protocols": "!SSLv2, !SSLv3"}, ("may", "TLSv1", "ignore")),
        ({"smtpd_tls_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1,!TLSv1.2"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": ">=TLSv1.3"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": "TLSv1.2"}, ("may", "TLSv1.2", "ignore")),
        ({"smtpd_tls_protocols": ">=0304"}, ("may", "TLSv1.3", "ignore")),
        ({"smtpd_tls_protocols": "TLSv9"}, ("may", "other", "ignore")),
        ({"smtpd_tls_security_level": "Encrypt"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_security_level": "secure"}, ("encrypt", "TLSv1.2", "ignore")),
        ({"smtpd_tls_protocols": ""}, ("may", "TLSv1", "ignore")),
    ],
)
def test_the_level_of_a_server_is_told_as_postfix_takes_it(instance, found, expected):
    assert policies.server_policy(instance(found), None) == expected


def test_services_that_differ_are_told_beside_main_cf(instance):
    metrics = Metrics()
    overrides = [*OVERRIDES, "relay/unix/smtp_tls_security_level = encrypt", "relay/unix/smtp_bind_address = 192.0.2.1"]
    policies.tell_policies(instance(master=SERVICES, overrides=overrides), metrics)
    servers = [dict(labels) for labels in metrics.samples["server_policy_info"]]
    assert {row["service"]: row["level"] for row in servers} == {
        "main.cf": "may",
        "smtps/inet": "encrypt",
        "submission/inet": "encrypt",
        "10031/inet": "encrypt",
    }
    clients = [dict(labels) for labels in metrics.samples["client_policy_info"]]
    assert {row["service"]: row["level"] for row in clients} == {"main.cf": "may", "relay/unix": "encrypt"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, ("may", "TLSv1.2", "")),
        ({"smtp_tls_security_level": "none"}, ("none", "", "")),
        (
            {
                "smtp_tls_security_level": "dane",
                "smtp_dns_support_level": "dnssec",
                "smtp_tls_mandatory_protocols": ">=TLSv1.3",
            },
            ("dane", "TLSv1.3", ""),
        ),
        ({"smtp_tls_security_level": "dane"}, ("may", "TLSv1.2", "")),  # without DNSSEC it is no more
        ({"smtp_discard_ehlo_keywords": "starttls"}, ("none", "", "")),
        ({"smtp_tls_security_level": "", "smtp_enforce_tls": "yes"}, ("encrypt", "TLSv1.2", "")),
        ({"smtp_tls_protocols": "TLSv1.2"}, ("may", "TLSv1.2", "")),
        ({"smtp_tls_protocols": "TLSv9"}, ("may", "other", "")),
        ({"smtp_tls_security_level": "DANE-only"}, ("dane-only", "TLSv1.2", "")),
    ],
)
def test_the_level_of_a_client_is_told_as_postfix_takes_it(instance, found, expected):
    assert policies.client_policy(instance(found), None) == expected


def test_lmtp_has_parameters_of_its_own(instance):
    found = {"smtp_tls_security_level": "none", "lmtp_tls_security_level": "encrypt"}
    made = instance({**found, "smtp_tls_loglevel": "0", "lmtp_tls_loglevel": "0"})
    smtp, lmtp = (made.service(name, "unix") for name in ("smtp", "lmtp"))
    assert [policies.client_policy(made, client).level for client in (smtp, lmtp)] == ["none", "encrypt"]
    assert [policies.is_silent(made, client) for client in (smtp, lmtp)] == [False, True]
    assert not policies.is_silent(instance(found), lmtp)


def test_an_override_is_what_holds_for_a_service(instance):
    made = instance(master=SERVICES, overrides=OVERRIDES)
    smtp, smtps, submission = (made.service(name, "inet") for name in ("smtp", "smtps", "submission"))
    assert [policies.server_policy(made, one).level for one in (smtp, smtps, submission)] == [
        "may",
        "encrypt",
        "encrypt",
    ]
    assert [policies.in_wrapper_mode(made, one) for one in (smtp, smtps, submission)] == [False, True, False]


@pytest.mark.parametrize(
    ("overrides", "level"),
    [
        ([], "may"),
        (["smtpd/pass/smtpd_tls_security_level = encrypt"], "may"),
        (["25/inet/postscreen_tls_security_level = encrypt"], "encrypt"),
        (["25/inet/postscreen_tls_security_level = none"], "none"),
        (["25/inet/smtpd_tls_security_level = encrypt"], "encrypt"),
    ],
)
def test_postscreen_has_a_level_of_its_own(instance, overrides, level):
    state = instance(master="25 inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\n", overrides=overrides)
    assert policies.server_policy(state, state.service("25", "inet")).level == level
