# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's own restrictions of senders stay beside ours."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import apply, explicit, plan
from ansible_collections.mailfleet.smtp_hardening.tests.unit.incoming_tasks import (
    CLASSES,
    NEEDS_CERTIFICATE,
    NEEDS_TLS,
    RESTRICTIONS,
    ROUTED,
    access,
    ours,
)

OWN_RESTRICTIONS = [
    "",
    "reject_non_fqdn_sender",
    "reject_non_fqdn_sender, check_sender_access hash:/etc/postfix/senders, permit",
    "check_sender_access inline:{ { a.example = insiders }, { b.example = REJECT not here } }, insiders",
    "permit_mynetworks reject_unknown_sender_domain",
    "check_sender_access pcre:{ {/^spam@/ REJECT 554 5.7.1 no, thanks} }",
    "$mua_sender_restrictions",
]
OWN_CLASSES = ["", "insiders", "insiders, greylisted"]


@pytest.mark.parametrize("restrictions", OWN_RESTRICTIONS)
@pytest.mark.parametrize("classes", OWN_CLASSES)
def test_an_operators_own_restrictions_survive_adding_changing_and_removing_ours(asking, restrictions, classes):
    own = {RESTRICTIONS: restrictions, CLASSES: classes, "insiders": "permit_mynetworks, reject"}
    own = {name: value for name, value in own.items() if value}
    asking.append("".join(f"{name} = {value}\n" for name, value in own.items()))
    before = explicit(asking)
    behind = f", {restrictions}" if restrictions else ""
    beside = f", {classes}" if classes else ""

    apply(asking, NEEDS_TLS)
    assert ours(asking)[RESTRICTIONS] == access(asking) + behind
    assert ours(asking)[CLASSES] == "smtp_hardening_encrypt" + beside
    assert not plan(asking, NEEDS_TLS).plan.changed

    apply(asking, NEEDS_TLS, {**NEEDS_CERTIFICATE, "mode": "testing"}, unlisted=Unlisted.WARN)
    assert ours(asking)[RESTRICTIONS] == f"{access(asking, 2)}, smtp_hardening_unlisted{behind}"
    assert ours(asking)[CLASSES] == (
        "smtp_hardening_certificate_testing, smtp_hardening_encrypt, smtp_hardening_unlisted" + beside
    )
    assert not plan(asking).plan.changed

    apply(asking, exclusive=True, unlisted=Unlisted.ACCEPT, allow_weaker=True)
    assert explicit(asking) == before


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ("reject_non_fqdn_sender, {ours}", "reject_non_fqdn_sender"),
        ("reject_non_fqdn_sender, {ours}, permit", "reject_non_fqdn_sender, permit"),
        ("reject_non_fqdn_sender {ours} permit", "reject_non_fqdn_sender permit"),
    ],
)
def test_ours_goes_back_to_the_front_where_somebody_moved_it(asking, found, kept):
    apply(asking, NEEDS_TLS)
    asking.postfix.edit({RESTRICTIONS: found.format(ours=access(asking))})
    apply(asking, NEEDS_TLS)
    assert ours(asking)[RESTRICTIONS] == f"{access(asking)}, {kept}"


@pytest.mark.parametrize("value", ["insiders greylisted", "insiders,greylisted"])
def test_classes_of_an_operator_are_let_alone_where_no_record_needs_one(node, value):
    node.append(f"{CLASSES} = {value}\n")
    assert CLASSES not in plan(node, ROUTED).plan.set


@pytest.mark.parametrize(
    "value", ["reject_non_fqdn_sender permit", "reject_non_fqdn_sender,permit", "$mua_sender_restrictions"]
)
def test_restrictions_of_an_operator_are_let_alone_where_no_record_needs_one(node, value):
    node.append(f"{RESTRICTIONS} = {value}\n")
    assert RESTRICTIONS not in plan(node, ROUTED).plan.set
