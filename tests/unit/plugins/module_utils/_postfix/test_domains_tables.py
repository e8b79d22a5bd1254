# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import os
import random

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    HardeningError,
    InvalidValue,
    PostfixError,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import RequireTls, read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import CipherGrade, Protocol
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domain_checks import check_shadowed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domain_tables import tables
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import (
    current_folder,
    read_records,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    PINS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    apply,
    explicit,
    is_refused,
    plan,
    table,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import FakePostfix, pass_time, write

PARTNER = {"name": "partner.example", "level": "secure", "route": "[mx.partner.example]:25"}
LOCAL = {"name": "example.com", "local": True}


def test_the_tables_follow_from_the_records():
    present, _absent = read_domains([PARTNER, LOCAL])
    assert tables(present, (3, 10)) == {
        "tls_policy": {"[mx.partner.example]:25": "secure"},
        "transport": {"partner.example": "smtp:[mx.partner.example]:25"},
        "relay_domains": {"example.com": "OK"},
        "requiretls": {},
    }


def test_a_second_run_changes_nothing(node):
    apply(node, PARTNER, LOCAL)
    assert not plan(node, PARTNER, LOCAL).plan.changed


def test_records_are_added_to_those_that_are_there(node):
    apply(node, PARTNER)
    assert [r.name for r in apply(node, LOCAL).after] == ["example.com", "partner.example"]


def test_exclusive_removes_what_is_not_listed(node):
    apply(node, PARTNER, LOCAL)
    assert [r.name for r in apply(node, LOCAL, exclusive=True, allow_weaker=True).after] == ["example.com"]
    assert "transport_maps" not in read_state(node.postfix).explicit


def test_a_domain_can_be_removed_alone(node):
    apply(node, PARTNER, LOCAL)
    assert [r.name for r in apply(node, {"name": "example.com", "state": "absent"}).after] == ["partner.example"]


def test_no_domain_left_takes_the_parameters_out(node):
    apply(node, PARTNER)
    apply(node, exclusive=True, allow_weaker=True)
    assert not {"smtp_tls_policy_maps", "transport_maps"} & set(read_state(node.postfix).explicit)


def test_an_operators_own_table_stays_after_ours(node):
    node.write("transport_maps = hash:/etc/postfix/transport\n")
    apply(node, PARTNER)
    value = read_state(node.postfix).explicit["transport_maps"]
    assert value.startswith("hash:") and value.endswith("/domains/1/transport, hash:/etc/postfix/transport")
    apply(node, exclusive=True, allow_weaker=True)
    assert read_state(node.postfix).explicit["transport_maps"] == "hash:/etc/postfix/transport"


def test_a_table_edited_by_hand_is_made_anew(node):
    apply(node, PARTNER)
    path = os.path.join(node.config_dir, "smtp_hardening/domains/1/tls_policy")
    with open(path, "a", encoding="utf-8") as handle:
        handle.write("[mx.partner.example]:25\tnone\n")
    assert plan(node, PARTNER).plan.changed


def test_old_tables_are_gone_when_no_remembered_state_names_them(node):
    apply(node, PARTNER)
    apply(node, LOCAL)
    pass_time(node, 8)
    assert sorted(os.listdir(node.store("domains"))) == ["1", "2"]
    pass_time(node, 1)
    assert os.listdir(node.store("domains")) == ["2"]


def test_records_survive_the_way_through_the_file(node):
    planned = apply(node, PARTNER, LOCAL)
    assert read_records(os.path.join(node.config_dir, "smtp_hardening/domains/1")) == planned.after


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


def test_a_new_record_must_agree_with_those_on_the_node(node):
    apply(node, PARTNER)
    with pytest.raises(InvalidValue) as refusal:
        plan(node, {**PARTNER, "name": "subsidiary.example", "level": "may"})
    assert str(refusal.value) == (
        "domains: 'subsidiary.example' shares the next hop [mx.partner.example]:25 with partner.example but protects "
        "it differently (may against secure); "
        "give both the same level and match: Postfix looks policies up by next hop."
    )


def test_a_domain_can_leave_its_next_hop_to_another_with_a_new_level(node):
    apply(node, PARTNER)
    after = apply(
        node,
        {"name": "partner.example", "state": "absent"},
        {**PARTNER, "name": "subsidiary.example", "level": "encrypt"},
        allow_weaker=True,
    ).after
    assert [(r.name, r.protection) for r in after] == [("subsidiary.example", "encrypt")]


def test_a_route_takes_a_domain_past_the_relayhost(node):
    node.write("relayhost = [smarthost.example]\n")
    planned = plan(node, PARTNER, LOCAL)
    assert (planned.plan.changed, planned.unmet) == (True, None)


def test_a_level_hidden_by_the_relayhost_is_not_met(node):
    node.write("relayhost = [smarthost.example]:587\n")
    assert plan(node, PARTNER, {"name": "bank.example", "level": "encrypt"}).unmet == (
        "domains: 'bank.example' has a level or requiretls but no route, while relayhost = [smarthost.example]:587 takes all mail, "
        "so that would never be looked up; give the domain a route, or set the level for the smarthost."
    )


def test_every_field_of_a_record_survives_the_way_through_the_file(node):
    pin = ":".join(["AB"] * 32)
    records = [
        {"name": "a.example", "level": "fingerprint", "match": [pin], "route": "[2001:db8::25]:25"},
        {"name": ".b.example", "level": "secure", "match": ["hostname", ".b.example"]},
        {"name": "c.example", "route": "lmtp:[store.example]:24", "local": True},
        {"name": "d.example", "level": "dane-only"},
    ]
    wanted, _absent = read_domains(records)
    apply(node, *records)
    kept = read_records(os.path.join(node.config_dir, "smtp_hardening/domains/1"))
    assert set(kept) == set(wanted)
    assert list(kept) == sorted(wanted, key=lambda record: record.name)


def test_a_diff_shows_the_records_as_lines(node):
    apply(node, LOCAL)
    shown = plan(node, PARTNER).plan.diff()[-1]
    assert (shown["before"], shown["after"]) == (
        "example.com local=True\n",
        "example.com local=True\npartner.example level=secure route=smtp:[mx.partner.example]:25\n",
    )


def test_an_index_that_is_missing_is_built_anew(node):
    apply(node, PARTNER)
    os.unlink(os.path.join(node.config_dir, "smtp_hardening/domains/1/transport.db"))
    apply(node, PARTNER)
    assert sorted(os.listdir(os.path.join(node.config_dir, "smtp_hardening/domains/2"))) == [
        "records.json",
        "tls_policy",
        "tls_policy.db",
        "transport",
        "transport.db",
    ]


def test_a_parameter_that_an_operator_took_out_is_put_back(node):
    apply(node, PARTNER)
    node.postfix.edit({}, ["transport_maps"], ())
    planned = plan(node, PARTNER)
    assert list(planned.plan.set) == ["transport_maps"]
    assert planned.plan.files == ()


@pytest.mark.parametrize("kind", ["hash", "lmdb", "cdb"])
def test_tables_are_of_the_kind_that_this_postfix_prefers(node, kind):
    node.write(f"default_database_type = {kind}\n")
    assert plan(node, {**LOCAL, "subdomains": True}).plan.set == {
        "relay_domains": f"{kind}:{node.config_dir}/smtp_hardening/domains/1/relay_domains"
    }


def test_removing_a_domain_that_is_not_there_changes_nothing(node):
    assert not plan(node, {"name": "partner.example", "state": "absent"}).plan.changed


@pytest.mark.parametrize("content", [None, "{", '[{"level": "may"}]'])
def test_broken_records_are_made_anew_only_by_a_complete_list(node, content):
    apply(node, PARTNER)
    path = os.path.join(node.config_dir, "smtp_hardening/domains/1/records.json")
    if content is None:
        os.unlink(path)
    else:
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(content)
    with pytest.raises(PostfixError, match="List all domains with exclusive: true"):
        plan(node, LOCAL)
    for half in ({"exclusive": True}, {"allow_weaker": True}):
        with pytest.raises(PostfixError, match="List all domains with exclusive: true"):
            plan(node, LOCAL, **half)
    assert [r.name for r in apply(node, LOCAL, exclusive=True, allow_weaker=True).after] == ["example.com"]


@pytest.mark.parametrize(
    ("items", "options"),
    [
        ([{"name": "partner.example", "state": "absent"}], {}),
        ([], {"exclusive": True}),
        ([{**PARTNER, "level": "encrypt"}], {}),
        ([{"name": "partner.example", "route": "[mx.partner.example]:25"}], {}),
    ],
)
def test_a_domain_is_not_protected_less_unless_that_is_meant(node, items, options):
    apply(node, PARTNER)
    with pytest.raises(HardeningError, match="lower protection: domain partner.example.level from secure to "):
        plan(node, *items, **options)
    assert plan(node, *items, **options, allow_weaker=True).plan.changed


def test_a_domain_that_says_no_more_than_the_client_may_go(node):
    node.append("smtp_tls_security_level = secure\n")
    apply(node, PARTNER)
    assert plan(node, {"name": "partner.example", "state": "absent"}).after == ()


PARENTS = "parent_domain_matches_subdomains"
WITHOUT_RELAY = "debug_peer_list, mynetworks, smtpd_access_maps"


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


@pytest.mark.parametrize(
    "given", [{"level": "secure"}, {"level": "may", "mode": "testing"}, {"incoming": {"level": "may"}}]
)
def test_a_record_of_which_nothing_holds_any_more_is_not_forgotten(node, given):
    record = {"name": "a.example", **given, "expires": YESTERDAY}
    apply(node, record)
    assert not plan(node, record).plan.changed
    assert plan(node).expired(TODAY) == ["a.example"]


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


@pytest.mark.parametrize("level", ["secure", "verify"])
def test_a_level_that_trusts_a_ca_is_not_met_where_there_is_none(node, level):
    node.defaults["smtp_tls_CApath"] = ""
    assert plan(node, {"name": "a.example", "level": level}).unmet == (
        f"domains: 'a.example' has level {level}, but smtp_tls_CAfile names no CA, so all its mail would be deferred; "
        "set client.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert."
    )
    assert plan(node, {"name": "a.example", "level": level, "mode": "testing"}).unmet is None


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


EVERYTHING = [
    {"name": "a.example", "level": "encrypt", "route": "[mx.a.example]", "local": True, "subdomains": True},
    {"name": "b.example", "level": "may", "incoming": {}, "mode": "testing"},
    {"name": "c.example", "local": True, "incoming": {"client_certificates": "require"}, "expires": TOMORROW},
    {"name": "d.example", "incoming": {"level": "may"}, "expires": YESTERDAY},
]
ASKING = "smtpd_tls_security_level = may\nsmtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = /etc/ssl/ca.pem\n"


@pytest.mark.parametrize("end", [{"exclusive": True}, {"absent": True}])
def test_nothing_of_ours_is_left_when_the_last_record_goes(node, end):
    node.append(ASKING)
    before = explicit(node)
    apply(node, *EVERYTHING, unlisted=Unlisted.REJECT, sources=(MTA_STS,))
    assert len(explicit(node)) > len(before) + 5
    gone = [{"name": item["name"], "state": "absent"} for item in EVERYTHING] if "absent" in end else []
    apply(node, *gone, exclusive=not gone, unlisted=Unlisted.ACCEPT, sources=(), allow_weaker=True)
    after = explicit(node)
    assert after.pop(PARENTS) == WITHOUT_RELAY
    assert after == before
    assert not plan(node, *gone).plan.changed


def test_parameters_that_other_mail_may_rest_on_by_then_stay_when_the_last_record_goes(node):
    """smtp_tls_mode sets the same ones."""
    node.append(ASKING)
    before = explicit(node)
    pinned = {"name": "c.example", "level": "fingerprint", "match": PINS[:1], "incoming": {"pins": PINS[:1]}}
    apply(node, {"name": "b.example", "level": "dane"}, pinned)
    apply(node, exclusive=True, allow_weaker=True)
    assert set(explicit(node)) - set(before) == {
        "smtp_dns_support_level",
        "smtp_tls_dane_insecure_mx_policy",
        "smtp_tls_fingerprint_digest",
        "smtpd_tls_fingerprint_digest",
    }


MTA_STS = "socketmap:inet:127.0.0.1:8461:postfix"
OWN = "hash:/etc/postfix/tls_policy"


SOURCES = "smtp_hardening_policy_sources"


@pytest.mark.parametrize("own", ["", OWN, MTA_STS, f"{OWN}, cdb:/x", f"{OWN} cdb:/x", "inline:{ a.example=secure }"])
@pytest.mark.parametrize("sources", [[MTA_STS], [MTA_STS, "cdb:/other"]])
def test_other_sources_of_policies_are_asked_last(node, own, sources):
    node.append(f"smtp_tls_policy_maps = {own}\n" if own else "")
    before = explicit(node)
    last = ", ".join([own, f"${SOURCES}"] if own else [f"${SOURCES}"])
    wish = {"sources": tuple(sources)}

    apply(node, **wish)
    assert explicit(node) == {"smtp_tls_policy_maps": last, SOURCES: ", ".join(sources)}
    assert not plan(node, **wish).plan.changed
    assert not plan(node).plan.changed

    apply(node, PARTNER)
    ours = f"hash:{node.store('domains/1/tls_policy')}"
    assert explicit(node)["smtp_tls_policy_maps"] == f"{ours}, {last}"
    assert not plan(node, PARTNER, **wish).plan.changed
    assert not plan(node, PARTNER).plan.changed

    node.postfix.edit({"smtp_tls_policy_maps": f"${SOURCES}, {f'{own}, ' if own else ''}{ours}"})
    apply(node)
    assert explicit(node)["smtp_tls_policy_maps"] == f"{ours}, {last}"

    apply(node, exclusive=True, allow_weaker=True)
    assert explicit(node) == {"smtp_tls_policy_maps": last, SOURCES: ", ".join(sources)}
    apply(node, sources=())
    assert explicit(node) == before
    assert not plan(node, sources=()).plan.changed


def test_a_source_takes_the_place_of_another(node):
    apply(node, sources=(MTA_STS,))
    assert plan(node, sources=("cdb:/other",)).plan.set == {SOURCES: "cdb:/other"}


@pytest.mark.parametrize("lost", [SOURCES, "smtp_tls_policy_maps"])
def test_a_source_that_somebody_took_out_is_put_back(node, lost):
    apply(node, PARTNER, sources=(MTA_STS,))
    before = explicit(node)
    node.postfix.edit({}, [lost])
    apply(node, PARTNER, sources=(MTA_STS,))
    assert explicit(node) == before


@pytest.mark.parametrize(
    "own",
    [
        "inline:{ a.example=secure }",
        "inline:{ { a.example = secure match=b.example }, { c.example = encrypt } }",
        "pcre:{ {/^a[.]example$/ secure} }",
    ],
)
def test_a_map_of_an_operator_that_holds_blanks_stays_whole_before_other_sources(node, own):
    node.append(f"smtp_tls_policy_maps = {own}\n")
    apply(node, PARTNER, sources=(MTA_STS,))
    assert explicit(node)["smtp_tls_policy_maps"] == f"hash:{node.store('domains/1/tls_policy')}, {own}, ${SOURCES}"
    assert not plan(node, PARTNER, sources=(MTA_STS,)).plan.changed


@pytest.mark.parametrize("parameter", ["transport_maps", "relay_domains", "smtp_tls_policy_maps"])
@pytest.mark.parametrize(
    "own",
    [
        "hash:/etc/postfix/own",
        "hash:/etc/postfix/own,lmdb:/etc/postfix/other",
        "hash:$config_directory/own",
        "inline:{ { a.example = b }, c=d }",
        "proxy:mysql:/etc/postfix/own.cf, pcre:/etc/postfix/own.pcre",
    ],
)
def test_an_operators_own_list_survives_adding_changing_and_removing_ours(node, parameter, own):
    node.append(f"{parameter} = {own}\n")
    before = explicit(node)
    record = {**PARTNER, "local": True, "subdomains": True}
    name = {"transport_maps": "transport", "smtp_tls_policy_maps": "tls_policy"}.get(parameter, parameter)
    for number, owner in enumerate(["one", "two"], start=1):
        apply(node, {**record, "owner": owner})
        assert explicit(node)[parameter] == f"hash:{node.store(f'domains/{number}/{name}')}, {own}"
        assert not plan(node).plan.changed
    apply(node, exclusive=True, allow_weaker=True)
    assert explicit(node) == before


# REQUIRETLS.

REQUIRETLS = "smtp_requiretls_policy"


@pytest.fixture
def new_node(node):
    """A node with Postfix 3.11, which knows REQUIRETLS."""
    node.defaults.update({"mail_version": "3.11.1", REQUIRETLS: "opportunistic"})
    return node


@pytest.mark.parametrize(
    ("given", "entries"),
    [
        ({"requiretls": "enforce"}, {"a.example": "enforce"}),
        ({"requiretls": "disable", "subdomains": True}, {"a.example": "disable", ".a.example": "disable"}),
        ({"requiretls": "enforce", "route": "[MX.example]:26"}, {"mx.example": "enforce"}),
        ({"requiretls": "enforce", "route": "mx.example"}, {"mx.example": "enforce"}),
        ({"requiretls": "enforce", "route": "mx.example:26"}, {"mx.example": "enforce"}),
        ({"requiretls": "enforce", "mode": "testing"}, {"a.example": "opportunistic"}),
        ({"requiretls": "disable", "mode": "testing"}, {"a.example": "disable"}),
        ({"requiretls": "enforce", "local": True, "subdomains": True, "expires": YESTERDAY}, None),
    ],
)
def test_what_becomes_of_requiretls_is_looked_up_by_the_host_of_the_next_hop(new_node, given, entries):
    record = {"name": "a.example", **given}
    apply(new_node, record)
    assert table(new_node, "requiretls") == entries
    ours = f"hash:{new_node.store('domains/1/requiretls')}, opportunistic"
    assert explicit(new_node).get(REQUIRETLS) == (entries and ours)
    assert not plan(new_node, record).plan.changed
    apply(new_node, exclusive=True, allow_weaker=True)
    assert explicit(new_node) == {}


@pytest.mark.parametrize(
    "own", ["enforce", "cdb:/etc/postfix/requiretls, disable", "inline:{ a.example=disable }, enforce"]
)
def test_an_operators_own_policy_of_requiretls_stays_after_ours(new_node, own):
    new_node.append(f"{REQUIRETLS} = {own}\n")
    apply(new_node, {"name": "a.example", "requiretls": "enforce"})
    assert explicit(new_node) == {REQUIRETLS: f"hash:{new_node.store('domains/1/requiretls')}, {own}"}
    assert not plan(new_node).plan.changed
    apply(new_node, exclusive=True)
    assert explicit(new_node) == {REQUIRETLS: own}


@pytest.mark.parametrize("version", ["3.5.25", "3.10.13"])
def test_an_older_postfix_knows_no_requiretls(node, version):
    node.defaults["mail_version"] = version
    with pytest.raises(InvalidValue) as refusal:
        plan(node, {"name": "a.example", "requiretls": "enforce"})
    assert str(refusal.value) == (
        f"domains: 'a.example' has requiretls, which Postfix {version} does not know; leave it out below Postfix 3.11."
    )


@pytest.mark.parametrize("route", ["[mx.example]:26", "mx.example"])
def test_domains_of_one_host_must_say_the_same_of_requiretls(new_node, route):
    one = {"name": "a.example", "route": "[mx.example]", "requiretls": "enforce"}
    with pytest.raises(InvalidValue) as refusal:
        plan(new_node, one, {"name": "b.example", "route": route})
    assert str(refusal.value) == (
        "domains: 'b.example' shares the next hop mx.example with a.example but says something else of requiretls; "
        "give both the same: Postfix looks it up by next hop."
    )


def test_requiretls_of_a_record_that_has_expired_asks_no_new_postfix(node):
    assert plan(node, {"name": "a.example", "requiretls": "enforce", "local": True, "expires": YESTERDAY}).plan.changed


def test_an_operators_policy_of_requiretls_is_let_alone_where_no_record_has_one(new_node):
    new_node.append(f"{REQUIRETLS} =\n")
    planned = plan(new_node, PARTNER).plan
    assert REQUIRETLS not in {*planned.set, *planned.unset}


def test_requiretls_hidden_by_the_relayhost_is_not_met(new_node):
    new_node.append("relayhost = [smarthost.example]\n")
    record = {"name": "a.example", "requiretls": "enforce"}
    assert "relayhost = [smarthost.example] takes all mail" in plan(new_node, record).unmet
    assert plan(new_node, {**record, "route": "[mx.example]"}).unmet is None


# Tables that an operator has beside ours.


@pytest.mark.parametrize(
    ("parameter", "rows", "hidden"),
    [
        ("transport_maps", {"partner.example": "smtp:[old.example]"}, "partner.example"),
        ("transport_maps", {"partner.example": "smtp:[mx.partner.example]:25"}, None),
        ("transport_maps", {"other.example": "smtp:[old.example]"}, None),
        ("transport_maps", {".partner.example": "smtp:[old.example]"}, ".partner.example"),
        ("transport_maps", {"b.partner.example": "smtp:[old.example]"}, None),
        ("smtp_tls_policy_maps", {"[mx.partner.example]:25": "may"}, "[mx.partner.example]:25"),
        ("smtp_tls_policy_maps", {"[mx.partner.example]:25": "secure"}, None),
        ("smtp_tls_policy_maps", {"[mx.partner.example]": "may"}, None),
        ("relay_domains", {"partner.example": "anything"}, None),
    ],
)
def test_a_key_that_an_operators_table_answers_in_another_way_is_refused(node, parameter, rows, hidden):
    path = write(node.path("own"), "".join(f"{key}\t{value}\n" for key, value in rows.items()))
    node.postfix.build_table(path, "hash")
    node.append(f"{parameter} = hash:{path}\n")
    planned = plan(node, {**PARTNER, "local": True, "subdomains": True, "name": "partner.example"})
    if hidden is None:
        check_shadowed(node.postfix, node.state, planned.plan, planned.after)
        return
    with pytest.raises(InvalidValue) as refusal:
        check_shadowed(node.postfix, node.state, planned.plan, planned.after)
    assert str(refusal.value) == (
        f"domains: '{hidden}' has an entry in hash:{path} too, which says something else; take it out."
    )


@pytest.mark.parametrize("own", ["hash:/nowhere/own", "pcre:/etc/postfix/own.pcre", "static:smtp:[mx.example]", ""])
def test_only_tables_of_local_files_are_asked(node, own):
    node.append(f"transport_maps = {own}\n")
    planned = plan(node, PARTNER)
    check_shadowed(node.postfix, node.state, planned.plan, planned.after)
    assert not [argv for argv in node.commands if argv[0] == "postmap"]


def test_a_table_named_by_way_of_a_parameter_is_asked_too(node):
    path = write(node.path("own"), "partner.example\tsmtp:[old.example]\n")
    node.postfix.build_table(path, "hash")
    node.append("transport_maps = hash:$config_directory/own\n")
    state = node.state
    expanded = {**state.effective, "transport_maps": f"hash:{path}"}
    state = type(state)(**{**vars(state), "effective": expanded})
    planned = plan(node, PARTNER)
    with pytest.raises(InvalidValue, match="has an entry in"):
        check_shadowed(node.postfix, state, planned.plan, planned.after)


def test_an_operators_transport_that_takes_a_domain_past_its_level_is_refused(node):
    """As a relayhost does: Postfix would look for a policy of [gateway.example]."""
    path = write(node.path("own"), "bank.example\tsmtp:[gateway.example]\n")
    node.postfix.build_table(path, "hash")
    node.append(f"transport_maps = hash:{path}\n")

    def planned():
        made = plan(node, {"name": "bank.example", "level": "secure"})
        check_shadowed(node.postfix, node.state, made.plan, made.after)
        return made

    assert is_refused(planned)


def own_table(node, rows):
    path = write(node.path("own"), "".join(f"{key}\t{value}\n" for key, value in rows.items()))
    node.postfix.build_table(path, "hash")
    return path


def shadowed(node, *items, state=None):
    """Whether a table of an operator is in the way."""
    planned = plan(node, *items)
    try:
        check_shadowed(node.postfix, state or node.state, planned.plan, planned.after)
    except InvalidValue:
        return True
    return False


@pytest.mark.parametrize("requiretls", [None, "enforce"])
@pytest.mark.parametrize("level", [None, "encrypt"])
@pytest.mark.parametrize(
    ("routed", "hides"), [("smtp:[gateway.example]", True), ("smtp:", False), ("slow:", False), ("relay:hub", True)]
)
def test_a_transport_with_a_next_hop_hides_what_is_looked_up_by_the_domain(new_node, routed, hides, level, requiretls):
    path = own_table(new_node, {"a.example": routed})
    new_node.append(f"transport_maps = hash:{path}\n")
    record = {"name": "a.example", "level": level, "requiretls": requiretls, "incoming": {"level": "may"}}
    assert shadowed(new_node, record) is (hides and (level or requiretls) is not None)


@pytest.mark.parametrize("kind", ["hash:", "proxy:hash:"])
@pytest.mark.parametrize("lost", ["own", None])
def test_an_operators_table_is_asked_by_way_of_the_proxy_and_without_its_source_too(node, kind, lost):
    path = own_table(node, {"partner.example": "smtp:[old.example]"})
    node.append(f"transport_maps = {kind}{path}\n")
    if lost:
        os.unlink(path)
    assert shadowed(node, PARTNER)


def test_a_source_that_is_asked_last_may_say_what_it_likes(node):
    path = own_table(node, {"[mx.partner.example]:25": "may"})
    apply(node, sources=(f"hash:{path}",))
    effective = {**node.state.effective, "smtp_tls_policy_maps": f"hash:{path}"}
    assert not shadowed(node, PARTNER, state=dataclasses.replace(node.state, effective=effective))
    node.postfix.edit({SOURCES: "hash:/nowhere"})
    assert shadowed(node, PARTNER, state=dataclasses.replace(node.state, effective=effective))


def test_a_run_that_changes_nothing_asks_no_table_of_an_operator(node):
    bank = {"name": "bank.example", "level": "secure"}
    apply(node, bank)
    path = own_table(node, {"bank.example": "smtp:[gateway.example]"})
    node.append(f"transport_maps = hash:{path}\n")
    del node.commands[:]
    assert not shadowed(node, bank)
    assert not node.asked("postmap")


def test_a_folder_whose_name_means_something_to_a_regular_expression_is_found_again(tmp_path):
    (tmp_path / "c++[1]").mkdir()
    node = FakePostfix(tmp_path / "c++[1]")
    node.append(ASKING)
    items = [{**PARTNER, "incoming": {}, "local": True}, {"name": "b.example", "level": "encrypt"}]
    apply(node, *items)
    assert current_folder(node.state) == node.store("domains/1")
    assert not plan(node, *items).plan.changed
    apply(node, {"name": "c.example", "incoming": {}})
    assert {value.count("/domains/") for name, value in explicit(node).items() if "/domains/" in value} == {1}
    apply(node, exclusive=True, allow_weaker=True)
    assert not [name for name, value in explicit(node).items() if "/domains/" in value]


# What a record says holds, whatever stands beside it.


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


def test_records_of_one_next_hop_still_agree_on_the_day_after_one_expired(node):
    """Time alone must not make a run fail: nobody has changed anything."""
    records = [PARTNER, {**PARTNER, "name": "subsidiary.example", "expires": str(TODAY)}]
    apply(node, *records)
    planned = apply(node, *records, today=TODAY.replace(month=4, day=1))
    assert planned.expired(TODAY.replace(month=4, day=1)) == ["subsidiary.example"]


@pytest.mark.parametrize(("level", "agrees"), [("may", True), ("secure", False)])
def test_records_of_one_next_hop_agree_by_what_is_in_force(node, level, agrees):
    """A record in testing is as open as one at may."""
    apply(node, {**PARTNER, "mode": "testing"})
    other = {**PARTNER, "name": "subsidiary.example", "level": level}
    assert is_refused(lambda: plan(node, other)) is not agrees


# The ratchet.


@pytest.mark.parametrize(("floor", "lowered"), [("TLSv1.2", True), ("TLSv1.3", False), (None, False)])
def test_a_record_may_not_lower_the_protocol_of_the_client(node, floor, lowered):
    node.append("smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = >=TLSv1.3\n")
    record = {"name": "a.example", "level": "secure", "minimum_protocol": floor}
    if lowered:
        with pytest.raises(HardeningError, match="domain a.example.minimum_protocol from TLSv1.3 to TLSv1.2;"):
            plan(node, record)
    assert plan(node, record, allow_weaker=lowered).plan.changed


@pytest.mark.parametrize(
    ("below", "lowered"),
    [
        ({"route": "[mx.example]"}, True),
        ({"level": "encrypt"}, True),
        ({"level": "secure", "route": "[mx.example]"}, False),
        ({"local": True}, False),
        ({"incoming": {"level": "may"}}, False),
    ],
)
def test_a_record_below_another_takes_the_place_of_its_level_only_with_a_level_or_a_route(node, below, lowered):
    apply(node, {"name": "a.example", "level": "secure", "subdomains": True})
    record = {"name": "b.a.example", **below}
    if lowered:
        with pytest.raises(HardeningError, match="domain b.a.example.level from secure to "):
            plan(node, record)
    assert plan(node, record, allow_weaker=lowered).plan.changed


@pytest.mark.parametrize(
    ("record", "change"),
    [
        ({"subdomains": True}, {"subdomains": False}),
        ({"minimum_protocol": "TLSv1.3"}, {"minimum_protocol": "TLSv1.2"}),
        ({"minimum_protocol": "TLSv1.3"}, {"minimum_protocol": None}),
        ({"level": "secure"}, {"level": "verify"}),
        ({"level": "secure"}, {"mode": "testing"}),
        ({"level": "secure"}, {"expires": YESTERDAY}),
        ({"level": "secure"}, {"level": None, "local": True}),
    ],
)
def test_no_part_of_a_protection_is_lowered_unless_that_is_meant(node, record, change):
    before = {"name": "a.example", "level": "encrypt", **record}
    apply(node, before)
    with pytest.raises(HardeningError, match="^This would lower protection: "):
        plan(node, {**before, **change})
    assert plan(node, {**before, **change}, allow_weaker=True).plan.changed


@pytest.mark.parametrize("over", [{"mode": "testing"}, {"expires": YESTERDAY}])
def test_a_record_that_is_not_in_force_protects_nothing_that_could_be_lowered(node, over):
    apply(node, {**PARTNER, **over})
    assert plan(node, {**PARTNER, "level": "may"}).plan.changed
    assert plan(node, {**PARTNER, "level": None}, allow_weaker="mode" in over).plan.changed


def test_a_record_in_testing_may_not_lower_the_level_of_the_client(node):
    node.append("smtp_tls_security_level = encrypt\n")
    with pytest.raises(HardeningError, match="domain partner.example.level from encrypt to may;"):
        plan(node, {**PARTNER, "mode": "testing"})


# records.json.


@pytest.mark.parametrize(
    "content",
    ["null", "1", "[1]", '["a.example"]', '{"name": "a.example"}', '[{"name": "a.example", "incoming": 1}]', "\xff"],
)
def test_records_of_another_shape_are_made_anew_only_by_a_complete_list(node, content):
    apply(node, PARTNER)
    write(node.store("domains/1/records.json"), content.encode("latin-1"))
    with pytest.raises(PostfixError, match="List all domains with exclusive: true"):
        plan(node, LOCAL)
    assert [r.name for r in apply(node, LOCAL, exclusive=True, allow_weaker=True).after] == ["example.com"]


def test_records_of_an_older_release_are_read(node):
    apply(node, PARTNER)
    old = {
        "name": "partner.example",
        "level": "secure",
        "match": [],
        "route": "smtp:[mx.partner.example]:25",
        "local": False,
    }
    write(node.store("domains/1/records.json"), json.dumps([old]))
    planned = plan(node, PARTNER)
    assert planned.before == planned.after
    assert not planned.plan.changed


def test_a_note_alone_makes_new_files_with_the_same_tables(node):
    apply(node, PARTNER)
    planned = apply(node, {**PARTNER, "owner": "mail team", "reason": "contract 7: Zürich"})
    assert planned.plan.diff()[-1]["after"] == (
        "partner.example level=secure route=smtp:[mx.partner.example]:25 owner=mail team reason=contract 7: Zürich\n"
    )
    assert read_records(current_folder(node.state))[0].reason == "contract 7: Zürich"


def any_record(chance, name, new):
    """A valid record, whatever chance makes of it."""

    def maybe(value, odds=0.5):
        return value if chance.random() < odds else None

    level = maybe(
        chance.choice(["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"]), 0.7
    )
    match = {
        "fingerprint": chance.sample(PINS, chance.randint(1, 3)),
        "secure": chance.choice([[], ["hostname"], ["mx.example", ".a.example"]]),
        "verify": chance.choice([[], ["nexthop", "dot-nexthop"]]),
    }.get(level, [])
    below = chance.random() < 0.2
    host = chance.choice([f"[mx.{name}]", f"mx.{name}", f"[192.0.2.{name[1:].partition('.')[0]}]"])
    route = maybe(("lmtp:" if level is None else "") + host + chance.choice(["", ":25", ":65535"]))
    incoming = maybe(
        chance.choice([{}, {"level": "may"}, {"client_certificates": "require"}, {"pins": chance.sample(PINS, 2)}])
    )
    record = {
        "name": f".{name}" if below else name,
        "subdomains": not below and chance.random() < 0.5,
        "level": level,
        "match": match,
        "minimum_protocol": maybe(chance.choice(Protocol.words())) if level not in (None, "none") else None,
        "ciphers": maybe(chance.choice(CipherGrade.words())) if level not in (None, "none") else None,
        "requiretls": maybe(chance.choice(RequireTls.words()), 0.3) if new and "lmtp" not in str(route) else None,
        "route": route,
        "incoming": None if below else incoming,
        "expires": maybe(chance.choice([YESTERDAY, str(TODAY), TOMORROW])),
        "owner": maybe(chance.choice(["", "mail team", "Ü\u2028 \\ \"'#"])),
        "reason": maybe("because # of\\ this"),
    }
    record["local"] = not below and chance.random() < 0.4
    if not (level or route or record["incoming"] is not None or record["local"] or record["requiretls"]):
        record["level"] = "encrypt"
    can_test = record["level"] or record["incoming"] is not None or record["requiretls"]
    record["mode"] = maybe("testing" if can_test else "enforce")
    return record


@pytest.mark.parametrize("seed", range(40))
def test_any_list_of_records_survives_the_file_and_a_second_run_has_nothing_to_do(node, seed):
    chance = random.Random(seed)
    node.append(ASKING)
    if chance.random() < 0.5:
        node.append(f"{PARENTS} = {chance.choice(['', 'relay_domains', 'smtpd_access_maps'])}\n")
    version = chance.choice(["3.5.25", "3.10.13", "3.11.1"])
    node.defaults["mail_version"] = version
    new = version == "3.11.1"
    items = [any_record(chance, f"d{number}.example", new) for number in range(chance.randint(1, 12))]
    known = any(item["incoming"] is not None for item in items)
    wish = {
        "unlisted": chance.choice([None, *Unlisted] if known else [None, Unlisted.WARN]),
        "sources": chance.choice([None, (), (MTA_STS,)]),
    }
    wanted, _absent = read_domains(items)

    planned = apply(node, *items, **wish)
    assert planned.after == read_records(current_folder(node.state)) == tuple(sorted(wanted, key=lambda r: r.name))

    chance.shuffle(items)
    assert plan(node, *items, **wish).plan == plan(node, exclusive=False).plan
    second = plan(node, *items, exclusive=True, **wish)
    assert not second.plan.changed
    assert second.before == second.after == planned.after

    apply(node, exclusive=True, unlisted=Unlisted.ACCEPT, sources=(), allow_weaker=True)
    left = node.state.explicit
    assert not [name for name, value in left.items() if "smtp_hardening" in name or "smtp_hardening" in value]
    assert not plan(node).plan.changed
