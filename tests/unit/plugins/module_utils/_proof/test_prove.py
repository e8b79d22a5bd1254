# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import describe, utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.store import active_chains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.listeners import own_listeners
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.observe import Observation
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.prove import shortcomings

LENIENT = "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\n"
STRICT = (
    "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n"
    "smtpd_tls_mandatory_protocols = >=TLSv1.3\nsmtpd_tls_CAfile = /ca.pem\n"
)
TLS_1_2_ON = {"TLSv1": "refused", "TLSv1.1": "refused", "TLSv1.2": "accepted", "TLSv1.3": "accepted"}
TLS_1_3_ON = {**TLS_1_2_ON, "TLSv1.2": "refused"}


def judge(node, main_cf, **seen):
    with open(node.config_dir + "/main.cf", encoding="utf-8") as handle:
        chains = handle.read()
    node.write(chains + main_cf)
    state = read_state(node.postfix)
    served = describe(active_chains(state, "server")[0][1].certificates, utc_now())
    usual = {
        "starttls": True,
        "plaintext": "accepted",
        "plaintext_reply": "250 2.1.0 Ok",
        "protocols": TLS_1_2_ON,
        "certificate": served,
        "client_certificate": "ignore",
    }
    observation = Observation("127.0.0.1:25", False, **{**usual, **seen})
    return list(shortcomings(state, own_listeners(state)[0], observation))


def test_a_lenient_listener_as_it_should_be(tls_node):
    assert judge(tls_node, LENIENT) == []


def test_a_strict_listener_as_it_should_be(tls_node):
    seen = {
        "plaintext": "refused",
        "protocols": TLS_1_3_ON,
        "client_certificate": "require",
        "with_own_certificate": True,
    }
    assert judge(tls_node, STRICT, **seen) == []


@pytest.mark.parametrize(
    ("main_cf", "seen", "problem"),
    [
        (LENIENT, {"error": "connection refused"}, "cannot be talked to"),
        (LENIENT, {"starttls": False, "certificate": None}, "does not offer STARTTLS"),
        (LENIENT, {"plaintext_reply": "530 5.7.0 Must issue"}, "refuses plaintext mail at server level may"),
        (LENIENT, {"protocols": {**TLS_1_2_ON, "TLSv1.1": "accepted"}}, "speaks TLSv1.1 below the floor"),
        (LENIENT, {"protocols": dict.fromkeys(TLS_1_2_ON, "refused")}, "speaks no TLS from TLSv1.2 on"),
        (LENIENT, {"client_certificate": "request"}, "treats client certificates as 'request'"),
        (LENIENT, {"certificate": {"certificate_sha256": "AB"}}, "which is not the active one"),
        (STRICT, {"protocols": TLS_1_3_ON, "client_certificate": "require"}, "takes plaintext mail"),
        (STRICT, {"client_certificate": "require", "with_own_certificate": False}, "refuses this node's own"),
        ("smtpd_tls_security_level = none\n", {}, "offers STARTTLS at server level none"),
    ],
)
def test_a_listener_that_falls_short_is_named(tls_node, main_cf, seen, problem):
    assert any(problem in sentence for sentence in judge(tls_node, main_cf, **seen))


@pytest.mark.parametrize(
    ("service", "main_cf", "target"),
    [
        ("smtp", "", "127.0.0.1:25"),
        ("10025", "", "127.0.0.1:10025"),
        ("127.0.0.2:10025", "", "127.0.0.2:10025"),
        ("[::1]:25", "", "[::1]:25"),
        ("smtp", "inet_interfaces = 192.0.2.1\n", "192.0.2.1:25"),
        ("smtp", "inet_protocols = ipv6\n", "[::1]:25"),
    ],
)
def test_a_listener_is_reached_where_postfix_listens(node, service, main_cf, target):
    node.write("compatibility_level = 3.9\n" + main_cf)
    node.services = f"{service} inet n - y - - smtpd\n"
    assert str(own_listeners(read_state(node.postfix))[0].target) == target
