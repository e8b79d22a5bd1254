# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    SERVED,
    SMALL,
    Fleet,
    apply,
    plan,
    wish,
)


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


# A CA that ends before its certificates would


@pytest.fixture
def ending(node, issue):
    """A fleet whose CA has 50 days left."""
    key = make_key(KeySpec("ecdsa", 256))
    return Fleet(node, (make_ca("Ending CA", key, 50, utc_now()), key), issue)


def test_what_a_ca_signs_in_its_last_days_ends_with_it_and_is_not_made_anew_by_each_run(ending, monkeypatch):
    first = ending.run("own_ca", **SERVED)
    assert supply.not_after(first.chains[0].leaf) == supply.not_after(ending.ca[0])
    assert ending.again("own_ca", **SERVED).reason is None
    monkeypatch.setattr(supply, "utc_now", lambda: utc_now() + datetime.timedelta(days=45))
    again = ending.again("own_ca", **SERVED)
    assert (again.reason, again.plan.changed, again.awaits) == (None, False, None)


def test_a_certificate_that_ends_before_its_ca_is_made_anew_to_end_with_it(ending):
    first = ending.run("own_ca", {"days": 35}, **SERVED)
    due = {**SERVED, "renew_before": 40}
    renewed = ending.run("own_ca", {"days": 90}, **due)
    assert ending.reason == "the stored certificate has 34 days left, fewer than renew_before"
    assert supply.not_after(renewed.chains[0].leaf) > supply.not_after(first.chains[0].leaf)
    assert ending.again("own_ca", {"days": 90}, **{**due, "renew_before": 60}).reason is None


def test_another_ca_takes_over_from_one_that_ends(ending, fleet_ca):
    ending.run("own_ca", **SERVED)
    ending.ca = fleet_ca
    assert ending.again("own_ca", **SERVED, accept=["distrusted_issuer"]).reason == (
        "the stored certificate is not issued by this CA"
    )


def test_when_both_have_ended_a_signature_is_asked_for_so_that_the_run_fails(ending, monkeypatch):
    ending.run("own_ca", **SERVED)
    monkeypatch.setattr(supply, "utc_now", lambda: utc_now() + datetime.timedelta(days=51))
    assert ending.again("own_ca", **SERVED).awaits == "signature"
