# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import (
    Mode,
    check_agreement,
    check_coverage,
    read_domain,
    read_domains,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Demand
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PINS, TODAY, TOMORROW, YESTERDAY


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
        ("lmtp:unix:private/store", "private/store", "lmtp:unix:private/store"),
        ("relay:[mx.partner.example]", "[mx.partner.example]", "relay:[mx.partner.example]"),
        ("[smtp.partner.example]:465", "[smtp.partner.example]:465", "smtps:[smtp.partner.example]:465"),
        ("[192.0.2.25]", "[192.0.2.25]", "smtp:[192.0.2.25]"),
        ("[IPv6:2001:db8::25]:25", "[ipv6:2001:db8::25]:25", "smtp:[ipv6:2001:db8::25]:25"),
    ],
)
def test_the_policy_is_looked_up_by_the_next_hop_verbatim(route, key, transport):
    policy = record(route=route, level="encrypt")
    assert policy.next_hops == (key,)
    assert str(policy.route) == transport


def test_without_a_route_the_policy_is_looked_up_by_the_domain():
    assert record(level="encrypt").next_hops == ("partner.example",)


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
        ({"route": "[smtp.partner.example]:465", "level": "may"}, "is too little where TLS comes first"),
        ({"route": "[smtp.partner.example]:465", "level": "dane"}, "is too little where TLS comes first"),
        ({"level": "encrypt", "implicit_tls": True}, "has no route"),
        ({"servername": "mx.partner.example", "local": True}, "is not looked at"),
        ({"servername": "mx partner.example", "level": "encrypt"}, "is not a domain name"),
        ({"servername": "nexthop", "level": "dane-only"}, "DANE's own name is asked for"),
        ({"level": "encrypt", "match": ["mx.partner.example"]}, "is not looked at"),
        ({"match": ["mx.partner.example"], "local": True}, "is not looked at"),
        ({"level": "fingerprint"}, "lists no fingerprint"),
        ({"level": "fingerprint", "match": ["AB:CD"]}, "SHA-256 fingerprint"),
        ({"name": ".partner.example", "local": True}, "cannot be said of"),
    ],
)
def test_a_record_that_cannot_be_meant_is_refused(given, problem):
    with pytest.raises(InvalidValue, match="domains\\[0\\]") as refusal:
        record(**given)
    assert problem in str(refusal.value)


def test_a_domain_listed_twice_is_refused():
    items = [{"name": "partner.example", "level": "may"}, {"name": "PARTNER.example", "level": "encrypt"}]
    with pytest.raises(InvalidValue, match="is listed twice"):
        read_domains(items)


def test_a_domain_to_remove_needs_only_its_name():
    assert read_domains([{"name": "partner.example", "state": "absent"}]) == ([], ["partner.example"])


def test_two_domains_on_one_next_hop_must_be_protected_alike():
    one = read_domain("d", {"name": "a.example", "route": "[mx.example]", "level": "secure"})
    other = read_domain("d", {"name": "b.example", "route": "[mx.example]", "level": "encrypt"})
    with pytest.raises(InvalidValue, match="shares the next hop"):
        check_agreement([one, other])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {},
            "domains[0]: 'partner.example' says nothing about the domain; give it a level, a route, incoming, requiretls or local: true.",
        ),
        (
            {"mode": "testing", "local": True},
            "domains[0].mode: 'testing' has nothing to test; give it a level, incoming or requiretls.",
        ),
        (
            {"mode": "testing", "route": "[mx.partner.example]"},
            "domains[0].mode: 'testing' has nothing to test; give it a level, incoming or requiretls.",
        ),
        (
            {"level": "may", "mode": "report"},
            "domains[0].mode: 'report' is not known; use one of testing, enforce.",
        ),
        (
            {"level": "may", "minimum_protocol": "SSLv3"},
            "domains[0].minimum_protocol: 'SSLv3' is not known; use one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3.",
        ),
        (
            {"level": "may", "ciphers": "low"},
            "domains[0].ciphers: 'low' is not known; use one of medium, high.",
        ),
        (
            {"local": True, "minimum_protocol": "TLSv1.2"},
            "domains[0].minimum_protocol: 'TLSv1.2' is not looked at when the level is 'not given'; "
            "set a level that uses TLS beside it, or leave it out.",
        ),
        (
            {"level": "none", "ciphers": "high"},
            "domains[0].ciphers: 'high' is not looked at when the level is 'none'; "
            "set a level that uses TLS beside it, or leave it out.",
        ),
        (
            {"level": "none", "match": ["mx.partner.example"]},
            "domains[0].match: ['mx.partner.example'] is not looked at when the level is 'none'; "
            "set level: secure, verify or fingerprint, or leave match out.",
        ),
        (
            {"level": "fingerprint"},
            "domains[0].match: [] lists no fingerprint for level 'fingerprint'; "
            "list the SHA-256 fingerprints of the peer's certificate or public key.",
        ),
        (
            {"requiretls": "enforce", "route": "lmtp:[store.example]:24"},
            "domains[0].requiretls: 'enforce' is not looked up for an LMTP route (postconf(5), smtp_requiretls_policy); "
            "leave requiretls out, or route the domain by SMTP.",
        ),
        (
            {"name": ".partner.example", "local": True},
            "domains[0].local: '.partner.example' cannot be said of '.domain'; "
            "name the domain itself, with subdomains: true where names below it are meant as well.",
        ),
        (
            {"name": ".partner.example", "level": "may", "subdomains": True},
            "domains[0].subdomains: '.partner.example' cannot be said of '.domain'; "
            "name the domain itself, with subdomains: true where names below it are meant as well.",
        ),
        (
            {"name": ".partner.example", "incoming": {}},
            "domains[0].incoming: '.partner.example' cannot be said of '.domain'; "
            "name the domain itself, with subdomains: true where names below it are meant as well.",
        ),
        (
            {"level": "may", "owner": "mail team\nlevel: none"},
            "domains[0].owner: 'mail team\\nlevel: none' holds a control character; write one line of text.",
        ),
        (
            {"level": "may", "reason": "a\x00b"},
            "domains[0].reason: 'a\\x00b' holds a control character; write one line of text.",
        ),
        (
            {"level": "may", "reason": "a\x7fb"},
            "domains[0].reason: 'a\\x7fb' holds a control character; write one line of text.",
        ),
    ],
)
def test_a_refusal_is_one_sentence_with_what_to_do(given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        record(**given)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    "value",
    [
        "2027-02-30",
        "2027-13-01",
        "31.03.2027",
        "20270331",
        20270331,
        "2027-03-31T00:00:00",
        datetime.datetime(2027, 3, 31),
        "",
        "never",
        True,
        ["2027-03-31"],
        "2027-03-31\n",
        " 2027-03-31",
    ],
)
def test_what_is_no_date_is_refused_by_its_option(value):
    with pytest.raises(InvalidValue) as refusal:
        record(level="may", expires=value)
    assert str(refusal.value) == (
        f"domains[0].expires: {value!r} is not a date; write year, month and day, as in 2027-03-31."
    )


@pytest.mark.parametrize("value", ["2027-03-31", datetime.date(2027, 3, 31)])
def test_a_date_may_come_as_text_or_as_yaml_reads_it(value):
    policy = record(level="may", expires=value)
    assert policy.expires == datetime.date(2027, 3, 31)
    assert policy.as_facts()["expires"] == "2027-03-31"


STRICT = {"level": "secure", "match": ["mx.partner.example"], "minimum_protocol": "TLSv1.3", "ciphers": "high"}
ASKING = {"incoming": {"client_certificates": "require"}}


@pytest.mark.parametrize(
    ("given", "protection", "demand"),
    [
        ({}, "secure match=mx.partner.example minimum_protocol=TLSv1.3 ciphers=high", Demand.CERTIFICATE),
        (
            {"mode": "enforce"},
            "secure match=mx.partner.example minimum_protocol=TLSv1.3 ciphers=high",
            Demand.CERTIFICATE,
        ),
        ({"mode": "testing"}, "may", Demand.NOTHING),
        (
            {"expires": "2027-03-31"},
            "secure match=mx.partner.example minimum_protocol=TLSv1.3 ciphers=high",
            Demand.CERTIFICATE,
        ),
        (
            {"expires": TOMORROW},
            "secure match=mx.partner.example minimum_protocol=TLSv1.3 ciphers=high",
            Demand.CERTIFICATE,
        ),
        ({"expires": YESTERDAY}, None, Demand.NOTHING),
        ({"expires": YESTERDAY, "mode": "testing"}, None, Demand.NOTHING),
        ({"expires": "2027-03-31", "mode": "testing"}, "may", Demand.NOTHING),
    ],
)
def test_a_record_holds_until_its_last_day_is_over_and_in_testing_not_at_all(given, protection, demand):
    in_force = record(**STRICT, **ASKING, **given).in_force(TODAY)
    assert (in_force.protection, in_force.demand) == (protection, demand)


@pytest.mark.parametrize("given", [{}, {"mode": "testing"}, {"expires": YESTERDAY}])
def test_mail_goes_the_same_way_whatever_is_in_force(given):
    policy = record(**STRICT, route="[mx.partner.example]:25", local=True, subdomains=True, **given)
    in_force = policy.in_force(TODAY)
    assert (in_force.route, in_force.local, in_force.subdomains) == (policy.route, True, True)
    assert (in_force.names, in_force.next_hops) == (policy.names, policy.next_hops)


@pytest.mark.parametrize(
    ("level", "tested"),
    [(word, "none" if word == "none" else "may") for word in ClientLevel.words() if word != "fingerprint"],
)
def test_a_level_in_testing_is_opportunistic_and_none_stays_none(level, tested):
    assert record(level=level, mode="testing").in_force(TODAY).protection == tested


def test_an_incoming_record_in_testing_keeps_its_demand_for_the_log():
    in_force = record(**ASKING, mode="testing").in_force(TODAY)
    assert (in_force.demand, in_force.incoming.demand) == (Demand.NOTHING, Demand.CERTIFICATE)
    assert in_force.mode is Mode.TESTING


@pytest.mark.parametrize(
    ("expires", "over"), [(None, False), (TOMORROW, False), ("2027-03-31", False), (YESTERDAY, True)]
)
def test_a_record_has_expired_when_its_last_day_is_past(expires, over):
    assert record(level="may", expires=expires).has_expired(TODAY) is over


@pytest.mark.parametrize(
    ("given", "names", "next_hops"),
    [
        ({}, ["partner.example"], ["partner.example"]),
        ({"subdomains": True}, ["partner.example", ".partner.example"], ["partner.example", ".partner.example"]),
        ({"name": ".partner.example"}, [".partner.example"], [".partner.example"]),
        ({"route": "[mx.partner.example]"}, ["partner.example"], ["[mx.partner.example]"]),
        (
            {"route": "[mx.partner.example]", "subdomains": True},
            ["partner.example", ".partner.example"],
            ["[mx.partner.example]"],
        ),
        ({"name": "PARTNER.Example", "route": "MX.Partner.Example:26"}, ["partner.example"], ["mx.partner.example:26"]),
    ],
)
def test_a_record_covers_its_domain_and_on_demand_the_names_below(given, names, next_hops):
    policy = record(level="encrypt", **given)
    assert (list(policy.names), list(policy.next_hops)) == (names, next_hops)


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        (
            {"name": "a.example", "subdomains": True},
            {"name": ".a.example"},
            "domains: '.a.example' covers .a.example, and so does a.example; set subdomains: false, or keep one of them.",
        ),
        (
            {"name": ".a.example"},
            {"name": "a.example", "subdomains": True},
            "domains: 'a.example' covers .a.example, and so does .a.example; set subdomains: false, or keep one of them.",
        ),
        ({"name": "a.example"}, {"name": ".a.example"}, None),
        ({"name": ".a.example", "route": "[mx.example]"}, {"name": "a.example"}, None),
        ({"name": ".a.example", "route": "[mx.example]"}, {"name": "b.a.example", "level": None, "local": True}, None),
        *(
            (
                {"name": ".a.example", "route": "[mx.example]"},
                {"name": "b.a.example", **said},
                "domains: 'b.a.example' has a level or requiretls and no route, and its mail goes where .a.example is "
                "routed (smtp:[mx.example]), so that would never be looked up; give it a route of its own.",
            )
            for said in ({"level": "secure"}, {"level": None, "requiretls": "enforce"})
        ),
        ({"name": "a.example", "subdomains": True}, {"name": "b.a.example"}, None),
        ({"name": "a.example", "subdomains": True}, {"name": "b.a.example", "subdomains": True}, None),
        ({"name": "a.example", "route": "[mx.example]"}, {"name": "b.example", "route": "[mx.example]"}, None),
        (
            {"name": "a.example", "route": "[mx.example]", "minimum_protocol": "TLSv1.2"},
            {"name": "b.example", "route": "[mx.example]"},
            "domains: 'b.example' shares the next hop [mx.example] with a.example but protects it differently "
            "(encrypt against encrypt minimum_protocol=TLSv1.2); "
            "give both the same level and match: Postfix looks policies up by next hop.",
        ),
        (
            {"name": "a.example", "route": "[mx.example]", "level": None},
            {"name": "b.example", "route": "[mx.example]"},
            "domains: 'b.example' shares the next hop [mx.example] with a.example but protects it differently "
            "(encrypt against no level); "
            "give both the same level and match: Postfix looks policies up by next hop.",
        ),
        (
            {"name": "a.example", "route": "b.example", "level": "secure"},
            {"name": "b.example"},
            "domains: 'b.example' shares the next hop b.example with a.example but protects it differently "
            "(encrypt against secure); "
            "give both the same level and match: Postfix looks policies up by next hop.",
        ),
        (
            {"name": "a.example", "route": "[mx.example]:25", "level": "may"},
            {"name": "b.example", "route": "[mx.example]"},
            None,
        ),
    ],
)
def test_records_must_be_such_that_postfix_can_honour_all_of_them(one, other, problem):
    records = [record(**{"level": "encrypt", **given}) for given in (one, other)]
    if problem is None:
        check_coverage(records)
        check_agreement(records)
        return
    with pytest.raises(InvalidValue) as refusal:
        check_coverage(records)
        check_agreement(records)
    assert str(refusal.value) == problem


def test_a_record_in_testing_agrees_with_one_that_is_opportunistic():
    one = record(name="a.example", route="[mx.example]", level="secure", mode="testing")
    other = record(name="b.example", route="[mx.example]", level="may")
    check_agreement([one.in_force(TODAY), other.in_force(TODAY)])
    with pytest.raises(InvalidValue, match="shares the next hop"):
        check_agreement([one, other])


def test_facts_hold_every_field_as_plain_data():
    policy = record(
        level="fingerprint",
        match=[PINS[0].lower()],
        route="[192.0.2.25]:26",
        subdomains=True,
        local=True,
        ciphers="high",
        minimum_protocol="TLSv1.2",
        servername="MX.partner.example",
        implicit_tls=True,
        incoming={"pins": PINS[:1]},
        mode="testing",
        expires=TOMORROW,
        owner="Ü",
        reason="",
    )
    assert policy.as_facts() == {
        "name": "partner.example",
        "subdomains": True,
        "level": "fingerprint",
        "match": PINS[:1],
        "minimum_protocol": "TLSv1.2",
        "ciphers": "high",
        "servername": "mx.partner.example",
        "requiretls": None,
        "route": "smtps:[192.0.2.25]:26",
        "implicit_tls": True,
        "local": True,
        "incoming": {"level": "encrypt", "client_certificates": "require", "pins": PINS[:1]},
        "mode": "testing",
        "expires": TOMORROW,
        "owner": "Ü",
        "reason": "",
    }
    assert read_domain("domains[0]", policy.as_facts()) == policy


def test_a_domain_to_remove_that_is_listed_as_wanted_too_is_refused():
    items = [{"name": "partner.example", "level": "may"}, {"name": "Partner.Example", "state": "absent"}]
    with pytest.raises(InvalidValue) as refusal:
        read_domains(items)
    assert str(refusal.value) == ("domains: 'partner.example' is listed twice; keep one record per domain.")


def test_an_error_names_the_domain_and_not_its_place():
    with pytest.raises(InvalidValue, match=r"^domains\[c\]\.level: 'strict' is not known"):
        read_domains(
            [{"name": "a.example", "local": True}, {"name": "b", "state": "absent"}, {"name": "c", "level": "strict"}]
        )


def test_a_name_that_is_none_is_refused_by_the_place_of_its_item():
    with pytest.raises(InvalidValue, match=r"^domains\[1\]\.name: 'b a' is not a domain name; "):
        read_domains([{"name": "a.example", "local": True}, {"name": "b a", "local": True}])
