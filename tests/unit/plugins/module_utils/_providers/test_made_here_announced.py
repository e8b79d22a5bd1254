# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that DNS must announce before they are used."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    BOTH,
    SERVED,
    public,
    records,
)


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
@pytest.mark.parametrize("given", [{}, BOTH])
def test_a_renewal_waits_with_the_same_key_until_its_record_is_listed_and_uses_exactly_that_key(fleet, provider, given):
    first = fleet.run(provider, given, **SERVED)
    listed = {**SERVED, "published_tlsa": records(first.chains)}
    due = {**listed, "renew_now": True}
    waiting = fleet.run(provider, given, **due)
    assert (waiting.awaits, waiting.keeps, waiting.path) == ("announcement", True, first.path)
    assert public(waiting.chains) == public(first.chains)
    again = fleet.again(provider, given, **due)
    assert (again.keeps, again.plan.changed) == (False, False)
    wanted = [tlsa.of_key(key.public_key()) for key in waiting.next.keys]
    assert wanted == [tlsa.of_key(key.public_key()) for key in again.next.keys]
    due["published_tlsa"] = [*due["published_tlsa"], *wanted]
    renewed = fleet.run(provider, given, **due)
    assert records(renewed.chains) == wanted
    assert fleet.node.state.explicit["smtpd_tls_chain_files"] == renewed.path
    assert not os.path.exists(store.next_key(fleet.node.state, "default"))


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
def test_a_renewal_that_keeps_its_key_waits_for_no_announcement(fleet, provider):
    first = fleet.run(provider, **SERVED)
    listed = {**SERVED, "published_tlsa": records(first.chains), "renew_now": True, "renew_key": "keep"}
    renewed = fleet.run(provider, **listed)
    assert renewed.awaits is None
    assert records(renewed.chains) == records(first.chains)
