# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.supply import Promise
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.stored import Stored
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, apply, plan, read, wish


def test_a_stored_certificate_needs_nothing_but_its_name():
    asked = read("stored", None, name="public", use=["server"], withdraw=["client"])
    assert (asked.wish.name, asked.wish.use, asked.wish.withdraw) == ("public", ("server",), ("client",))
    assert asked.provider == Stored()
    assert (asked.provider.promise, asked.provider.authorities, asked.provider.issuers()) == (Promise(), (), ())


@pytest.mark.parametrize(("stored", "known"), [([], "none, since it is empty"), (["a", "b"], "a, b")])
def test_a_certificate_that_is_not_stored_is_refused_with_those_that_are(node, stored, known):
    for name in stored:
        apply(node, wish("self_signed", SMALL, name=name))
    with pytest.raises(InvalidValue) as refusal:
        plan(node, wish("stored", name="c"))
    assert str(refusal.value) == f"name: 'c' is not in the store; choose one of {known}, or another provider."


def test_a_certificate_that_waits_for_its_signature_is_not_offered_as_stored(node):
    apply(node, wish("csr", SMALL, name="waiting"))
    with pytest.raises(InvalidValue, match="^name: 'waiting' is not in the store; choose one of none"):
        plan(node, wish("stored", name="waiting"))


@pytest.mark.parametrize("over", [{"renew_now": True}, {"renew_before": 99999}])
def test_a_stored_certificate_is_never_renewed(node, over):
    apply(node, wish("self_signed", SMALL))
    assert plan(node, wish("stored", **over)).reason is None
