# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a certificate comes from: keys that are made here, and certificates that are stored."""

from __future__ import annotations

import datetime
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store, supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    BOTH,
    MADE_HERE,
    SERVED,
    SMALL,
    apply,
    plan,
    public,
    records,
    sign,
    wish,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write


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
    monkeypatch.setattr(supply, "utc_now", lambda: later)
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


def test_a_ca_that_others_run_may_add_names(fleet):
    asked = apply(fleet.node, wish("csr", SMALL))
    signed = sign(asked.next.request, fleet.ca, ["mx1.example.com", "www.example.com"])
    assert apply(fleet.node, wish("csr", {**SMALL, "certificate": signed})).reason is not None
    assert plan(fleet.node, wish("csr", {**SMALL, "certificate": signed})).reason is None


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ("self_signed", "the stored certificate is not self-signed"),
        ("own_ca", "the stored certificate is not issued by this CA"),
    ],
)
def test_a_certificate_from_elsewhere_is_replaced(tls_node, provider, reason):
    stranger = make_ca("Stranger", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    given = {**SMALL, "ca_certificate": certificates_pem([stranger]).decode()} if provider == "own_ca" else SMALL
    assert plan(tls_node, wish(provider, given, name="fleet"), True).reason == reason


def test_what_the_next_ca_has_issued_already_stays(tls_node, fleet_ca):
    old = make_ca("Old CA", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    following = {"ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    given = {**SMALL, "ca_certificate": certificates_pem([old]).decode(), "next_ca": following}
    assert plan(tls_node, wish("own_ca", given, name="fleet"), True).reason is None


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


def test_the_cas_known_here_are_those_of_the_task_of_the_store_and_of_the_system(
    monkeypatch, trusting_node, tmp_path, fleet_ca, hierarchy
):
    root, issuing, _chain = hierarchy
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates_pem([root]))
    monkeypatch.setattr(supply.trust, "SYSTEM_BUNDLES", (str(tmp_path / "none"), str(bundle)))
    wanted = wish("self_signed", SMALL, trust={"authorities": [certificates_pem([issuing[0]]).decode()]})
    assert supply.issuers_known(trusting_node.state, wanted) == (issuing[0], fleet_ca[0], root)


def test_a_ca_that_cannot_be_read_is_named_by_its_option(node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    wanted = wish("own_ca", given, trust={"authorities": ["-----BEGIN nothing"]})
    with pytest.raises(CertificateError, match="^trust.authorities: holds no certificate in PEM"):
        supply.issuers_known(node.state, wanted)
