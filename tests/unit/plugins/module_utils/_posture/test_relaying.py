# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture import relaying
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    said,
    service,
)


def protections(node, parameters=None, key=None):
    configuration, found = configured(node, parameters), key and service(node, key)
    return said(relaying.protections(configuration, configuration.state.found(found), found))


CLOSED, OPEN = "refused to strangers", "open to strangers"


@pytest.mark.parametrize(
    ("relay", "recipient", "said_of_it"),
    [
        ("permit_mynetworks, reject_unauth_destination", "", CLOSED),
        ("permit_mynetworks permit_sasl_authenticated defer_unauth_destination", "", CLOSED),
        ("", "permit_mynetworks, reject_unauth_destination", CLOSED),
        ("permit_mynetworks, reject", "", CLOSED),
        ("permit_mynetworks, permit, reject_unauth_destination", "", OPEN),
        ("permit_tls_all_clientcerts, reject_unauth_destination", "", OPEN),
        ("reject_unauth_destination, permit", "", CLOSED),
        ("permit_mynetworks", "", OPEN),
        ("warn_if_reject reject_unauth_destination", "", OPEN),
        ("warn_if_reject check_client_access hash:/a, Reject_Unauth_Destination", "", CLOSED),
        ("", "", "-"),
    ],
)
def test_strangers_may_relay_where_nothing_refuses_them(node, relay, recipient, said_of_it):
    parameters = {"smtpd_relay_restrictions": relay, "smtpd_recipient_restrictions": recipient}
    assert protections(node, parameters).get("relay", "-") == said_of_it


@pytest.mark.parametrize(
    ("networks", "found"),
    [
        ("127.0.0.0/8 [::1]/128 10.0.0.0/8", "nothing"),
        ("192.0.2.1, 198.51.100.0/24", "198.51.100.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("[2001:db8::]/32 hash:/etc/postfix/networks !198.51.100.0/24", "2001:db8::/32, hash:/etc/postfix/networks"),
        ("10.0.0.1 cidr:/a !hash:/b", "cidr:/a"),
        ("", "nothing"),
    ],
)
def test_networks_of_others_that_may_relay_are_counted(node, networks, found):
    assert protections(node, {"mynetworks": networks})["relay_networks"] == found


CLASSES = {"smtpd_restriction_classes": "open, Shut", "open": "permit", "Shut": "reject_unauth_destination"}


@pytest.mark.parametrize(
    ("restrictions", "said_of_it"),
    [
        ("open, reject_unauth_destination", OPEN),
        ("Shut, open", CLOSED),
        ("shut, open", OPEN),
        ("open", OPEN),
        ("warn_if_reject Shut", OPEN),
        ("warn_if_reject open", OPEN),
    ],
)
def test_a_class_of_restrictions_is_what_stands_in_it(node, restrictions, said_of_it):
    assert protections(node, {**CLASSES, "smtpd_relay_restrictions": restrictions})["relay"] == said_of_it


@pytest.mark.parametrize(
    ("restrictions", "parameters", "excepted"),
    [
        ("permit_mynetworks, permit_sasl_authenticated, reject_rbl_client zen.example, reject", {}, "nothing"),
        ("check_client_access hash:/a, reject", {}, "hash:/a"),
        (
            "trusted, reject",
            {"smtpd_restriction_classes": "trusted", "trusted": "permit_mx_backup"},
            "permit_mx_backup (permit_mx_backup_networks = )",
        ),
        (
            "permit_tls_clientcerts, reject",
            {"relay_clientcerts": "static:ok"},
            "permit_tls_clientcerts (relay_clientcerts = static:ok)",
        ),
        ("Permit_DNSWL_Client list.example, reject", {}, "permit_dnswl_client"),
        ("reject, permit_dnswl_client list.example", {}, "nothing"),
        ("permit_sasl_authenticated, reject", {"smtpd_sasl_auth_enable": "yes"}, "nothing"),
        (
            "permit_sasl_authenticated, reject",
            {"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_security_options": "noplaintext"},
            "anonymous logins",
        ),
    ],
)
def test_whatever_may_let_somebody_relay_is_an_exception(node, restrictions, parameters, excepted):
    found = protections(node, {**parameters, "smtpd_relay_restrictions": restrictions})
    assert found["relay_exceptions"] == excepted


@pytest.mark.parametrize(
    ("parameters", "said_of_it"),
    [
        ({"relay_domains": "a.example"}, CLOSED),
        ({"relay_domains": "static:all"}, OPEN),
        ({"relay_domains": "com"}, OPEN),
        ({"relay_domains": "!a-stranger.com com"}, CLOSED),
        ({"mydestination": "static:all"}, OPEN),
        ({"virtual_mailbox_domains": "static:all"}, OPEN),
        ({"allow_untrusted_routing": "yes"}, OPEN),
    ],
)
def test_who_has_mail_for_everybody_relays_for_everybody(node, parameters, said_of_it):
    closed = {"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"}
    assert protections(node, {**closed, **parameters})["relay"] == said_of_it


def test_the_daemon_that_knows_destinations_may_have_others(node):
    node.append("smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n")
    node.services += "rewrite unix - - y - - trivial-rewrite -o relay_domains=static:all\n"
    assert protections(node)["relay"] == OPEN


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ("127.0.0.0/8 [::1] 10.1.0.0/16", "nothing"),
        ("0.0.0.0/0", "XCLIENT of 0.0.0.0/0"),
        ("192.0.2.7, static:all", "XCLIENT of 192.0.2.7, XCLIENT of static:all"),
        ("proxy.example", "XCLIENT of proxy.example"),
    ],
)
def test_hosts_of_others_that_say_from_where_a_client_comes_are_told(node, hosts, told):
    assert protections(node, {"smtpd_authorized_xclient_hosts": hosts})["client_addresses"] == told


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("2525 inet n - y - - smtpd -o smtpd_upstream_proxy_protocol=haproxy", "whoever speaks haproxy"),
        ("2525 inet n - y - 1 postscreen -o postscreen_upstream_proxy_protocol=haproxy", "whoever speaks haproxy"),
        ("127.0.0.1:2525 inet n - y - - smtpd -o smtpd_upstream_proxy_protocol=haproxy", "nothing"),
    ],
)
def test_who_stands_before_a_port_of_the_network_says_it_too(node, entry, told):
    node.services += f"{entry}\n"
    assert protections(node, {}, f"{entry.split()[0]}/inet")["client_addresses"] == told
