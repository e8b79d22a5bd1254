# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import (
    plan_domains,
    read_records,
    tables,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import carry_out

PARTNER = {"name": "partner.example", "level": "secure", "route": "[mx.partner.example]:25"}
LOCAL = {"name": "example.com", "local": True}


def plan(node, *items, exclusive=False):
    return plan_domains(read_state(node.postfix), *read_domains(items), exclusive)


def apply(node, *items, exclusive=False):
    planned = plan(node, *items, exclusive=exclusive)
    carry_out(node.postfix, read_state(node.postfix), planned.plan, lambda: None)
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
    assert [r.name for r in apply(node, LOCAL, exclusive=True).after] == ["example.com"]
    assert "transport_maps" not in read_state(node.postfix).explicit


def test_a_domain_can_be_removed_alone(node):
    apply(node, PARTNER, LOCAL)
    assert [r.name for r in apply(node, {"name": "example.com", "state": "absent"}).after] == ["partner.example"]


def test_no_domain_left_takes_the_parameters_out(node):
    apply(node, PARTNER)
    apply(node, exclusive=True)
    assert not {"smtp_tls_policy_maps", "transport_maps"} & set(read_state(node.postfix).explicit)


def test_an_operators_own_table_stays_after_ours(node):
    node.write("transport_maps = hash:/etc/postfix/transport\n")
    apply(node, PARTNER)
    value = read_state(node.postfix).explicit["transport_maps"]
    assert value.startswith("hash:") and value.endswith("/domains/1/transport, hash:/etc/postfix/transport")
    apply(node, exclusive=True)
    assert read_state(node.postfix).explicit["transport_maps"] == "hash:/etc/postfix/transport"


def test_a_table_edited_by_hand_is_made_anew(node):
    apply(node, PARTNER)
    path = os.path.join(node.config_dir, "smtp_hardening/domains/1/tls_policy")
    with open(path, "a", encoding="utf-8") as handle:
        handle.write("[mx.partner.example]:25\tnone\n")
    assert plan(node, PARTNER).plan.changed


def test_old_tables_are_gone_after_the_swap(node):
    apply(node, PARTNER)
    apply(node, LOCAL)
    assert os.listdir(os.path.join(node.config_dir, "smtp_hardening/domains")) == ["2"]


def test_records_survive_the_way_through_the_file(node):
    planned = apply(node, PARTNER, LOCAL)
    assert read_records(os.path.join(node.config_dir, "smtp_hardening/domains/1")) == planned.after


def test_a_level_that_a_relayhost_would_hide_is_refused(node):
    node.write("relayhost = [smarthost.example]\n")
    with pytest.raises(InvalidValue, match="its level would never be looked up"):
        plan(node, {"name": "bank.example", "level": "encrypt"})
