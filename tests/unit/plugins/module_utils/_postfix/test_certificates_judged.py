# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that peers refuse are refused before anything is written; good ones of each kind are taken."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.certificates import report
from ansible_collections.mailfleet.smtp_hardening.tests.unit import strange_keys
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SERVED, apply, plan, wish
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write
from cryptography.hazmat.primitives.asymmetric import ed448
from flawed import CHAINS, alone, through
from pki import authority, ec_key, ed_key, rsa_key

ROOT = authority("Root")
HOST = "mx1.example.com"


@pytest.fixture
def trusting(node):
    write(node.store("trust", "1.pem"), ROOT.pem)
    return node


def given(chain, key=None, **over):
    content = "".join(identity.pem for identity in chain)
    options = {"private_key": key or chain[0].key_pem, "certificate": content, "passphrase": None}
    return wish("pem", options, **{**SERVED, **over})


@pytest.mark.parametrize("what", CHAINS)
def test_a_flawed_chain_is_refused_before_anything_is_written_unless_it_is_accepted(trusting, what):
    make, kind, sentence = CHAINS[what]
    chain = make(ROOT, HOST)
    before = picture(trusting.config_dir)
    with pytest.raises(CertificateError, match=sentence) as refusal:
        plan(trusting, given(chain))
    assert str(refusal.value).endswith(f"; give one that peers will take, or accept: [{kind}].")
    assert str(refusal.value).startswith("pem.certificate: the certificate ")
    assert picture(trusting.config_dir) == before
    assert plan(trusting, given(chain, accept=[kind])).plan.changed


@pytest.mark.parametrize(
    "key", [ec_key(), rsa_key(2048), ed_key(), ed_key(ed448.Ed448PrivateKey)], ids=["ECDSA", "RSA", "Ed25519", "Ed448"]
)
@pytest.mark.parametrize("use", [["server"], ["client"], []])
def test_a_good_chain_of_each_kind_is_taken_once(trusting, key, use):
    wanted = given(alone(ROOT, HOST, key=key), use=use)
    assert apply(trusting, wanted).chains[0].leaf.subject.rfc4514_string() == f"CN={HOST}"
    assert not plan(trusting, wanted).plan.changed


def test_a_root_that_comes_with_the_chain_is_one_that_some_peer_trusts(node):
    chain = [*through(ROOT, HOST), ROOT]
    assert plan(node, given(chain)).plan.changed
    with pytest.raises(CertificateError, match=r"accept: \[incomplete_chain\]"):
        plan(node, given(chain[:-1]))


def test_each_of_two_chains_under_one_name_is_judged(trusting):
    good, weak = alone(ROOT, HOST), through(ROOT, HOST, key=rsa_key(1024))
    keys = good[0].key_pem + weak[0].key_pem
    assert plan(trusting, given([*good, *through(ROOT, HOST)], key=good[0].key_pem)).plan.changed
    with pytest.raises(CertificateError, match="CA certificate key too weak, CN ?= ?Middle"):
        plan(trusting, given([*good, *weak], key=keys))


# What cryptography cannot read and OpenSSL can


@pytest.fixture
def strange(node, tmp_path):
    made = strange_keys.make(tmp_path)
    write(node.store("trust", "1.pem"), made.root)
    return made


def strange_wish(made, **over):
    return wish("pem", {"private_key": made.key, "certificate": made.leaf, "passphrase": None}, **over)


def test_such_a_chain_is_served_as_it_is_and_stays(node, strange):
    planned = apply(node, strange_wish(strange, **SERVED))
    assert store.read(planned.path).decode() == strange.key + strange.leaf
    assert not plan(node, strange_wish(strange, **SERVED)).plan.changed
    facts = report(plan(node, wish("stored")))["certificate"]
    assert (facts["key_type"], facts["subject_alternative_names"]) == ("ecdsa", [HOST])


def test_such_a_chain_gives_way_to_one_that_is_made_here(node, strange):
    apply(node, strange_wish(strange, **SERVED))
    made = apply(node, wish("self_signed", {"key_type": "ed25519"}, **SERVED))
    assert made.reason == "the stored certificate is not self-signed"
    assert report(made)["certificate"]["key_type"] == "ed25519"


def test_another_key_of_such_a_kind_is_refused(node, strange, tmp_path):
    (tmp_path / "other").mkdir()
    other = strange_keys.make(tmp_path / "other")
    before = picture(node.config_dir)
    with pytest.raises(CertificateError) as refusal:
        plan(node, strange_wish(strange._replace(key=other.key)))
    assert re.fullmatch(
        "pem.certificate: OpenSSL on this node cannot read the private key, or it does not match the certificate; .+",
        str(refusal.value),
    )
    assert picture(node.config_dir) == before
