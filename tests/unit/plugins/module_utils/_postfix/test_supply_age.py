# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, apply, plan, wish


@pytest.mark.parametrize(
    ("days_later", "hours_later", "reason"),
    [
        (60, -1, None),
        (60, 1, "the stored certificate has 29 days left, fewer than renew_before"),
        (91, 0, "the stored certificate has -2 days left, fewer than renew_before"),
    ],
)
def test_a_certificate_is_renewed_from_its_last_thirty_days_on_and_not_before(
    node, monkeypatch, days_later, hours_later, reason
):
    apply(node, wish("self_signed", {**SMALL, "days": 90}))
    later = utc_now() + datetime.timedelta(days=days_later, hours=hours_later)
    monkeypatch.setattr(supply, "utc_now", lambda: later)
    assert plan(node, wish("self_signed", {**SMALL, "days": 90})).reason == reason
