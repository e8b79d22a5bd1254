# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    ClientCertificates,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.listeners import own_listeners


def listeners(node, services, overrides=(), main_cf=""):
    node.write("compatibility_level = 3.9\n" + main_cf)
    node.services = services
    node.override(*overrides)
    return own_listeners(read_state(node.postfix))


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ("smtp inet n - y - - smtpd", ["smtp/inet"]),
        ("smtp inet n - y - 1 postscreen", ["smtp/inet"]),
        ("smtpd pass - - y - - smtpd", []),
        ("628 inet n - y - - qmqpd", []),
        ("smtp unix - - y - - smtp", []),
        ("policy inet n n n - 0 spawn user=nobody argv=/usr/bin/policy", []),
    ],
)
def test_only_what_answers_smtp_clients_is_a_listener(node, service, found):
    assert [listener.service for listener in listeners(node, service + "\n")] == found


@pytest.mark.parametrize(
    ("interfaces", "address"),
    [
        ("all", "127.0.0.1"),
        ("loopback-only", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("192.0.2.1, 127.0.0.1", "127.0.0.1"),
        ("192.0.2.1 198.51.100.1", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("mx1.example.com", "mx1.example.com"),
    ],
)
def test_a_listener_is_reached_on_loopback_where_postfix_listens_there(node, interfaces, address):
    (found,) = listeners(node, "smtp inet n - y - - smtpd\n", main_cf=f"inet_interfaces = {interfaces}\n")
    assert found.target.address == address


def test_a_listener_is_named_as_its_own_configuration_names_the_host(node):
    (found,) = listeners(node, "127.0.0.1:26 inet n - y - - smtpd\n", ["127.0.0.1:26/inet/myhostname=mx9.example.com"])
    assert (found.target.name, found.target.port, found.target.implicit_tls) == ("mx9.example.com", 26, False)


def test_an_override_in_master_cf_is_what_the_listener_must_show(node):
    services = "2525 inet n - y - - smtpd\n2587 inet n - y - - smtpd\n"
    overrides = ["2587/inet/smtpd_tls_security_level=encrypt", "2587/inet/smtpd_tls_req_ccert=yes"]
    plain, submission = listeners(node, services, overrides, "smtpd_tls_security_level = may\n")
    assert (plain.policy.level, plain.policy.client_certificates) == (ServerLevel.MAY, ClientCertificates.IGNORE)
    assert submission.policy.level is ServerLevel.ENCRYPT
    assert submission.policy.client_certificates is ClientCertificates.REQUIRE


def test_a_service_in_wrapper_mode_speaks_tls_first(node):
    (found,) = listeners(node, "4650 inet n - y - - smtpd\n", ["4650/inet/smtpd_tls_wrappermode=yes"])
    assert found.target.implicit_tls
