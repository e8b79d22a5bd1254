# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import read_wish
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.certificates import plan_certificate
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._signing import begin_request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import carry_out

BASE = {"name": "default", "use": ["server"], "renew_before": 30, "self_signed": None, "own_ca": None, "pem": None}
SMALL = {"key_type": "ecdsa"}


def wish(provider, given=None, **over):
    options = {**BASE, "provider": provider, provider: given, **over}
    return read_wish(options, "mx1.example.com", lambda path: b"")


def apply(node, wanted, check_mode=False):
    state = read_state(node.postfix)
    planned = plan_certificate(state, wanted, check_mode)
    if not check_mode:
        carry_out(node.postfix, state, planned.plan, lambda: None)
    return planned


def test_the_certificate_becomes_active_and_its_key_is_roots_alone(node):
    planned = apply(node, wish("self_signed", SMALL))
    assert read_state(node.postfix).explicit["smtpd_tls_chain_files"] == planned.path
    assert oct(os.stat(planned.path).st_mode & 0o777) == "0o600"
    assert oct(os.stat(store.certificates_dir(read_state(node.postfix))).st_mode & 0o777) == "0o700"


def test_a_second_run_keeps_the_certificate(node):
    apply(node, wish("self_signed", SMALL))
    again = plan_certificate(read_state(node.postfix), wish("self_signed", SMALL), False)
    assert again.reason is None
    assert not again.plan.changed


def test_check_mode_makes_no_key_and_says_why_one_is_needed(node):
    planned = apply(node, wish("self_signed", SMALL), check_mode=True)
    assert planned.chain is None
    assert planned.reason == "no certificate of this name is stored"
    assert not os.path.exists(os.path.join(node.config_dir, "smtp_hardening"))


@pytest.mark.parametrize(
    ("given", "over", "reason"),
    [
        ({"key_type": "ecdsa", "key_size": 384}, {}, "another kind of key"),
        ({"key_type": "ecdsa", "names": ["mx2.example.com"]}, {}, "other names"),
        ({"key_type": "ecdsa", "days": 9999}, {"renew_before": 4000}, "fewer than renew_before"),
    ],
)
def test_a_certificate_that_does_not_fit_is_made_anew(node, given, over, reason):
    first = apply(node, wish("self_signed", SMALL)).path
    second = apply(node, wish("self_signed", given, **over))
    assert reason in second.reason
    assert not os.path.exists(first)


def test_a_stored_chain_with_a_foreign_key_is_replaced(node, issue):
    first = apply(node, wish("self_signed", SMALL)).path
    with open(first, "wb") as handle:
        handle.write(write_key(issue().key) + certificates_pem(issue().certificates))
    assert "does not match" in apply(node, wish("self_signed", SMALL)).reason


def test_the_ca_signs_on_the_controller_and_the_key_stays_on_the_node(node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    state = read_state(node.postfix)
    assert plan_certificate(state, wish("own_ca", given), False).awaits_signature
    asked = begin_request(state, wish("own_ca", given))
    assert "PRIVATE" not in str(asked)
    spec = CertificateSpec(tuple(asked["names"]), asked["days"])
    leaf = sign_request(asked["csr"].encode(), spec, *fleet_ca, utc_now())
    planned = apply(node, wish("own_ca", {**given, "certificate": certificates_pem([leaf]).decode()}))
    assert planned.chain.leaf == leaf
    assert not os.path.exists(store.pending_key(state, "default"))
    assert store.read(store.trust_file(state)) == certificates_pem([fleet_ca[0]])


def test_a_pem_certificate_whose_key_does_not_match_writes_nothing(node, issue):
    given = {
        "private_key": write_key(issue().key).decode(),
        "certificate": certificates_pem(issue().certificates).decode(),
    }
    with pytest.raises(CertificateError, match="the private key does not match the certificate"):
        plan_certificate(read_state(node.postfix), wish("pem", given), False)
    assert not os.path.exists(os.path.join(node.config_dir, "smtp_hardening"))
