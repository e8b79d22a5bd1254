# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that the fleet's own CA signs, those that end with it among them."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import not_after, utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers import made_here
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    SERVED,
    SMALL,
    Fleet,
    apply,
    plan,
    public,
    read,
    sign,
    wish,
)

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
NEXT_CA = "-----BEGIN CERTIFICATE-----\nnext\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("given", "keys", "days"),
    [({}, [("ecdsa", 256)], 90), ({"key_type": "rsa", "key_size": None, "days": 40}, [("rsa", 4096)], 40)],
)
def test_its_key_is_small_and_its_lifetime_a_quarter_unless_others_are_asked_for(given, keys, days):
    provider = read("own_ca", {"ca_certificate": CA, **given}).provider
    assert provider.keys == tuple(KeySpec(*key) for key in keys)
    assert (provider.spec.names, provider.spec.days) == (("mx1.example.com",), days)


def test_a_fleet_certificate_brings_its_ca_and_the_next_one_and_trusts_both():
    asked = read("own_ca", {"ca_certificate": CA, "next_ca": {"ca_certificate": NEXT_CA}})
    assert asked.provider.ca == CA.encode()
    assert asked.wish.trust.authorities == (CA.encode(), NEXT_CA.encode())


@pytest.mark.parametrize(
    ("given", "over", "problem"),
    [
        ({"ca_certificate": CA, "names": ["mx.*.example"]}, {}, "^own_ca.names: .+ is not a domain name"),
        ({"ca_certificate": CA, "days": 36501}, {}, "^own_ca.days: 36501 is no lifetime"),
        ({"ca_certificate": CA}, {"renew_before": 90}, "^renew_before: 90 is not shorter than own_ca.days"),
        (
            {"ca_certificate": "/etc/ca.pem"},
            {},
            "^own_ca.ca_certificate: '/etc/ca.pem' is no certificate in PEM; give the fleet's CA as a path on the controller",
        ),
        ({}, {}, "^own_ca.ca_certificate: None is no certificate in PEM"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, over, problem):
    with pytest.raises(InvalidValue, match=problem):
        read("own_ca", given, **over)


@pytest.mark.parametrize(
    ("names", "assigned", "strange"),
    [
        (None, ["mx1.example.com"], None),
        (None, ["MX1.example.com"], None),
        (None, ["mx1.example.com", "smtp.example.com"], None),
        (["mx1.example.com"], ["mx1.example.com"], None),
        (None, ["mx1"], "mx1.example.com"),
        (None, ["192.0.2.1"], "mx1.example.com"),
        (["a.example", "b.example"], ["a.example"], "b.example"),
    ],
)
def test_a_node_refuses_to_ask_for_a_name_that_the_inventory_did_not_give_it(names, assigned, strange):
    given = {"ca_certificate": CA, "names": names, "assigned": assigned}
    if strange is None:
        assert read("own_ca", given).provider.spec.names
        return
    with pytest.raises(CertificateError) as refusal:
        read("own_ca", given)
    assert str(refusal.value) == (
        f"own_ca.names: {assigned[0]} asks for a certificate as {strange}, and by the inventory it is {assigned[0]} alone; list in "
        "own_ca.names what this node is to be called, or give the host that name in the inventory."
    )


def test_a_refusal_names_option_and_value_and_says_what_to_do():
    with pytest.raises(InvalidValue) as refusal:
        read("own_ca", {"ca_certificate": "/etc/ca.pem"})
    assert str(refusal.value) == (
        "own_ca.ca_certificate: '/etc/ca.pem' is no certificate in PEM; "
        "give the fleet's CA as a path on the controller or as content."
    )


def test_the_ca_signs_on_the_controller_and_the_key_stays_on_the_node(fleet):
    asked = apply(fleet.node, wish("own_ca", fleet.options("own_ca"), **SERVED))
    assert (asked.awaits, asked.keeps) == ("signature", True)
    assert b"PRIVATE" not in asked.next.request
    planned = fleet.run("own_ca", **SERVED)
    assert public(planned.chains) == [public_bytes(asked.next.keys[0].public_key())]
    assert store.read(store.trust_file(fleet.node.state)) == certificates_pem([fleet.ca[0]])


@pytest.mark.parametrize("send_root", [False, True])
def test_the_root_is_sent_where_that_is_asked_for(node, hierarchy, send_root):
    root, issuing, _chain = hierarchy
    given = {**SMALL, "ca_certificate": certificates_pem([issuing[0], root]).decode()}
    asked = apply(node, wish("own_ca", given, send_root=send_root))
    signed = {**given, "certificate": sign(asked.next.request, issuing)}
    (chain,) = apply(node, wish("own_ca", signed, send_root=send_root)).chains
    assert chain.certificates[1:] == ((issuing[0], root) if send_root else (issuing[0],))


def test_a_certificate_from_elsewhere_is_replaced(tls_node):
    stranger = make_ca("Stranger", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    given = {**SMALL, "ca_certificate": certificates_pem([stranger]).decode()}
    replaced = plan(tls_node, wish("own_ca", given, name="fleet"), True)
    assert replaced.reason == "the stored certificate is not issued by this CA"


def test_what_the_next_ca_has_issued_already_stays(tls_node, fleet_ca):
    old = make_ca("Old CA", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    following = {"ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    given = {**SMALL, "ca_certificate": certificates_pem([old]).decode(), "next_ca": following}
    assert plan(tls_node, wish("own_ca", given, name="fleet"), True).reason is None


def test_an_announced_ca_makes_the_announcement_of_keys_needless(node, hierarchy):
    root, issuing, _chain = hierarchy
    given = {**SMALL, "ca_certificate": certificates_pem([issuing[0], root]).decode()}
    record = tlsa.of_key(issuing[0].public_key()).replace("3 1 1", "2 1 1")
    asked = apply(node, wish("own_ca", given, **SERVED, published_tlsa=[record]))
    assert asked.awaits == "signature"


def test_a_ca_that_cannot_be_read_is_named_by_its_option_before_anything_is_made(node):
    with pytest.raises(CertificateError, match="^own_ca.ca_certificate: holds no certificate in PEM"):
        plan(node, wish("own_ca", {**SMALL, "ca_certificate": "-----BEGIN nothing"}), check_mode=True)


# A CA that ends before its certificates would


@pytest.fixture
def ending(node, issue):
    """A fleet whose CA has 50 days left."""
    key = make_key(KeySpec("ecdsa", 256))
    return Fleet(node, (make_ca("Ending CA", key, 50, utc_now()), key), issue)


def test_what_a_ca_signs_in_its_last_days_ends_with_it_and_is_not_made_anew_by_each_run(ending, monkeypatch):
    first = ending.run("own_ca", **SERVED)
    assert not_after(first.chains[0].leaf) == not_after(ending.ca[0])
    assert ending.again("own_ca", **SERVED).reason is None
    monkeypatch.setattr(made_here, "utc_now", lambda: utc_now() + datetime.timedelta(days=45))
    again = ending.again("own_ca", **SERVED)
    assert (again.reason, again.plan.changed, again.awaits) == (None, False, None)


def test_a_certificate_that_ends_before_its_ca_is_made_anew_to_end_with_it(ending):
    first = ending.run("own_ca", {"days": 35}, **SERVED)
    due = {**SERVED, "renew_before": 40}
    renewed = ending.run("own_ca", {"days": 90}, **due)
    assert ending.reason == "the stored certificate has 34 days left, fewer than renew_before"
    assert not_after(renewed.chains[0].leaf) > not_after(first.chains[0].leaf)
    assert ending.again("own_ca", {"days": 90}, **{**due, "renew_before": 60}).reason is None


def test_another_ca_takes_over_from_one_that_ends(ending, fleet_ca):
    ending.run("own_ca", **SERVED)
    ending.ca = fleet_ca
    assert ending.again("own_ca", **SERVED, accept=["distrusted_issuer"]).reason == (
        "the stored certificate is not issued by this CA"
    )


def test_when_both_have_ended_a_signature_is_asked_for_so_that_the_run_fails(ending, monkeypatch):
    ending.run("own_ca", **SERVED)
    monkeypatch.setattr(made_here, "utc_now", lambda: utc_now() + datetime.timedelta(days=51))
    assert ending.again("own_ca", **SERVED).awaits == "signature"
