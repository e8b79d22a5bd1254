# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that are made here, whoever certifies them."""

from __future__ import annotations

import datetime
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers import made_here
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    BOTH,
    MADE_HERE,
    SERVED,
    SMALL,
    apply,
    plan,
    public,
    read,
    records,
    wish,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("provider", ["csr", "own_ca"])
@pytest.mark.parametrize(
    ("given", "signed"), [(None, None), (CA, CA.encode()), ("/pki/mx1.pem", b"read /pki/mx1.pem"), ("", None)]
)
def test_what_a_ca_has_signed_is_content_or_a_file_on_the_node(provider, given, signed):
    assert read(provider, {"ca_certificate": CA, "certificate": given}).provider.signed == signed


@pytest.mark.parametrize("provider", MADE_HERE)
@pytest.mark.parametrize("given", [{}, BOTH, {"names": ["mx1.example.com", "*.example.com"]}])
def test_a_first_run_brings_a_certificate_and_a_second_one_changes_nothing(fleet, provider, given):
    first = fleet.run(provider, given, **SERVED)
    assert first.reason is not None
    assert [dns_names(chain.leaf) for chain in first.chains] == [
        given.get("names", ["mx1.example.com"]) for _chain in first.chains
    ]
    assert store.stored_chains(fleet.node.state, "default")[0].leaf == first.chains[0].leaf
    assert not os.path.exists(store.next_key(fleet.node.state, "default"))
    assert not os.path.exists(store.next_request(fleet.node.state, "default"))
    again = fleet.again(provider, given, **SERVED)
    assert (again.reason, again.plan.changed, again.keeps) == (None, False, False)


@pytest.mark.parametrize("provider", MADE_HERE)
@pytest.mark.parametrize(
    ("over", "reason"),
    [({"renew_now": True}, "renew_now is set"), ({"renew_before": 89}, "has 88 days left, fewer than renew_before")],
)
@pytest.mark.parametrize("renew_key", ["replace", "keep"])
def test_a_renewal_brings_a_new_key_or_keeps_the_old_one(monkeypatch, fleet, *, provider, over, reason, renew_key):
    given = {"days": 90} if provider != "csr" else {}
    first = fleet.run(provider, given, **SERVED)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1, seconds=1)
    monkeypatch.setattr(made_here, "utc_now", lambda: later)
    renewed = fleet.run(provider, given, **SERVED, **over, renew_key=renew_key)
    assert reason in fleet.reason
    assert renewed.chains[0].leaf != first.chains[0].leaf
    assert (public(renewed.chains) == public(first.chains)) is (renew_key == "keep")
    assert fleet.node.state.explicit["smtpd_tls_chain_files"] == renewed.path != first.path


@pytest.mark.parametrize("provider", MADE_HERE)
def test_a_key_of_another_kind_is_made_anew_even_where_keys_are_kept(fleet, provider):
    first = fleet.run(provider)
    second = fleet.run(provider, {"key_size": 384}, renew_key="keep")
    assert fleet.reason == "the stored certificate has another kind of key"
    assert public(second.chains) != public(first.chains)


@pytest.mark.parametrize("provider", MADE_HERE)
def test_other_names_bring_a_new_certificate(fleet, provider):
    fleet.run(provider)
    second = fleet.run(provider, {"names": ["mx1.example.com", "smtp.example.com"]})
    assert fleet.reason == "the stored certificate has other names"
    assert dns_names(second.chains[0].leaf) == ["mx1.example.com", "smtp.example.com"]


@pytest.mark.parametrize("provider", MADE_HERE)
def test_check_mode_makes_no_key_and_writes_nothing_at_a_renewal(fleet, provider):
    first = fleet.run(provider, **SERVED)
    before = picture(fleet.node.config_dir)
    options = {**fleet.options(provider), "certificate": fleet.signed if provider == "csr" else None}
    wanted = wish(provider, options, **SERVED, renew_now=True, published_tlsa=records(first.chains))
    planned = plan(fleet.node, wanted, check_mode=True)
    assert planned.reason == "renew_now is set"
    assert planned.next is None
    assert picture(fleet.node.config_dir) == before


def test_kept_keys_that_cannot_be_read_are_named(node):
    write(store.next_key(node.state, "default"), b"broken")
    with pytest.raises(CertificateError, match="next.key: this is no private key that can be read"):
        plan(node, wish("csr", SMALL))


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
    monkeypatch.setattr(made_here, "utc_now", lambda: later)
    assert plan(node, wish("self_signed", {**SMALL, "days": 90})).reason == reason
