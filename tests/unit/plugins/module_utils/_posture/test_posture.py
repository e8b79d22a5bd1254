# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.posture import Item
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    apply,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    posture,
    table,
    weaker,
)

SUBMISSION = "submission inet n - y - - smtpd"


def test_what_protects_mail_is_named_by_whose_it_is(node):
    node.services += (
        f"{SUBMISSION} -o smtpd_tls_security_level=encrypt\nlmtp unix - - y - - lmtp\ncleanup unix n - y - 0 cleanup\n"
    )
    seen = posture(node, {"smtpd_tls_security_level": "may", "content_filter": "smtp:[127.0.0.1]:10024"})
    assert list(seen.servers) == ["server", "smtp/inet", "submission/inet"]
    assert list(seen.clients) == ["client", "smtp/unix", "relay/unix", "lmtp/unix"]
    assert [str(seen.servers[name]["level"]) for name in ("server", "submission/inet")] == ["may", "encrypt"]
    assert {"other mail", "content_filter"} <= set(seen.ways)


def test_an_item_is_told_with_its_owner_and_both_values():
    item = Item("domain bank.example.level", "secure", "may")
    assert (str(item), item.owner) == ("domain bank.example.level from secure to may", "domain bank.example")


def test_the_same_configuration_is_no_weaker_than_itself(node):
    node.append("smtpd_tls_security_level = may\nsmtp_tls_security_level = secure\ntransport_maps = ldap:/a.cf\n")
    apply(node, {"name": "a.example", "level": "secure"})
    assert weaker(node) == []


@pytest.mark.parametrize(
    ("before", "after", "fallen"),
    [
        ({}, {"smtpd_tls_security_level": "may"}, []),
        ({"smtpd_tls_security_level": "encrypt"}, {"smtpd_tls_security_level": "ENCRYPT"}, []),
        (
            {"smtpd_tls_security_level": "encrypt"},
            {"smtpd_tls_security_level": "may"},
            ["server.level from encrypt to may"],
        ),
        ({"smtpd_tls_security_level": "may"}, {"smtpd_tls_security_level": "none"}, ["server.level from may to none"]),
        (
            {"smtpd_tls_security_level": "may", "smtpd_tls_protocols": ">=TLSv1.2"},
            {"smtpd_tls_protocols": "!SSLv2 !SSLv3 !TLSv1"},
            ["server.minimum_protocol from TLSv1.2 to TLSv1.1"],
        ),
        (
            {"smtpd_tls_security_level": "may", "smtpd_tls_protocols": ">=TLSv1.2"},
            {"smtpd_tls_protocols": ">=0303"},
            [],
        ),
        (
            {"smtpd_tls_security_level": "may", "smtpd_tls_protocols": ">=TLSv1.2"},
            {"smtpd_tls_protocols": "bogus"},
            ["server.minimum_protocol from TLSv1.2 to none"],
        ),
        (
            {"smtpd_tls_security_level": "may", "smtpd_tls_mandatory_protocols": ">=TLSv1.3"},
            {"smtpd_tls_mandatory_protocols": ">=TLSv1.2"},
            [],
        ),
        (
            {"smtpd_tls_security_level": "may", "smtpd_tls_ciphers": "high", "smtpd_tls_exclude_ciphers": "RC4, MD5"},
            {"smtpd_tls_ciphers": "medium", "smtpd_tls_exclude_ciphers": "RC4"},
            ["server.ciphers from high to medium", "server.exclude_ciphers from MD5, RC4 to RC4"],
        ),
        (
            {"smtpd_tls_security_level": "may", "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "yes"},
            {"smtpd_tls_auth_only": "no"},
            ["server.auth_only from no password in plaintext to passwords in plaintext"],
        ),
        (
            {"parent_domain_matches_subdomains": "smtpd_access_maps", "relay_domains": "a.example"},
            {
                "parent_domain_matches_subdomains": "Relay_Domains, qmqpd_authorized_clients, smtpd_access_maps, debug_peer_list"
            },
            [
                "server.parent_domain_matches_subdomains from smtpd_access_maps to "
                "qmqpd_authorized_clients, relay_domains, smtpd_access_maps"
            ],
        ),
        (
            {"parent_domain_matches_subdomains": "smtpd_access_maps"},
            {"parent_domain_matches_subdomains": "relay_domains, smtpd_access_maps"},  # of which there are none
            [],
        ),
        (
            {"parent_domain_matches_subdomains": "relay_domains, smtpd_access_maps, debug_peer_list"},
            {"parent_domain_matches_subdomains": "smtpd_access_maps"},
            [],
        ),
        (
            {"parent_domain_matches_subdomains": "smtpd_access_maps"},
            {"parent_domain_matches_subdomains": "debug_peer_list"},
            ["server.parent_domain_matches_subdomains from smtpd_access_maps to no smtpd_access_maps"],
        ),
        ({"mynetworks": "127.0.0.0/8"}, {"mynetworks": "127.0.0.0/8 10.0.0.0/8"}, []),
        (
            {"mynetworks": "127.0.0.0/8"},
            {"mynetworks": "198.51.100.0/24"},
            ["server.relay_networks from nothing to 198.51.100.0/24"],
        ),
        (
            {"smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination"},
            {"smtpd_relay_restrictions": "permit"},
            ["server.relay from refused to strangers to open to strangers"],
        ),
        (
            {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "nexthop"},
            {"smtp_tls_secure_cert_match": "nexthop, .example"},
            ["client.match from nexthop to .example, nexthop"],
        ),
        (
            {
                "smtp_tls_security_level": "may",
                "smtp_tls_protocols": ">=TLSv1.2",
                "smtp_tls_mandatory_protocols": ">=TLSv1.2",
            },
            {"smtp_tls_protocols": ">=TLSv1", "smtp_tls_mandatory_protocols": ">=TLSv1"},
            ["client.minimum_protocol from TLSv1.2 to TLSv1"],
        ),
        (
            {"smtp_tls_security_level": "may", "smtp_tls_mandatory_protocols": ">=TLSv1.2"},
            {"smtp_tls_mandatory_protocols": ">=TLSv1"},
            ["client.mandatory_protocol from TLSv1.2 to TLSv1"],
        ),
        (
            {"smtp_tls_security_level": "encrypt", "tls_required_enable": "no"},
            {"tls_required_enable": "yes"},
            ["client.tls_required_enable from no to yes"],
        ),
        (
            {"smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec"},
            {"smtp_dns_support_level": ""},
            ["client.level from dane to may"],
        ),
        (
            {"smtp_tls_security_level": "encrypt"},
            {"smtp_tls_security_level": "dane"},
            ["client.level from encrypt to may"],
        ),
    ],
)
def test_what_falls_in_main_cf_is_told_once_for_all_that_follow_it(node, before, after, fallen):
    node.append("".join(f"{name} = {value}\n" for name, value in before.items()))
    assert weaker(node, after) == fallen


def test_each_value_that_falls_is_told_with_its_owner(node):
    node.services += f"{SUBMISSION} -o smtpd_tls_security_level=encrypt\n"
    node.append(
        "smtpd_tls_security_level = encrypt\nsmtpd_tls_mandatory_protocols = >=TLSv1.3\nsmtp_tls_security_level = secure\n"
    )
    services = node.services.replace("=encrypt", "=none")
    lower = {"smtpd_tls_security_level": "may", "smtp_tls_security_level": "may"}
    assert weaker(node, lower, services) == [
        "server.level from encrypt to may",
        "server.minimum_protocol from TLSv1.3 to TLSv1",
        "submission/inet.level from encrypt to none",
        "client.level from secure to may",
    ]


def test_a_value_that_no_longer_counts_is_not_held_against_a_change(node):
    node.append("smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = nexthop\n")
    assert weaker(node, {"smtp_tls_security_level": "dane-only", "smtp_tls_secure_cert_match": "nexthop, x"}) == []


@pytest.mark.parametrize(
    ("entry", "then", "fallen"),
    [
        ("-o smtpd_tls_security_level=encrypt", "", ["submission/inet.level from encrypt to may"]),
        ("", "-o smtpd_tls_security_level=none", ["submission/inet.level from may to none"]),
        ("-o smtpd_tls_security_level=none", "", []),
        ("-o smtpd_tls_wrappermode=yes", "-o smtpd_tls_wrappermode=no", ["submission/inet.level from encrypt to may"]),
        ("-o syslog_name=x", "", []),
        (None, "-o smtpd_tls_security_level=none", ["submission/inet.level from may to none"]),
        (None, "-o smtpd_tls_security_level=encrypt", []),
        ("-o smtpd_tls_security_level=encrypt", None, []),
    ],
)
def test_a_server_is_held_to_what_it_was_or_to_main_cf_where_it_was_not(node, entry, then, fallen):
    node.append("smtpd_tls_security_level = may\n")
    base = node.services
    node.services = base if entry is None else f"{base}{SUBMISSION} {entry}\n"
    assert weaker(node, services=base if then is None else f"{base}{SUBMISSION} {then}\n") == fallen


@pytest.mark.parametrize(
    ("name", "fallen"),
    [
        ("587", ["587/inet.level from encrypt to may"]),
        ("192.0.2.1:submission", ["192.0.2.1:submission/inet.level from encrypt to may"]),
        ("127.0.0.1:587", []),
        ("2525", []),
    ],
)
def test_a_server_that_has_another_name_is_held_to_what_its_port_was(node, name, fallen):
    node.append("smtpd_tls_security_level = may\n")
    base = node.services
    node.services = f"{base}{SUBMISSION} -o smtpd_tls_security_level=encrypt\n"
    assert weaker(node, services=f"{base}{SUBMISSION.replace('submission', name)}\n") == fallen


@pytest.mark.parametrize(
    ("service", "public"),
    [
        ("2525 inet n - y - - smtpd", True),
        ("192.0.2.1:2525 inet n - y - - smtpd", True),
        ("[2001:db8::1]:2525 inet n - y - - smtpd", True),
        ("127.0.0.1:10025 inet n - y - - smtpd", False),
        ("[::1]:10025 inet n - y - - smtpd", False),
        ("localhost:10025 inet n - y - - smtpd", False),
        ("smtpd pass - - y - - smtpd", True),
        ("inner unix - - y - - smtpd", False),
    ],
)
def test_a_new_server_that_nobody_else_can_reach_needs_no_protection(node, service, public):
    node.append("smtpd_tls_security_level = may\n")
    found = weaker(node, services=f"{node.services}{service} -o smtpd_tls_security_level=none\n")
    assert bool(found) is public


def test_which_domains_patterns_route_nobody_can_list_so_none_may_come_or_go(node):
    shops = "regexp:{ {/@shop[.]example$/ slow:} }"
    fallen = ["client.routes from nothing to transport_maps = " + shops]
    assert weaker(node, {"transport_maps": shops}) == fallen
    assert weaker(node, unset=["transport_maps"]) == [f"client.routes from transport_maps = {shops} to nothing"]
    assert weaker(node, {"relay_domains": "static:all"})[:1] != fallen


def test_patterns_of_policies_do_not_go(node):
    node.append("smtp_tls_policy_maps = regexp:{ {/shop/ encrypt} }\n")
    assert "client.patterns from regexp:{ {/shop/ encrypt} } to nothing" in weaker(node, unset=["smtp_tls_policy_maps"])


def test_a_new_client_sends_nothing_yet(node):
    node.append("smtp_tls_security_level = may\n")
    assert weaker(node, services=f"{node.services}slow unix - - y - - smtp -o smtp_tls_security_level=none\n") == []


def test_a_client_that_is_there_is_held_to_what_it_was(node):
    node.append("smtp_tls_security_level = may\n")
    services = node.services.replace("y - - smtp\nlmtp", "y - - smtp -o smtp_tls_security_level=none\nlmtp")
    assert weaker(node, services=services) == ["relay/unix.level from may to none"]


@pytest.mark.parametrize(
    ("before", "after", "fallen"),
    [
        ({}, {"relayhost": "[hub.example]"}, []),
        (
            {"relayhost": "[hub.example]", "smtp_tls_policy_maps": "inline:{[hub.example]=secure}"},
            {"relayhost": "[other.example]"},
            ["other mail.level from secure to may"],
        ),
        (
            {"relayhost": "[hub.example]", "smtp_tls_policy_maps": "inline:{[hub.example]=secure}"},
            {"smtp_tls_policy_maps": "inline:{[hub.example]=encrypt}"},
            ["other mail.level from secure to encrypt"],
        ),
        (
            {"relayhost": "[hub.example]"},
            {"smtp_tls_policy_maps": "inline:{[hub.example]=none}"},
            ["other mail.level from may to none"],
        ),
        ({}, {"content_filter": "smtp:[127.0.0.1]:10024"}, []),
        (
            {"smtp_tls_policy_maps": "inline:{[scan.example]=none}"},
            {"content_filter": "smtp:[scan.example]"},
            ["content_filter.level from may to none"],
        ),
        (
            {"smtp_tls_policy_maps": "inline:{[scan.example]=none}", "content_filter": "smtp:[scan.example]"},
            {"content_filter": ""},
            [],
        ),
        ({}, {"smtp_fallback_relay": "[hub.example]"}, []),
        (
            {"smtp_tls_policy_maps": "inline:{[hub.example]=none}"},
            {"smtp_fallback_relay": "[hub.example]"},
            ["other mail.level from may to none"],
        ),
        ({}, {"smtp_tls_policy_maps": "ldap:/a.cf"}, ["other mail.policy from nothing to ldap:/a.cf"]),
        (
            {"smtp_tls_policy_maps": "ldap:/a.cf"},
            {"smtp_tls_policy_maps": ""},
            ["other mail.policy_sources from ldap:/a.cf to nothing"],
        ),
        (
            {"smtp_tls_policy_maps": "ldap:/a.cf"},
            {"smtp_tls_policy_maps": "ldap:/b.cf"},
            ["other mail.policy from ldap:/a.cf to ldap:/b.cf"],
        ),
        ({}, {"transport_maps": "ldap:/a.cf"}, ["other mail.next_hop from nothing to transport_maps = ldap:/a.cf"]),
        ({"transport_maps": "ldap:/a.cf"}, {"transport_maps": ""}, []),
    ],
)
def test_what_falls_on_a_way_out_is_told_by_the_way(node, before, after, fallen):
    node.append("smtp_tls_security_level = may\n" + "".join(f"{name} = {value}\n" for name, value in before.items()))
    assert weaker(node, after) == fallen


@pytest.mark.parametrize(
    ("before", "after", "fallen"),
    [
        ({}, {"a.example": "none"}, ["domain a.example.level from may to none"]),
        ({"a.example": "none"}, {}, []),
        ({"a.example": "secure"}, {}, ["domain a.example.level from secure to may"]),
        ({"a.example": "secure"}, {"a.example": "secure", "b.example": "encrypt"}, []),
        (
            {".example": "secure"},
            {".example": "secure", "a.example": "encrypt"},
            ["domain a.example.level from secure to encrypt"],
        ),
        ({".example": "secure", "a.example": "encrypt"}, {".example": "secure"}, []),
        (
            {".example": "encrypt", "a.example": "secure"},
            {".example": "encrypt"},
            ["domain a.example.level from secure to encrypt"],
        ),
        (
            {"a.example": "may protocols=>=TLSv1.2"},
            {"a.example": "may"},
            ["domain a.example.minimum_protocol from TLSv1.2 to TLSv1"],
        ),
        ({"a.example": "secure match=a"}, {"a.example": "secure match=a:b"}, ["domain a.example.match from a to a, b"]),
        ({"a.example": "may"}, {"a.example": "bogus"}, []),
    ],
)
def test_a_domain_that_one_table_alone_speaks_of_is_resolved_under_both(node, before, after, fallen):
    """Of two tables with policies, one after the other."""
    node.append("smtp_tls_security_level = may\n")
    first, second = table(node, "first", before), table(node, "second", after)
    node.append(f"smtp_tls_policy_maps = {first}\n")
    assert weaker(node, {"smtp_tls_policy_maps": second}) == fallen


@pytest.mark.parametrize(
    ("rows", "fallen"),
    [
        ({"a.example": "relay:"}, []),
        ({"a.example": "open:"}, ["domain a.example.level from may to none"]),
        ({".a.example": "open:"}, ["domain .a.example.level from may to none"]),
        ({"ann@a.example": "open:"}, ["domain ann@a.example.level from may to none"]),
        ({"*": "open:"}, ["other mail.level from may to none"]),
        ({"a.example": "error:no"}, []),
    ],
)
def test_a_transport_takes_mail_to_a_service_that_protects_it_less(node, rows, fallen):
    node.append("smtp_tls_security_level = may\n")
    node.services += "open unix - - y - - smtp -o smtp_tls_security_level=none\n"
    assert weaker(node, {"transport_maps": table(node, "transport", rows)}) == fallen


@pytest.mark.parametrize(
    ("default", "then", "fallen"),
    [
        ("secure", "may", ["client.level from secure to may"]),
        ("encrypt", "secure", []),
    ],
)
def test_domains_that_fall_with_the_client_are_not_told_each(node, default, then, fallen):
    node.append(f"smtp_tls_security_level = {default}\ntransport_maps = inline:{{a.example=relay:}}\n")
    node.append(f"smtp_tls_policy_maps = {table(node, 'policy', {'b.example': 'secure', 'c.example': 'may'})}\n")
    assert weaker(node, {"smtp_tls_security_level": then}) == fallen
