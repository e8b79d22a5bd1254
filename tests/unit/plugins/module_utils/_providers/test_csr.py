# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that a CA of others signs on request."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    request,
    requested_names,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store, supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    BOTH,
    SERVED,
    SMALL,
    apply,
    plan,
    public,
    read,
    sign,
    wish,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture

OTHER_RECORD = "3 1 1 " + "AB" * 32


def test_its_key_is_small_and_its_lifetime_left_to_the_ca():
    provider = read("csr", None).provider
    assert provider.keys == (KeySpec("ecdsa", 256),)
    assert (provider.spec.names, provider.spec.days) == (("mx1.example.com",), 1)


def test_a_certificate_names_whom_the_task_lists_wildcards_among_them():
    provider = read("csr", {"names": ["MX1.example.com", "*.example.com"]}).provider
    assert provider.spec.names == ("mx1.example.com", "*.example.com")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"key_type": "both", "key_size": 384}, "^csr.key_size: 384 .+ use one of 2048, 3072, 4096.$"),
        ({"names": ["not a name"]}, "^csr.names: 'not a name' is not a domain name; write labels"),
        ({"certificate": "mx1.pem"}, "^csr.certificate: 'mx1.pem' is not an absolute path"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, problem):
    with pytest.raises(InvalidValue, match=problem):
        read("csr", given)


def test_a_refusal_names_option_and_value_and_says_what_to_do():
    with pytest.raises(InvalidValue) as refusal:
        read("csr", {"names": []})
    assert str(refusal.value) == (
        "csr.names: [] names nobody; leave the option out for the host's own name, or list one name at least."
    )


def test_the_first_run_of_a_request_keeps_the_key_on_the_node_and_the_second_asks_the_same(node):
    first = apply(node, wish("csr", SMALL, **SERVED))
    assert (first.awaits, first.path, first.chains) == ("signature", None, ())
    assert first.active == {"server": False, "client": False}
    assert first.keeps
    second = plan(node, wish("csr", SMALL, **SERVED))
    assert second.next.request == first.next.request
    assert (second.keeps, second.plan.changed) == (False, False)
    assert "smtpd_tls_chain_files" not in node.state.explicit


def test_a_request_for_other_names_is_made_with_the_same_key(node):
    first = apply(node, wish("csr", SMALL))
    second = apply(node, wish("csr", {**SMALL, "names": ["mx2.example.com"]}))
    assert requested_names(second.next.request) == [("mx2.example.com",)]
    assert tlsa.of_key(second.next.keys[0].public_key()) == tlsa.of_key(first.next.keys[0].public_key())
    assert second.keeps


def test_a_request_whose_file_was_lost_is_made_again_with_the_same_key(node):
    first = apply(node, wish("csr", SMALL))
    os.unlink(store.next_request(node.state, "default"))
    second = apply(node, wish("csr", SMALL))
    assert tlsa.of_key(second.next.keys[0].public_key()) == tlsa.of_key(first.next.keys[0].public_key())


def test_a_request_in_check_mode_makes_no_key(node):
    planned = plan(node, wish("csr", SMALL, **SERVED), check_mode=True)
    assert (planned.awaits, planned.next, planned.keeps) == ("signature", None, True)
    assert not os.path.exists(node.store())


def test_an_answer_in_any_order_completes_the_request(node, fleet_ca, hierarchy):
    root, issuing, _chain = hierarchy
    asked = apply(node, wish("csr", SMALL, **SERVED))
    signed = certificates_pem([root, issuing[0]]).decode() + sign(asked.next.request, issuing)
    planned = apply(node, wish("csr", {**SMALL, "certificate": signed}, **SERVED))
    assert planned.chains[0].certificates[1] == issuing[0]
    assert node.state.explicit["smtpd_tls_chain_files"] == planned.path


def test_at_renewal_the_certificate_that_is_still_in_the_task_awaits_another_signature(fleet):
    stored = fleet.run("csr", **SERVED)
    again = fleet.again("csr", **SERVED, renew_before=95)
    assert (again.awaits, again.path, again.keeps) == ("signature", stored.path, True)
    assert public(again.chains) == public(stored.chains)
    assert again.active == {"server": True, "client": False}
    assert not again.plan.changed


@pytest.mark.parametrize("renew_key", ["replace", "keep"])
def test_at_renewal_every_run_asks_the_same_until_the_ca_has_signed(fleet, renew_key):
    fleet.run("csr", **SERVED)
    due = {**SERVED, "renew_before": 95, "renew_key": renew_key}
    options = {**SMALL, "certificate": fleet.signed}
    first = apply(fleet.node, wish("csr", options, **due))
    second = plan(fleet.node, wish("csr", options, **due))
    assert second.next.request == first.next.request
    assert not second.keeps


@pytest.mark.parametrize("there", [False, True])
def test_a_certificate_for_another_key_is_refused_and_the_request_stays(fleet, there):
    if there:
        fleet.run("csr", **SERVED)
    due = {"renew_before": 95} if there else {}
    asked = apply(fleet.node, wish("csr", {**SMALL, "certificate": fleet.signed}, **due))
    before = picture(fleet.node.config_dir)
    foreign = certificates_pem(fleet.issue().certificates).decode()
    with pytest.raises(CertificateError, match="^csr: the private key does not match the certificate"):
        apply(fleet.node, wish("csr", {**SMALL, "certificate": foreign}, **due))
    assert picture(fleet.node.config_dir) == before
    assert supply.next_kept(fleet.node.state, "default").request == asked.next.request


def test_a_certificate_that_was_issued_again_for_the_stored_key_takes_its_place(fleet):
    stored = fleet.run("csr", **SERVED)
    reissued = sign(request(["mx1.example.com"], stored.chains[0].key), fleet.ca, days=120)
    planned = apply(fleet.node, wish("csr", {**SMALL, "certificate": reissued}, **SERVED))
    assert planned.reason == "another certificate is given"
    assert public(planned.chains) == public(stored.chains)


def test_check_mode_foresees_a_certificate_that_was_issued_again_for_the_stored_key(fleet):
    stored = fleet.run("csr", **SERVED)
    reissued = sign(request(["mx1.example.com"], stored.chains[0].key), fleet.ca, days=120)
    planned = plan(fleet.node, wish("csr", {**SMALL, "certificate": reissued}, **SERVED), check_mode=True)
    assert planned.awaits is None
    assert public(planned.chains) == public(stored.chains)


def test_two_keys_ask_in_two_requests_and_get_two_certificates(fleet):
    asked = apply(fleet.node, wish("csr", BOTH))
    assert requested_names(asked.next.request) == [("mx1.example.com",)] * 2
    signed = sign(asked.next.request, fleet.ca)
    planned = apply(fleet.node, wish("csr", {**BOTH, "certificate": signed}))
    assert len(store.stored_chains(fleet.node.state, "default")) == len(planned.chains) == 2


def test_a_ca_that_others_run_may_add_names(fleet):
    asked = apply(fleet.node, wish("csr", SMALL))
    signed = sign(asked.next.request, fleet.ca, ["mx1.example.com", "www.example.com"])
    assert apply(fleet.node, wish("csr", {**SMALL, "certificate": signed})).reason is not None
    assert plan(fleet.node, wish("csr", {**SMALL, "certificate": signed})).reason is None


def test_an_announced_ca_counts_for_what_it_has_signed_on_request(node, hierarchy):
    root, issuing, _chain = hierarchy
    asked = apply(node, wish("csr", SMALL, **SERVED))
    signed = sign(asked.next.request, issuing) + certificates_pem([issuing[0], root]).decode()
    record = tlsa.of_key(issuing[0].public_key()).replace("3 1 1", "2 1 1")
    planned = plan(node, wish("csr", {**SMALL, "certificate": signed}, **SERVED, published_tlsa=[record]))
    assert planned.awaits is None


def test_a_request_whose_key_is_not_announced_comes_with_its_record(node):
    planned = apply(node, wish("csr", SMALL, **SERVED, published_tlsa=[OTHER_RECORD]))
    assert (planned.awaits, planned.path) == ("announcement", None)
    assert requested_names(planned.next.request) == [("mx1.example.com",)]
