# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix finds in the tables that follow from the records, and the parameters that come with them."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domain_tables import tables
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import (
    current_folder,
    read_records,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    LOCAL,
    PARENTS,
    PARTNER,
    PINS,
    TODAY,
    WITHOUT_RELAY,
    YESTERDAY,
    apply,
    explicit,
    is_refused,
    plan,
    table,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


def test_the_tables_follow_from_the_records():
    present, _absent = read_domains([PARTNER, LOCAL])
    assert tables(present, (3, 10)) == {
        "tls_policy": {"[mx.partner.example]:25": "secure"},
        "lmtp_policy": {},
        "transport": {"partner.example": "smtp:[mx.partner.example]:25"},
        "relay_domains": {"example.com": "OK"},
        "requiretls": {},
    }


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"name": "partner.example", "level": "encrypt"}, "partner.example"),
        ({"name": ".partner.example", "level": "encrypt"}, ".partner.example"),
        ({"name": "partner.example", "level": "encrypt", "route": "mx.partner.example"}, "mx.partner.example"),
        ({"name": "partner.example", "level": "encrypt", "route": "[mx.partner.example]"}, "[mx.partner.example]"),
        ({"name": "partner.example", "level": "encrypt", "route": "[192.0.2.1]:587"}, "[192.0.2.1]:587"),
    ],
)
def test_a_level_stands_under_what_postfix_will_look_up(node, record, key):
    apply(node, record)
    folder = os.path.join(node.config_dir, "smtp_hardening/domains/1")
    assert node.postfix.ask_table(f"{folder}/tls_policy", "hash", [key]) == ((key, "encrypt"),)


def test_two_domains_share_the_policy_of_their_next_hop(node):
    apply(node, PARTNER, {**PARTNER, "name": "subsidiary.example"})
    folder = os.path.join(node.config_dir, "smtp_hardening/domains/1")
    assert node.tables[f"{folder}/tls_policy"] == {"[mx.partner.example]:25": "secure"}
    assert sorted(node.tables[f"{folder}/transport"]) == ["partner.example", "subsidiary.example"]


@pytest.mark.parametrize("kind", ["hash", "lmdb", "cdb"])
def test_tables_are_of_the_kind_that_this_postfix_prefers(node, kind):
    node.write(f"default_database_type = {kind}\n")
    assert plan(node, {**LOCAL, "subdomains": True}).plan.set == {
        "relay_domains": f"{kind}:{node.config_dir}/smtp_hardening/domains/1/relay_domains"
    }


@pytest.mark.parametrize(
    ("given", "policy", "transport"),
    [
        ({}, ["a.example"], []),
        ({"subdomains": True}, ["a.example", ".a.example"], []),
        ({"name": ".a.example"}, [".a.example"], []),
        ({"route": "[mx.example]"}, ["[mx.example]"], ["a.example"]),
        ({"route": "[mx.example]", "subdomains": True}, ["[mx.example]"], ["a.example", ".a.example"]),
        ({"name": ".a.example", "route": "mx.example:26"}, ["mx.example:26"], [".a.example"]),
        ({"level": None, "route": "[mx.example]", "subdomains": True}, [], ["a.example", ".a.example"]),
    ],
)
def test_names_below_a_domain_have_keys_of_their_own(given, policy, transport):
    present, _absent = read_domains([{"name": "a.example", "level": "encrypt", **given}])
    made = tables(present, (3, 10))
    assert made["tls_policy"] == dict.fromkeys(policy, "encrypt")
    assert list(made["transport"]) == transport


@pytest.mark.parametrize(
    ("given", "today", "policy"),
    [
        ({}, TODAY, "secure match=mx.a.example"),
        ({"mode": "testing"}, TODAY, "may"),
        ({"expires": str(TODAY)}, TODAY, "secure match=mx.a.example"),
        ({"expires": YESTERDAY}, TODAY, None),
        ({"expires": YESTERDAY, "mode": "testing"}, TODAY, None),
    ],
)
def test_the_table_holds_what_is_in_force_and_the_file_what_was_said(node, given, today, policy):
    record = {"name": "a.example", "level": "secure", "match": ["mx.a.example"], "local": True, **given}
    planned = apply(node, record, today=today)
    assert table(node, "tls_policy") == (policy and {"a.example": policy})
    assert [str(kept.level) for kept in read_records(current_folder(node.state))] == ["secure"]
    assert planned.expired(today) == (["a.example"] if given.get("expires") == YESTERDAY else [])
    assert not plan(node, record, today=today).plan.changed


@pytest.mark.parametrize(
    ("version", "floor", "protocols"),
    [
        ("3.10.13", "TLSv1", ">=TLSv1"),
        ("3.10.13", "TLSv1.2", ">=TLSv1.2"),
        ("3.6.0", "TLSv1.3", ">=TLSv1.3"),
        ("3.5.25", "TLSv1", "!SSLv2:!SSLv3"),
        ("3.5.25", "TLSv1.2", "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"),
        ("3.5.25", "TLSv1.3", "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2"),
    ],
)
def test_a_lowest_protocol_stands_in_the_table_as_this_postfix_writes_it(node, version, floor, protocols):
    node.defaults["mail_version"] = version
    record = {
        "name": "a.example",
        "level": "secure",
        "match": ["b.example"],
        "minimum_protocol": floor,
        "ciphers": "high",
    }
    apply(node, record)
    assert table(node, "tls_policy") == {"a.example": f"secure match=b.example protocols={protocols} ciphers=high"}
    assert not plan(node, record).plan.changed


def test_a_new_version_of_postfix_gets_the_table_in_its_own_words(old_node):
    record = {"name": "a.example", "level": "may", "minimum_protocol": "TLSv1.2"}
    apply(old_node, record)
    old_node.defaults["mail_version"] = "3.10.13"
    assert apply(old_node).plan.changed
    assert table(old_node, "tls_policy") == {"a.example": "may protocols=>=TLSv1.2"}


@pytest.mark.parametrize(
    ("parents", "subdomains", "entries", "left"),
    [
        (None, [True], ["a.example"], None),
        (None, [False], ["a.example"], WITHOUT_RELAY),
        (None, [True, False], ["a.example", ".a.example", "b.example"], WITHOUT_RELAY),
        ("", [True, False], ["a.example", ".a.example", "b.example"], ""),
        ("smtpd_access_maps", [True], ["a.example", ".a.example"], "smtpd_access_maps"),
        ("relay_domains", [False], ["a.example"], ""),
        ("smtpd_access_maps relay_domains", [False], ["a.example"], "smtpd_access_maps"),
        ("smtpd_access_maps mynetworks", [False], ["a.example"], "smtpd_access_maps mynetworks"),
    ],
)
def test_a_local_domain_stands_for_the_names_below_it_only_where_that_is_said(node, parents, subdomains, entries, left):
    if parents is not None:
        node.append(f"{PARENTS} = {parents}\n")
    items = [{"name": f"{n}.example", "local": True, "subdomains": s} for n, s in zip("ab", subdomains)]
    apply(node, *items)
    assert table(node, "relay_domains") == dict.fromkeys(entries, "OK")
    assert explicit(node).get(PARENTS) == left
    assert not plan(node, *items).plan.changed
    apply(node, exclusive=True)
    assert explicit(node) == ({} if left is None else {PARENTS: left})


def test_a_record_without_its_subdomains_stays_alone_when_another_with_them_comes(node):
    apply(node, LOCAL)
    apply(node, {"name": "b.example", "local": True, "subdomains": True})
    assert table(node, "relay_domains") == dict.fromkeys(["example.com", "b.example", ".b.example"], "OK")
    assert not plan(node).plan.changed


@pytest.mark.parametrize("own", ["hash:/etc/postfix/relay", "old.example, older.example", "$mydestination"])
def test_parents_are_left_to_an_operator_who_may_rely_on_them(node, own):
    node.append(f"relay_domains = {own}\n")
    with pytest.raises(InvalidValue) as refusal:
        plan(node, LOCAL)
    assert str(refusal.value) == (
        "domains: 'example.com' is to be local without the names below it, while main.cf lists other relay_domains that "
        "may rely on parent_domain_matches_subdomains; "
        "set subdomains: true, or take relay_domains out of that parameter yourself (postconf(5))."
    )
    record = {**LOCAL, "subdomains": True}
    apply(node, record)
    assert explicit(node) == {"relay_domains": f"hash:{node.store('domains/1/relay_domains')}, {own}"}
    assert not plan(node, record).plan.changed
    apply(node, exclusive=True)
    assert explicit(node) == {"relay_domains": own}


def test_an_operator_who_took_the_parents_out_may_have_both(node):
    node.append(f"relay_domains = old.example\n{PARENTS} = smtpd_access_maps\n")
    apply(node, LOCAL)
    assert explicit(node)[PARENTS] == "smtpd_access_maps"
    assert table(node, "relay_domains") == {"example.com": "OK"}


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"level": "encrypt"}, {}),
        ({"level": "dane"}, {"smtp_dns_support_level": "dnssec", "smtp_tls_dane_insecure_mx_policy": "dane"}),
        ({"level": "dane-only"}, {"smtp_dns_support_level": "dnssec", "smtp_tls_dane_insecure_mx_policy": "dane"}),
        ({"level": "dane", "mode": "testing"}, {}),
        ({"level": "dane", "expires": YESTERDAY}, {}),
        ({"level": "fingerprint", "match": PINS[:1]}, {"smtp_tls_fingerprint_digest": "sha256"}),
        ({"level": "secure"}, {}),
    ],
)
def test_parameters_that_a_level_needs_come_with_it(node, given, needed):
    planned = plan(node, {"name": "a.example", **given})
    assert {name: value for name, value in planned.plan.set.items() if name != "smtp_tls_policy_maps"} == needed
    assert planned.uses_dane is ("smtp_dns_support_level" in needed)


@pytest.mark.parametrize("main_cf", ["", "smtp_tls_CAfile = /etc/ssl/ca.pem\n", "smtp_tls_CApath = /etc/ssl/certs\n"])
def test_the_store_vouches_for_peers_where_main_cf_names_no_ca(node, main_cf):
    node.defaults["smtp_tls_CApath"] = ""
    node.append(main_cf)
    for number in (1, 2):
        write(node.store(f"trust/{number}.pem"), "a CA")
    planned = apply(node, PARTNER)
    assert planned.plan.set.get("smtp_tls_CAfile") == (None if main_cf else node.store("trust/2.pem"))
    assert planned.unmet is None
    assert not plan(node, PARTNER).plan.changed


def looked_up(node, domain):
    """The policy that Postfix finds for mail to a domain (transport(5), postconf(5) smtp_tls_policy_maps)."""
    parents = [domain, *(domain[i:] for i, letter in enumerate(domain) if letter == ".")]
    routes, policies = table(node, "transport") or {}, table(node, "tls_policy") or {}
    route = next((routes[name] for name in parents if name in routes), None)
    keys = parents if route is None else [route.partition(":")[2]]
    return next((policies[key] for key in keys if key in policies), None)


@pytest.mark.parametrize(
    ("records", "domain", "policy"),
    [
        ([{"name": "a.example", "level": "secure"}], "a.example", "secure"),
        ([{"name": "a.example", "level": "secure"}], "b.a.example", None),
        ([{"name": "a.example", "level": "secure", "subdomains": True}], "b.a.example", "secure"),
        (
            [{"name": "a.example", "level": "secure", "subdomains": True, "route": "[mx.example]"}],
            "b.a.example",
            "secure",
        ),
        (
            [{"name": ".a.example", "level": "encrypt"}, {"name": "b.a.example", "level": "secure"}],
            "b.a.example",
            "secure",
        ),
        (
            [
                {"name": ".a.example", "route": "[x.example]"},
                {"name": "b.a.example", "level": "secure", "route": "[mx.example]"},
            ],
            "b.a.example",
            "secure",
        ),
    ],
)
def test_postfix_finds_the_level_of_the_record_that_names_the_domain(node, records, domain, policy):
    apply(node, *records)
    assert looked_up(node, domain) == policy


@pytest.mark.parametrize("above", [{"name": "a.example", "subdomains": True}, {"name": ".a.example"}])
def test_a_level_is_not_lost_to_the_route_of_a_record_above(node, above):
    """Mail to b.a.example goes to [mx.example], which is what Postfix looks up: refuse that, or list its level there."""
    records = [{**above, "route": "[mx.example]"}, {"name": "b.a.example", "level": "secure"}]
    if is_refused(lambda: plan(node, *records)):
        return
    apply(node, *records)
    assert looked_up(node, "b.a.example") == "secure"
