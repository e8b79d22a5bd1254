# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, plan, read, wish


@pytest.mark.parametrize(
    ("given", "keys", "days"),
    [
        (None, [("rsa", 4096)], 3650),
        ({"key_type": "both"}, [("ecdsa", 256), ("rsa", 3072)], 3650),
        ({"key_type": "both", "key_size": 4096}, [("ecdsa", 256), ("rsa", 4096)], 3650),
        ({"key_type": "ecdsa", "key_size": 384, "days": 365}, [("ecdsa", 384)], 365),
    ],
)
def test_its_key_is_one_that_everybody_knows_unless_another_is_asked_for(given, keys, days):
    provider = read("self_signed", given).provider
    assert provider.keys == tuple(KeySpec(*key) for key in keys)
    assert (provider.spec.names, provider.spec.days) == (("mx1.example.com",), days)


@pytest.mark.parametrize(("days", "renew_before"), [(31, 30), (1, 0), (36500, 36499)])
def test_a_certificate_that_outlives_renew_before_by_a_day_is_made(days, renew_before):
    assert read("self_signed", {"days": days}, renew_before=renew_before).provider.spec.days == days


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"key_type": "rsa", "key_size": 1024}, "^self_signed.key_size: 1024"),
        ({"key_type": "ecdsa", "key_size": 2048}, "use one of 256, 384.$"),
        ({"names": []}, r"^self_signed.names: \[\] names nobody; leave the option out for the host's own name"),
        ({"days": -1}, "self_signed.days: -1"),
        ({"days": 0}, "^self_signed.days: 0 is no lifetime; use 1 to 36500 days.$"),
        ({"days": 20}, "^renew_before: 30 is not shorter than self_signed.days, 20; choose fewer days"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, problem):
    with pytest.raises(InvalidValue, match=problem):
        read("self_signed", given)


def test_a_refusal_names_option_and_value_and_says_what_to_do():
    with pytest.raises(InvalidValue) as refusal:
        read("self_signed", {"days": 30})
    assert str(refusal.value) == (
        "renew_before: 30 is not shorter than self_signed.days, 30; choose fewer days, or a longer-lived certificate."
    )


def test_a_certificate_from_elsewhere_is_replaced(tls_node):
    replaced = plan(tls_node, wish("self_signed", SMALL, name="fleet"), True)
    assert replaced.reason == "the stored certificate is not self-signed"
