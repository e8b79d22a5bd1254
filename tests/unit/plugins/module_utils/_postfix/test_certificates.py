# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.certificates import (
    plan_removal,
    report,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, apply, pem, plan, wish
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, pass_time, write

SERVED = {"use": ["server"]}
P_384 = {"key_type": "ecdsa", "key_size": 384}
OTHER_RECORD = "3 1 1 " + "AB" * 32


def own(**over):
    return wish("self_signed", SMALL, **{**SERVED, **over})


def given(chain, **over):
    return wish("pem", pem(chain), **over)


def record(planned):
    return tlsa.of_key(planned.chains[0].key.public_key())


def test_the_certificate_becomes_active_and_its_key_is_roots_alone(node):
    planned = apply(node, own())
    assert node.state.explicit["smtpd_tls_chain_files"] == planned.path
    assert oct(os.stat(planned.path).st_mode & 0o777) == "0o600"
    assert oct(os.stat(store.certificates_dir(node.state)).st_mode & 0o777) == "0o700"


def test_a_second_run_keeps_the_certificate(node):
    apply(node, own())
    again = plan(node, own())
    assert again.reason is None
    assert not again.plan.changed


def test_check_mode_makes_no_key_and_says_why_one_is_needed(node):
    planned = plan(node, own(), check_mode=True)
    assert (planned.chains, planned.keeps) == ((), False)
    assert planned.reason == "no certificate of this name is stored"
    assert not os.path.exists(node.store())


@pytest.mark.parametrize(
    ("given", "over", "reason"),
    [
        (P_384, {}, "another kind of key"),
        ({"key_type": "rsa", "key_size": 2048}, {}, "another kind of key"),
        ({**SMALL, "names": ["mx2.example.com"]}, {}, "other names"),
        ({**SMALL, "names": ["mx1.example.com", "mx2.example.com"]}, {}, "other names"),
        ({**SMALL, "days": 9999}, {"renew_before": 4000}, "has 3649 days left, fewer than renew_before"),
        (SMALL, {"renew_now": True}, "renew_now is set"),
    ],
)
def test_a_certificate_that_does_not_fit_is_made_anew_and_kept_while_it_is_remembered(node, given, over, reason):
    first = apply(node, own()).path
    second = apply(node, wish("self_signed", given, **SERVED, **over))
    assert reason in second.reason
    assert node.state.explicit["smtpd_tls_chain_files"] == second.path
    pass_time(node, 8)
    assert os.path.exists(first)
    pass_time(node, 1)
    assert not os.path.exists(first)
    assert os.path.exists(second.path)


def test_a_stored_chain_with_a_foreign_key_is_replaced(node, issue):
    first = apply(node, own()).path
    write(first, write_key(issue().key) + certificates_pem(issue().certificates))
    assert "does not match" in apply(node, own()).reason


def test_a_pem_certificate_whose_key_does_not_match_writes_nothing(node, issue):
    mixed = {**pem(issue()), "certificate": certificates_pem(issue().certificates).decode()}
    with pytest.raises(CertificateError, match="^pem: the private key does not match the certificate"):
        plan(node, wish("pem", mixed))
    assert not os.path.exists(node.store())


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
    planned = apply(node, own(use=use))
    facts = report(planned)
    assert facts["active"] == active == store.uses_of(node.state, "default")
    assert facts["chain_file"] == planned.path
    assert facts["certificate"] == facts["certificates"][0]
    assert facts["certificate"]["subject_alternative_names"] == ["mx1.example.com"]
    assert (facts["sni"], facts["awaits"], facts["next"]) == ([], None, None)


def test_two_certificates_under_one_name_are_reported_one_by_one(node):
    planned = apply(node, wish("self_signed", {"key_type": "both", "key_size": 2048}, **SERVED))
    facts = report(planned)
    assert [fact["key_type"] for fact in facts["certificates"]] == ["ecdsa", "rsa"]
    assert not plan(node, wish("self_signed", {"key_type": "both", "key_size": 2048}, **SERVED)).plan.changed


def test_a_side_that_is_not_listed_keeps_another_certificate(node):
    first = apply(node, own(name="partner", use=["server", "client"])).path
    second = apply(node, own()).path
    explicit = node.state.explicit
    assert (explicit["smtpd_tls_chain_files"], explicit["smtp_tls_chain_files"]) == (second, first)


@pytest.mark.parametrize("use", [[], ["server"], ["client"]])
def test_a_renewal_moves_every_side_where_the_certificate_is_active(node, use):
    apply(node, own(use=["server", "client"]))
    renewed = apply(node, own(use=use, renew_now=True))
    explicit = node.state.explicit
    assert explicit["smtpd_tls_chain_files"] == explicit["smtp_tls_chain_files"] == renewed.path


def test_legacy_certificate_files_leave_main_cf(node):
    node.write("smtpd_tls_cert_file = /etc/ssl/snakeoil.pem\nsmtpd_tls_key_file = /etc/ssl/snakeoil.key\n")
    apply(node, own())
    assert list(node.state.explicit) == ["smtpd_tls_chain_files"]


def test_two_certificates_of_different_names_live_side_by_side(node):
    apply(node, own())
    apply(node, own(name="partner", use=["client"]))
    assert store.names(node.state) == ["default", "partner"]


def test_a_pem_certificate_that_is_encrypted_is_stored_for_postfix_to_read(node, issue, fleet_ca):
    chain = issue()
    options = pem(
        chain,
        private_key=write_key(chain.key, "secret").decode(),
        certificate=certificates_pem([fleet_ca[0], chain.leaf]).decode(),
        passphrase="secret",
    )
    planned = apply(node, wish("pem", options))
    (stored,) = store.stored_chains(node.state, "default")
    assert stored.certificates[0] == chain.leaf
    assert b"ENCRYPTED" not in store.read(planned.path)
    assert plan(node, wish("pem", options)).reason is None


def test_a_diff_tells_of_the_certificate_and_nothing_of_its_key(node):
    planned = plan(node, own())
    shown = next(entry for entry in planned.plan.diff() if entry["after_header"] == "certificate default")
    assert shown["before"] == ""
    assert "subject: CN=mx1.example.com\n" in shown["after"]
    assert "key_type: ecdsa\nkey_size: 256\n" in shown["after"]
    assert "PRIVATE" not in str(planned.plan.diff())


def test_check_mode_shows_what_is_known_of_a_certificate_it_does_not_make(node):
    planned = plan(node, wish("self_signed", {"key_type": "both"}, **SERVED), check_mode=True)
    shown = next(entry for entry in planned.plan.diff() if entry["after_header"] == "certificate default")
    assert shown["after"] == (
        "provider: self_signed\nsubject_alternative_names: mx1.example.com\nkeys: ecdsa 256, rsa 3072\n"
    )
    assert planned.plan.set == {"smtpd_tls_chain_files": planned.path}


def test_new_content_never_takes_the_place_of_a_file_that_is_there(node):
    apply(node, own())
    again = plan(node, wish("self_signed", P_384, **SERVED))
    assert [file.path for file in again.plan.files] == [node.store("certificates/default/2.pem")]


# What stops being active


@pytest.mark.parametrize("provider", ["self_signed", "stored"])
def test_a_certificate_that_is_withdrawn_is_named_by_main_cf_no_more_and_stays_in_the_store(node, provider):
    apply(node, own(use=["server", "client"]))
    options = SMALL if provider == "self_signed" else None
    planned = apply(node, wish(provider, options, withdraw=["client"]))
    assert planned.active == {"server": True, "client": False}
    assert "smtp_tls_chain_files" not in node.state.explicit
    assert os.path.exists(planned.path)


def test_to_withdraw_what_is_not_active_changes_nothing(node):
    apply(node, own(name="partner", use=["client"]))
    apply(node, own())
    assert not plan(node, wish("stored", withdraw=["client"])).plan.changed


def test_a_server_that_offers_tls_keeps_its_certificate(node):
    apply(node, own())
    node.append("smtpd_tls_security_level = may\n")
    with pytest.raises(InvalidValue) as refusal:
        plan(node, wish("stored", withdraw=["server"]))
    assert str(refusal.value) == (
        "withdraw: ['server'] would leave smtp/inet without a certificate, though STARTTLS is offered there; "
        "make another certificate active, which takes the place of this one."
    )


def test_a_server_that_offers_no_tls_needs_none(node):
    apply(node, own())
    node.append("smtpd_tls_security_level = none\n")
    apply(node, wish("stored", withdraw=["server"]))
    assert "smtpd_tls_chain_files" not in node.state.explicit


@pytest.mark.parametrize(
    ("over", "served"),
    [
        ({"use": ["server"]}, "for the server"),
        ({"use": ["server", "client"]}, "for the server and for the client"),
        ({"use": [], "sni": ["mail.example.net", ".example.org"]}, "for .example.org and for mail.example.net"),
    ],
)
def test_a_certificate_that_is_served_is_not_deleted(node, over, served):
    apply(node, own(**over))
    with pytest.raises(InvalidValue) as refusal:
        plan_removal(node.state, "default")
    assert str(refusal.value) == (
        f"name: 'default' is active {served}, so it cannot be deleted; "
        "make another certificate active first (use, withdraw, sni)."
    )


def test_a_certificate_that_is_not_served_is_deleted_with_its_keys(node):
    apply(node, own(use=[]))
    apply(node, wish("csr", SMALL, name="waiting"))
    for name in ("default", "waiting"):
        change(node, plan_removal(node.state, name).plan)
    assert os.listdir(node.store("certificates")) == []
    assert store.names(node.state) == []


def test_the_removal_of_a_certificate_says_what_goes(node):
    apply(node, own(use=[]))
    planned = plan_removal(node.state, "default")
    (shown,) = planned.plan.diff()
    assert shown["after_header"] == "certificate default"
    assert "subject: CN=mx1.example.com\n" in shown["before"] and shown["after"] == ""
    assert (planned.path, planned.chains, planned.active) == (None, (), {"server": False, "client": False})


def test_the_removal_of_what_is_not_there_changes_nothing(node):
    assert not plan_removal(node.state, "default").plan.changed


def test_a_broken_certificate_can_be_deleted(node):
    write(node.store("certificates/default/1.pem"), b"broken")
    assert plan_removal(node.state, "default").plan.obsolete == (node.store("certificates/default"),)


# Flaws


@pytest.mark.parametrize(
    ("made", "over", "sentence", "kinds"),
    [
        (
            {"names": ["mx9.example.com"]},
            {"use": ["server"]},
            "names mx9.example.com and not mx1.example.com",
            "other_host",
        ),
        (
            {},
            {"sni": ["mail.example.net"]},
            "names mx1.example.com and not mail.example.net",
            "other_host",
        ),
        (
            {},
            {"use": ["client"], "sni": ["a.example.net", "b.example.net"]},
            "names mx1.example.com and not a.example.net or b.example.net",
            "other_host",
        ),
    ],
)
def test_a_certificate_with_flaws_is_refused_with_their_names(trusting_node, issue, *, made, over, sentence, kinds):
    with pytest.raises(CertificateError) as refusal:
        plan(trusting_node, given(issue(**made), **over))
    assert str(refusal.value) == (
        f"pem.certificate: the certificate {sentence} (OpenSSL: hostname mismatch); give one that peers will take, or accept: [{kinds}]."
    )
    assert plan(trusting_node, given(issue(**made), **over, accept=[kinds])).plan.changed


def test_every_flaw_is_named_at_once_and_must_be_accepted_by_itself(node, issue):
    chain = issue(names=["mx9.example.com"])
    with pytest.raises(CertificateError, match=r"accept: \[other_host, incomplete_chain\].$"):
        plan(node, given(chain, **SERVED))
    with pytest.raises(CertificateError, match=r"accept: \[other_host\].$"):
        plan(node, given(chain, **SERVED, accept=["incomplete_chain", "expired"]))
    assert plan(node, given(chain, **SERVED, accept=["incomplete_chain", "other_host"])).plan.changed


def test_a_certificate_that_is_active_for_nothing_may_name_any_host(trusting_node, issue):
    assert plan(trusting_node, given(issue(names=["mx9.example.com"]), name="other")).plan.changed


def test_all_names_below_a_domain_need_a_certificate_for_all_of_them(trusting_node, issue):
    below = issue(names=["*.example.net"])
    assert plan(trusting_node, given(below, sni=[".example.net"])).plan.changed
    with pytest.raises(CertificateError, match=r"not \*\.example\.net; give one .+ accept: \[other_host\]"):
        plan(trusting_node, given(issue(), sni=[".example.net"]))
    assert plan(trusting_node, given(issue(), sni=[".example.net"], accept=["other_host"])).plan.changed


def test_a_self_signed_certificate_proves_nothing_and_is_not_judged(node):
    assert plan(node, wish("self_signed", {**SMALL, "names": ["mx9.example.com"]}, **SERVED)).plan.changed


@pytest.mark.parametrize("over", [{"use": ["server"]}, {"sni": ["mail.example.net"]}])
def test_a_stored_certificate_is_judged_when_it_begins_to_be_served(trusting_node, issue, over):
    other = issue(names=["mx9.example.com"])
    apply(trusting_node, given(other, name="other"))
    with pytest.raises(CertificateError, match=r"^stored: the certificate names mx9.example.com and not .+other_host"):
        plan(trusting_node, wish("stored", name="other", **over))


def test_a_name_in_sni_that_a_certificate_does_not_cover_is_refused_also_when_the_certificate_stays(
    trusting_node, issue
):
    chain = issue()
    apply(trusting_node, given(chain, **SERVED))
    with pytest.raises(
        CertificateError, match=r"and not mail.example.net \(OpenSSL: hostname mismatch\); .+accept: \[other_host\]"
    ):
        plan(trusting_node, given(chain, **SERVED, sni=["mail.example.net"]))


def test_a_certificate_that_is_served_and_stays_is_not_judged_again(trusting_node, issue):
    chain = issue(names=["mx9.example.com"])
    apply(trusting_node, given(chain, **SERVED, accept=["other_host"]))
    assert not plan(trusting_node, given(chain, **SERVED)).plan.changed


# What DNS has announced


def test_a_pem_certificate_that_no_published_record_matches_is_refused(trusting_node, issue):
    chain = issue()
    with pytest.raises(CertificateError) as refusal:
        plan(trusting_node, given(chain, **SERVED, published_tlsa=[OTHER_RECORD]))
    assert str(refusal.value) == (
        "published_tlsa: no record matches the certificate that would be served; publish "
        f"{tlsa.of_key(chain.key.public_key())} beside the old record first, wait until the old answer has left all caches "
        "(its TTL), then list it in published_tlsa."
    )
    records = [OTHER_RECORD, tlsa.of_key(chain.key.public_key())]
    assert plan(trusting_node, given(chain, **SERVED, published_tlsa=records)).plan.changed


@pytest.mark.parametrize(("over", "refused"), [({"sni": ["mx1.example.com"]}, True), ({"use": ["client"]}, False)])
def test_records_speak_of_what_the_server_shows(trusting_node, issue, over, refused):
    wanted = given(issue(), **over, published_tlsa=[OTHER_RECORD])
    if not refused:
        assert plan(trusting_node, wanted).plan.changed
        return
    with pytest.raises(CertificateError, match="^published_tlsa: no record matches"):
        plan(trusting_node, wanted)


def test_a_stored_certificate_that_no_record_matches_does_not_begin_to_be_served(trusting_node, issue):
    apply(trusting_node, given(issue(), name="other"))
    with pytest.raises(CertificateError, match="^published_tlsa: no record matches"):
        plan(trusting_node, wish("stored", name="other", **SERVED, published_tlsa=[OTHER_RECORD]))


def test_a_certificate_does_not_begin_to_be_served_while_its_successor_awaits_its_announcement(node):
    apply(node, own(use=[]))
    with pytest.raises(CertificateError, match="^published_tlsa: no record matches"):
        apply(node, own(renew_now=True, published_tlsa=[OTHER_RECORD]))
    assert "smtpd_tls_chain_files" not in node.state.explicit


def test_the_newest_certificate_is_not_served_again_after_a_rollback_where_no_record_matches_it(node):
    first = apply(node, own())
    apply(node, own(renew_now=True))
    node.write(f"smtpd_tls_chain_files = {first.path}\n")
    with pytest.raises(CertificateError, match="^published_tlsa: no record matches"):
        plan(node, wish("stored", **SERVED, published_tlsa=[record(first)]))
