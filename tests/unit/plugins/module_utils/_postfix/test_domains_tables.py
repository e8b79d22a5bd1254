# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    HardeningError,
    InvalidValue,
    PostfixError,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import (
    plan_domains,
    read_records,
    tables,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, pass_time

PARTNER = {"name": "partner.example", "level": "secure", "route": "[mx.partner.example]:25"}
LOCAL = {"name": "example.com", "local": True}


def plan(node, *items, exclusive=False, allow_weaker=False):
    return plan_domains(read_state(node.postfix), *read_domains(items), exclusive, allow_weaker)


def apply(node, *items, **options):
    planned = plan(node, *items, **options)
    change(node, planned.plan)
    return planned


def test_the_three_tables_follow_from_the_records():
    present, _absent = read_domains([PARTNER, LOCAL])
    assert tables(present) == {
        "tls_policy": {"[mx.partner.example]:25": "secure"},
        "transport": {"partner.example": "smtp:[mx.partner.example]:25"},
        "relay_domains": {"example.com": "OK"},
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


def test_a_level_that_a_relayhost_would_hide_is_refused(node):
    node.write("relayhost = [smarthost.example]\n")
    with pytest.raises(InvalidValue, match="its level would never be looked up"):
        plan(node, {"name": "bank.example", "level": "encrypt"})


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
    assert plan(node, PARTNER, LOCAL).plan.changed


def test_a_level_hidden_by_the_relayhost_is_refused_in_one_sentence(node):
    node.write("relayhost = [smarthost.example]:587\n")
    with pytest.raises(InvalidValue) as refusal:
        plan(node, PARTNER, {"name": "bank.example", "level": "encrypt"})
    assert str(refusal.value) == (
        "domains: 'bank.example' has a level but no route, while relayhost = [smarthost.example]:587 takes all mail, "
        "so its level would never be looked up; give the domain a route, or set the level for the smarthost."
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
    assert plan(node, LOCAL).plan.set == {
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
    with pytest.raises(PostfixError, match="list all domains with exclusive: true"):
        plan(node, LOCAL)
    assert [r.name for r in apply(node, LOCAL, exclusive=True).after] == ["example.com"]


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
