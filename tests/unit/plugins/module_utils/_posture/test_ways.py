# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.ways import (
    OTHER,
    is_filter,
    is_loopback,
    read_destinations,
    read_ways,
    recipient,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PARTNER, apply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    said,
    table,
)

HUB = "[hub.example]:587"


def ways(node, parameters=None, *destinations):
    return read_ways(configured(node, parameters), destinations)


def hops(way):
    """Service, next hop, what has chosen it, and the key of its policy."""
    return [(hop.service and hop.service.key, hop.next_hop, hop.by, hop.policy.key) for hop in way.hops]


@pytest.mark.parametrize(
    ("next_hop", "here"),
    [
        ("127.0.0.1", True),
        ("[127.0.0.1]:10025", True),
        ("127.0.0.1:10025", True),
        ("[::1]", True),
        ("[::1]:smtp", True),
        ("localhost", True),
        ("[localhost]:10024", True),
        ("inet:[127.0.0.1]:24", True),
        ("inet:127.1.2.3:24", True),
        ("unix:private/dovecot-lmtp", True),
        ("/var/run/lmtp", True),
        ("[hub.example]:25", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("[192.0.2.1]:127", False),
        ("inet:[192.0.2.1]:24", False),
    ],
)
def test_mail_for_this_host_itself_crosses_no_network(next_hop, here):
    assert is_loopback(next_hop) is here


@pytest.mark.parametrize(
    ("destination", "address"),
    [
        ("a.example", "somebody@a.example"),
        (".a.example", "somebody@any.a.example"),
        ("ann@a.example", "ann@a.example"),
        (OTHER, "somebody@no-table-speaks-of-this.invalid"),
    ],
)
def test_a_destination_stands_for_an_address_there(destination, address):
    assert recipient(destination) == address


@pytest.mark.parametrize(
    ("name", "filtering"),
    [
        ("content_filter", True),
        ("content_filter of smtp/inet", True),
        ("virtual_transport", True),
        ("FILTER smtp:[scan.example] in header_checks", True),
        ("smtpd_proxy_filter of smtp/inet", True),
        ("a_b.example", False),
        ("filter.example", False),
    ],
)
def test_a_filter_is_no_destination(name, filtering):
    assert is_filter(name) is filtering


def test_destinations_are_those_of_records_and_of_tables_but_no_next_hops(node):
    transport = {"a.example": "slow:", "ann@b.example": "slow:", ".c.example": "slow:", "*": "slow:", "localhost": ":"}
    policy = {"d.example": "may", "[mx.d.example]:25": "may", "mx.d.example:25": "may", "e_1.example": "may"}
    records = read_domains(
        [{"name": "lan", "level": "encrypt"}, {"name": "r.example", "level": "may", "subdomains": True}]
    )[0]
    configuration = configured(
        node,
        {"transport_maps": table(node, "transport", transport), "smtp_tls_policy_maps": table(node, "policy", policy)},
    )
    assert read_destinations(configuration, records) == [
        *("lan", "r.example", ".r.example"),
        *("a.example", "ann@b.example", ".c.example", "localhost"),
        *("d.example", "e_1.example"),
    ]


def test_destinations_are_the_domains_with_a_transport_of_their_own(node):
    domains = {
        "relay_domains": f"a.example !b.example .c.example {table(node, 'relay', {'d.example': 'x', 'ann@d.example': 'x'})}",
        "virtual_mailbox_domains": "e.example",
        "virtual_alias_domains": "f.example",
        "mydestination": "g.example",
    }
    found = read_destinations(configured(node, domains), ())
    assert sorted(found) == [".c.example", "a.example", "b.example", "d.example", "e.example"]


@pytest.mark.parametrize("name", ["local_transport", "mailbox_transport", "virtual_transport"])
def test_a_client_behind_local_delivery_is_a_way_without_a_next_hop_as_well(node, name):
    assert hops(ways(node, {name: "relay"})[name]) == [("relay/unix", "the recipient's domain", name, None)]
    assert name not in ways(node, {name: "virtual"})


def test_a_way_is_the_next_hop_with_the_policy_for_it(node):
    apply(node, PARTNER)
    found = ways(node, {"relayhost": HUB}, "partner.example", "b.example")
    assert hops(found["partner.example"]) == [
        ("smtp/unix", "[mx.partner.example]:25", "transport_maps", "[mx.partner.example]:25")
    ]
    assert hops(found["b.example"]) == hops(found[OTHER]) == [("smtp/unix", HUB, "relayhost", None)]
    assert found["partner.example"].protections["level"] == "secure"
    assert found[OTHER].protections["level"] == "none"


def test_mail_may_go_to_each_next_hop_of_a_list(node):
    maps = "inline:{ { [one.example] = secure }, { [two.example]:26 = encrypt } }"
    found = ways(node, {"relayhost": "[one.example], [two.example]:26", "smtp_tls_policy_maps": maps})[OTHER]
    assert [hop.policy.key for hop in found.hops] == ["[one.example]", "[two.example]:26"]
    assert found.protections["level"] == "encrypt"


def test_mail_may_go_to_the_fallback_relay_of_its_service(node):
    node.override("relay/unix/smtp_fallback_relay=")
    parameters = {"smtp_fallback_relay": "[one.example] two.example", "relay_domains": "relayed.example"}
    found = ways(node, parameters, "relayed.example")
    assert hops(found[OTHER])[1:] == [
        ("smtp/unix", "[one.example]", "smtp_fallback_relay", None),
        ("smtp/unix", "two.example", "smtp_fallback_relay", None),
    ]
    assert hops(found["relayed.example"]) == [("relay/unix", "relayed.example", "relay_transport", None)]


@pytest.mark.parametrize(
    ("next_hop", "fallback"), [("inet:[store.example]:24", True), ("[store.example]", True), ("unix:private/x", False)]
)
def test_lmtp_has_a_fallback_relay_of_its_own_for_hosts(node, next_hop, fallback):
    node.services += "lmtp unix - - y - - lmtp\n"
    found = ways(node, {"default_transport": f"lmtp:{next_hop}", "lmtp_fallback_relay": "[other.example]"})[OTHER]
    assert [hop.next_hop for hop in found.hops] == [next_hop, *(["[other.example]"] if fallback else [])]


def test_what_a_fallback_relay_does_not_guarantee_nothing_does(node):
    maps = "inline:{ { a.example = secure }, { [fallback.example] = encrypt } }"
    parameters = {"smtp_tls_policy_maps": maps, "smtp_fallback_relay": "[fallback.example]"}
    assert ways(node, parameters, "a.example")["a.example"].protections["level"] == "encrypt"


@pytest.mark.parametrize(
    "parameters",
    [
        {"default_transport": "error:no"},
        {"default_transport": "discard:"},
        {"default_transport": "uucp"},
        {"relayhost": "[127.0.0.1]:10025"},
        {"smtp_tls_policy_maps": "static:bogus"},
    ],
)
def test_nothing_is_said_of_mail_that_crosses_no_network(node, parameters):
    assert ways(node, {"smtp_tls_security_level": "may", **parameters})[OTHER].protections == {}


def test_senders_of_their_own_relayhosts_take_their_ways_too(node):
    senders = table(node, "senders", {"bob@b.example": "[bobs.example]"})
    found = ways(node, {"sender_dependent_relayhost_maps": senders, "relayhost": HUB})[OTHER]
    assert [hop.next_hop for hop in found.hops] == [HUB, "[bobs.example]"]


@pytest.mark.parametrize(
    ("parameters", "next_hop", "service"),
    [
        ({"content_filter": "smtp:[scan.example]:10024"}, "[scan.example]:10024", "smtp/unix"),
        ({"content_filter": "relay:[127.0.0.1]:10024"}, "[127.0.0.1]:10024", "relay/unix"),
        ({"content_filter": "smtp:"}, "no-table-speaks-of-this.invalid", "smtp/unix"),
        ({"content_filter": "smtp"}, "no-table-speaks-of-this.invalid", "smtp/unix"),
        ({"content_filter": "smtp", "default_filter_nexthop": "[scan.example]"}, "[scan.example]", "smtp/unix"),
        ({"content_filter": "scan:x"}, "x", None),
    ],
)
def test_a_content_filter_is_a_way_of_all_mail(node, parameters, next_hop, service):
    (hop,) = ways(node, parameters)["content_filter"].hops
    assert (hop.next_hop, hop.service and hop.service.key, hop.by) == (next_hop, service, "content_filter")


@pytest.mark.parametrize("text", ["relay:", "relay"])
def test_a_content_filter_without_a_next_hop_is_a_transport_for_mail_to_each_domain(node, text):
    node.override("relay/unix/smtp_tls_security_level=none")
    maps = "inline:{a.example=secure}"
    parameters = {"content_filter": text, "smtp_tls_security_level": "may", "smtp_tls_policy_maps": maps}
    found = ways(node, parameters, "a.example", "ann@a.example", "b.example")["content_filter"]
    assert [(hop.next_hop, hop.policy.key) for hop in found.hops[1:]] == [
        ("a.example", "a.example"),
        ("b.example", None),
    ]
    assert {hop.service.key for hop in found.hops} == {"relay/unix"}
    assert found.protections["level"] == "none"


def test_a_service_may_have_a_content_filter_of_its_own(node):
    node.override("smtp/inet/content_filter=smtp:[scan.example]")
    found = ways(node)
    assert "content_filter" not in found
    assert hops(found["content_filter of smtp/inet"]) == [("smtp/unix", "[scan.example]", "content_filter", None)]


@pytest.mark.parametrize(
    "parameter", ["mailbox_transport", "fallback_transport", "virtual_transport", "local_transport"]
)
def test_local_mail_may_be_handed_to_another_host(node, parameter):
    (hop,) = ways(node, {parameter: "smtp:[store.example]"})[parameter].hops
    assert (hop.next_hop, hop.by) == ("[store.example]", parameter)


def test_what_nobody_can_ask_about_the_next_hop_counts_where_tls_is_used(node):
    parameters = {"smtp_tls_security_level": "may", "transport_maps": "ldap:/a.cf"}
    assert said(ways(node, parameters)[OTHER].protections)["next_hop"] == "transport_maps = ldap:/a.cf"
    node.postfix.edit({"transport_maps": ""})
    assert said(ways(node)[OTHER].protections)["next_hop"] == "nothing"
    node.postfix.edit({"smtp_tls_security_level": "none"})
    assert said(ways(node)[OTHER].protections) == {
        **{"level": "none", "patterns": "nothing", "passwords": "nothing", "policy_sources": "nothing"}
    }


def test_tables_are_asked_once_however_many_destinations_there_are(node):
    transport, policy = table(node, "transport", {"a.example": "slow:"}), table(node, "policy", {"a.example": "may"})
    configuration = configured(node, {"transport_maps": transport, "smtp_tls_policy_maps": policy})
    del node.commands[:]
    read_ways(configuration, [f"d{number}.example" for number in range(50)])
    assert sorted(node.asked("postmap")) == sorted([transport, policy])


@pytest.mark.parametrize(
    ("relayhost", "found"),
    [
        ("", [("smtp/unix", "a.example", "default_transport"), ("relay/unix", "[store.example]", "best_mx_transport")]),
        ("[hub.example]", [("smtp/unix", "[hub.example]", "relayhost")]),
    ],
)
def test_mail_of_which_this_host_is_the_best_exchanger_goes_where_that_is_said(node, relayhost, found):
    parameters = {"best_mx_transport": "relay:[store.example]", "relayhost": relayhost}
    way = ways(node, parameters, "a.example")["a.example"]
    assert [(hop.service.key, hop.next_hop, hop.by) for hop in way.hops] == found
