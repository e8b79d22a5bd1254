# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import (
    check_agreement,
    read_domain,
    read_domains,
)


def record(**given):
    return read_domain("domains[0]", {"name": "partner.example", **given})


@pytest.mark.parametrize(
    ("route", "key", "transport"),
    [
        ("[mx.partner.example]:25", "[mx.partner.example]:25", "smtp:[mx.partner.example]:25"),
        ("[mx.partner.example]", "[mx.partner.example]", "smtp:[mx.partner.example]"),
        ("partner-mx.example", "partner-mx.example", "smtp:partner-mx.example"),
        ("partner-mx.example:587", "partner-mx.example:587", "smtp:partner-mx.example:587"),
        ("lmtp:[store.example]:24", "[store.example]:24", "lmtp:[store.example]:24"),
        ("[192.0.2.25]", "[192.0.2.25]", "smtp:[192.0.2.25]"),
        ("[IPv6:2001:db8::25]:25", "[ipv6:2001:db8::25]:25", "smtp:[ipv6:2001:db8::25]:25"),
    ],
)
def test_the_policy_is_looked_up_by_the_next_hop_verbatim(route, key, transport):
    policy = record(route=route, level=None if route.startswith("lmtp:") else "encrypt")
    assert policy.next_hop == key
    assert str(policy.route) == transport


def test_without_a_route_the_policy_is_looked_up_by_the_domain():
    assert record(level="encrypt").next_hop == "partner.example"


def test_each_name_to_match_becomes_an_attribute():
    assert record(level="secure", match=["mx.partner.example", ".partner.example"]).protection == (
        "secure match=mx.partner.example match=.partner.example"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": "münchen.example", "level": "may"}, "A-label"),
        ({"name": "a b.example", "level": "may"}, "is not a domain name"),
        ({"name": "x" * 64 + ".example", "level": "may"}, "is not a domain name"),
        ({"name": ".".join(["x" * 60] * 5), "level": "may"}, "longer than 253"),
        ({"name": "partner.example\n", "level": "may"}, "is not a domain name"),
        ({"level": "strict"}, "use one of none, may"),
        ({}, "says nothing about the domain"),
        ({"route": "[mx.partner.example"}, "is not a next hop"),
        ({"route": "[mx.partner.example]:70000"}, "port"),
        ({"route": "uucp:somewhere"}, "is not a next hop"),
        ({"level": "encrypt", "match": ["mx.partner.example"]}, "is not looked at"),
        ({"match": ["mx.partner.example"], "local": True}, "is not looked at"),
        ({"level": "encrypt", "route": "lmtp:[store.example]:24"}, "lmtp_tls_policy_maps"),
        ({"level": "fingerprint"}, "lists no fingerprint"),
        ({"level": "fingerprint", "match": ["AB:CD"]}, "SHA-256 fingerprint"),
        ({"name": ".partner.example", "local": True}, "cannot be local"),
    ],
)
def test_a_record_that_cannot_be_meant_is_refused(given, problem):
    with pytest.raises(InvalidValue, match="domains\\[0\\]") as refusal:
        record(**given)
    assert problem in str(refusal.value)


def test_a_domain_listed_twice_is_refused():
    items = [{"name": "partner.example", "level": "may"}, {"name": "PARTNER.example", "level": "encrypt"}]
    with pytest.raises(InvalidValue, match="stands in domains\\[0\\] too"):
        read_domains(items)


def test_a_domain_to_remove_needs_only_its_name():
    assert read_domains([{"name": "partner.example", "state": "absent"}]) == ([], ["partner.example"])


def test_two_domains_on_one_next_hop_must_be_protected_alike():
    one = read_domain("d", {"name": "a.example", "route": "[mx.example]", "level": "secure"})
    other = read_domain("d", {"name": "b.example", "route": "[mx.example]", "level": "encrypt"})
    with pytest.raises(InvalidValue, match="shares the next hop"):
        check_agreement([one, other])
