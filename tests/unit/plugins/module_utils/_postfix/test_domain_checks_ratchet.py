# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain is protected by is lowered only where that is meant."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PARTNER, YESTERDAY, apply, plan


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
