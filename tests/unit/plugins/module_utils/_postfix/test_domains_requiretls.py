# SPDX-License-Identifier: GPL-3.0-or-later
"""What a record says of REQUIRETLS (Postfix 3.11)."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    PARTNER,
    REQUIRETLS,
    YESTERDAY,
    apply,
    explicit,
    plan,
    table,
)


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
    assert "has requiretls, but its mail goes to [smarthost.example] (relayhost)" in plan(new_node, record).unmet
    assert plan(new_node, {**record, "route": "[mx.example]"}).unmet is None
