# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import read_wish
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.certificates import (
    plan_certificate,
    report,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._signing import begin_request
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, pass_time

BASE = {"name": "default", "use": ["server"], "renew_before": 30, "self_signed": None, "own_ca": None, "pem": None}
SMALL = {"key_type": "ecdsa"}


def wish(provider, given=None, **over):
    options = {**BASE, "provider": provider, provider: given, **over}
    return read_wish(options, "mx1.example.com", lambda path: b"")


def apply(node, wanted, check_mode=False):
    state = read_state(node.postfix)
    planned = plan_certificate(state, wanted, check_mode)
    if not check_mode:
        change(node, planned.plan)
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
def test_a_certificate_that_does_not_fit_is_made_anew_and_kept_while_it_is_remembered(node, given, over, reason):
    first = apply(node, wish("self_signed", SMALL)).path
    second = apply(node, wish("self_signed", given, **over))
    assert reason in second.reason
    pass_time(node, 8)
    assert os.path.exists(first)
    pass_time(node, 1)
    assert not os.path.exists(first)
    assert os.path.exists(second.path)


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


@pytest.mark.parametrize(
    ("use", "active"),
    [
        ([], {"server": False, "client": False}),
        (["server"], {"server": True, "client": False}),
        (["client"], {"server": False, "client": True}),
        (["server", "client"], {"server": True, "client": True}),
    ],
)
def test_a_certificate_becomes_active_for_the_sides_that_are_listed(node, use, active):
    wanted = wish("self_signed", SMALL, use=use)
    planned = apply(node, wanted)
    facts = report(read_state(node.postfix), wish("self_signed", SMALL, use=[]), planned)
    assert facts["active"] == active
    assert facts["chain_file"] == planned.path
    assert facts["certificate"]["subject_alternative_names"] == ["mx1.example.com"]


def test_a_side_that_is_not_listed_keeps_its_old_chain_file(node):
    first = apply(node, wish("self_signed", SMALL, use=["server", "client"])).path
    second = apply(node, wish("self_signed", {"key_type": "ecdsa", "key_size": 384}, use=["server"])).path
    explicit = read_state(node.postfix).explicit
    assert (explicit["smtpd_tls_chain_files"], explicit["smtp_tls_chain_files"]) == (second, first)
    assert os.path.exists(first)


def test_legacy_certificate_files_leave_main_cf(node):
    node.write("smtpd_tls_cert_file = /etc/ssl/snakeoil.pem\nsmtpd_tls_key_file = /etc/ssl/snakeoil.key\n")
    apply(node, wish("self_signed", SMALL))
    assert list(read_state(node.postfix).explicit) == ["smtpd_tls_chain_files"]


def test_two_certificates_of_different_names_live_side_by_side(node):
    apply(node, wish("self_signed", SMALL, name="default"))
    apply(node, wish("self_signed", SMALL, name="partner", use=["client"]))
    assert store.names(read_state(node.postfix)) == ["default", "partner"]


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
    planned = plan_certificate(read_state(tls_node.postfix), wish(provider, given, name="fleet"), True)
    assert planned.reason == reason


def test_a_pem_certificate_is_stored_with_its_chain_in_order_and_kept(node, issue, fleet_ca):
    chain = issue()
    given = {
        "private_key": write_key(chain.key, "secret").decode(),
        "certificate": certificates_pem([fleet_ca[0], chain.leaf]).decode(),
        "passphrase": "secret",
    }
    planned = apply(node, wish("pem", given))
    assert store.stored_chain(read_state(node.postfix), "default").certificates == (chain.leaf, fleet_ca[0])
    assert b"ENCRYPTED" not in store.read(planned.path)
    assert plan_certificate(read_state(node.postfix), wish("pem", given), False).reason is None


def test_a_pem_certificate_that_has_expired_is_refused(node, issue):
    chain = issue(days=1, now=utc_now() - datetime.timedelta(days=400))
    given = {
        "private_key": write_key(chain.key).decode(),
        "certificate": certificates_pem(chain.certificates).decode(),
    }
    with pytest.raises(CertificateError, match="^pem.certificate: the certificate expired on .+; give one that peers"):
        plan_certificate(read_state(node.postfix), wish("pem", given), False)


def test_a_diff_tells_of_the_certificate_and_nothing_of_its_key(node):
    planned = plan_certificate(read_state(node.postfix), wish("self_signed", SMALL), False)
    shown = next(entry for entry in planned.plan.diff() if entry["after_header"] == "certificate default")
    assert shown["before"] == ""
    assert "subject: CN=mx1.example.com\n" in shown["after"]
    assert "key_type: ecdsa\nkey_size: 256\n" in shown["after"]
    assert "PRIVATE" not in str(planned.plan.diff())


def test_check_mode_shows_what_is_known_of_a_certificate_it_does_not_make(node):
    planned = apply(node, wish("self_signed", SMALL), check_mode=True)
    shown = next(entry for entry in planned.plan.diff() if entry["after_header"] == "certificate default")
    assert shown["after"] == (
        "provider: self_signed\nsubject_alternative_names: mx1.example.com\nkey_type: ecdsa\nkey_size: 256\n"
    )
    assert planned.plan.set == {"smtpd_tls_chain_files": planned.path}


def test_a_ca_that_is_trusted_already_is_not_written_again(trusting_node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    planned = plan_certificate(read_state(trusting_node.postfix), wish("own_ca", given, name="fleet"), False)
    assert planned.reason is None
    assert planned.plan.files == ()


def test_a_new_ca_goes_beside_the_old_one_and_who_trusted_that_trusts_the_new_one(trusting_node, fleet_ca):
    old = trusting_node.store("trust", "1.pem")
    trusting_node.append(f"smtp_tls_CAfile = {old}\nsmtpd_tls_CAfile = /etc/ssl/other.pem\n")
    ca = make_ca("Next CA", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    given = {**SMALL, "ca_certificate": certificates_pem([ca]).decode()}
    asked = begin_request(trusting_node.state, wish("own_ca", given, name="next"))
    leaf = sign_request(asked["csr"].encode(), CertificateSpec(tuple(asked["names"]), 90), *fleet_ca, utc_now())
    signed = {**given, "certificate": certificates_pem([leaf]).decode()}
    planned = plan_certificate(trusting_node.state, wish("own_ca", signed, name="next", use=[]), False)
    new = trusting_node.store("trust", "2.pem")
    assert planned.ca_file == new
    assert [file.path for file in planned.plan.files] == [new, trusting_node.store("certificates/next/1.pem")]
    assert planned.plan.set == {"smtp_tls_CAfile": new}
    assert store.read(old) == certificates_pem([fleet_ca[0]])


def test_new_content_never_takes_the_place_of_a_file_that_is_there(node):
    apply(node, wish("self_signed", SMALL))
    again = plan_certificate(node.state, wish("self_signed", {"key_type": "ecdsa", "key_size": 384}), False)
    assert [file.path for file in again.plan.files] == [node.store("certificates/default/2.pem")]
