# SPDX-License-Identifier: GPL-3.0-or-later
"""Less is demanded of senders only where that is meant."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import (
    PINS,
    TODAY,
    TOMORROW,
    YESTERDAY,
    apply,
    plan,
    table,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import remedy
from ansible_collections.mailfleet.smtp_hardening.tests.unit.incoming_tasks import (
    KNOWN,
    NEEDS_CERTIFICATE,
    NEEDS_PIN,
    NEEDS_TLS,
    ROUTED,
)


@pytest.mark.parametrize("word", ["accept", "warn", "reject"])
def test_who_is_shut_out_has_met_with_no_less_than_a_demand(asking, word):
    apply(asking, NEEDS_PIN, KNOWN)
    wish = {"unlisted": Unlisted(word)}
    gone = {"name": NEEDS_PIN["name"], "state": "absent"}
    if word != "reject":
        with pytest.raises(HardeningError, match="domain partner.example.incoming from pins to nothing;"):
            plan(asking, gone, **wish)
    assert plan(asking, gone, **wish, allow_weaker=word != "reject").plan.changed


@pytest.mark.parametrize(
    ("below", "lowered"),
    [({"level": "encrypt"}, False), ({"local": True}, False), ({"incoming": {"level": "may"}}, True)],
)
def test_a_domain_below_another_is_asked_for_the_same_until_it_has_incoming_of_its_own(asking, below, lowered):
    apply(asking, NEEDS_TLS)
    record = {"name": "b.tls.example", **below}
    if lowered:
        with pytest.raises(HardeningError, match="domain b.tls.example.incoming from encrypt to nothing;"):
            plan(asking, record)
    assert plan(asking, record, allow_weaker=lowered).plan.changed


@pytest.mark.parametrize(
    ("record", "then", "lowered"),
    [
        (NEEDS_PIN, {"client_certificates": "require"}, "incoming from pins to certificate"),
        (NEEDS_PIN, {}, "incoming from pins to encrypt"),
        (NEEDS_CERTIFICATE, {"level": "encrypt"}, "incoming from certificate to encrypt"),
        (NEEDS_TLS, {"level": "may"}, "incoming from encrypt to nothing"),
        (NEEDS_TLS, None, "incoming from encrypt to nothing"),
        (NEEDS_TLS, {"pins": PINS[:1]}, None),
        (NEEDS_CERTIFICATE, {"pins": PINS[:1]}, None),
        (KNOWN, None, None),
        ({**NEEDS_PIN, "mode": "testing"}, {}, None),
        ({**NEEDS_PIN, "expires": YESTERDAY}, {}, None),
        ({**NEEDS_PIN, "expires": str(TODAY)}, {}, "incoming from pins to encrypt"),
    ],
)
def test_less_is_demanded_of_a_sender_only_if_that_is_meant(asking, record, then, lowered):
    name = record["name"]
    apply(asking, record)
    change = {"name": name, "state": "absent"} if then is None else {"name": name, "incoming": then}
    if lowered:
        with pytest.raises(HardeningError) as refusal:
            plan(asking, change)
        assert str(refusal.value) == (
            f"This would lower protection: domain {name}.{lowered}; {remedy(f'domain {name}.incoming')}"
        )
    assert plan(asking, change, allow_weaker=bool(lowered)).plan.changed


@pytest.mark.parametrize("over", [{"mode": "testing"}, {"expires": YESTERDAY}])
def test_a_record_that_is_put_out_of_force_is_a_lowering(asking, over):
    apply(asking, NEEDS_CERTIFICATE)
    with pytest.raises(HardeningError, match="domain agency.example.incoming from certificate to nothing;"):
        plan(asking, {**NEEDS_CERTIFICATE, **over})


def test_a_record_that_expires_by_itself_is_none(asking):
    record = {**NEEDS_CERTIFICATE, "level": "encrypt", "expires": TOMORROW}
    apply(asking, record)
    later = TODAY.replace(month=5)
    planned = apply(asking, ROUTED, today=later)
    assert planned.expired(later) == ["agency.example"]
    assert (table(asking, "senders"), table(asking, "tls_policy")) == (None, None)
    assert not plan(asking, ROUTED, today=later).plan.changed


@pytest.mark.parametrize(
    ("before", "after", "lowered"),
    [
        ("reject", "warn", True),
        ("reject", "accept", True),
        ("warn", "accept", True),
        ("warn", "reject", False),
        ("accept", "warn", False),
        ("reject", None, False),
    ],
)
def test_unlisted_senders_are_let_in_again_only_if_that_is_meant(asking, before, after, lowered):
    node = asking
    apply(node, KNOWN, unlisted=Unlisted(before))
    wish = {"unlisted": after and Unlisted(after)}
    if lowered:
        with pytest.raises(HardeningError) as refusal:
            plan(node, **wish)
        assert str(refusal.value) == (
            f"This would lower protection: unlisted_senders from {before} to {after}; {remedy('unlisted_senders')}"
        )
    assert apply(node, **wish, allow_weaker=lowered).unlisted is Unlisted(after or before)
