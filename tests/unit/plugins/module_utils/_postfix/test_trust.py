# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store, trust
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, apply, plan, wish
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import read

PIN, OTHER = ":".join(["0A"] * 32), ":".join(["FF"] * 32)


def ca(name):
    return make_ca(name, make_key(KeySpec("ecdsa", 256)), 3650, utc_now())


def pem(*certificates):
    return certificates_pem(certificates).decode()


def trusting(**given):
    """A task that asks for trust and changes no certificate."""
    return wish("stored", name="fleet", trust=given)


def read_trust(node, kind="trust"):
    return store.read(store.trust_file(node.state, kind))


@pytest.fixture
def system(monkeypatch, tmp_path):
    """The CAs of the operating system."""
    bundle, found = tmp_path / "ca-certificates.crt", ca("Public CA")
    bundle.write_bytes(certificates_pem([found]))
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", ("/nowhere.crt", str(bundle)))
    return found, bundle


# The store's trust file


def test_authorities_become_the_trust_file_in_place_of_what_it_held(trusting_node):
    one, two = ca("One"), ca("Two")
    planned = apply(trusting_node, trusting(authorities=[pem(one), pem(two, one)]))
    assert planned.ca_file == trusting_node.store("trust", "2.pem")
    assert read_trust(trusting_node) == certificates_pem([one, two])
    assert not plan(trusting_node, trusting(authorities=[pem(one), pem(two)])).plan.changed


@pytest.mark.parametrize("given", [None, {}, {"authorities": None}, {"authorities": []}])
def test_authorities_that_are_left_out_stay(trusting_node, given):
    planned = plan(trusting_node, wish("stored", name="fleet", trust=given))
    assert not planned.plan.changed
    assert planned.ca_file == trusting_node.store("trust", "1.pem")


def test_a_side_that_trusted_the_store_trusts_the_new_file_and_another_side_stays(trusting_node):
    trusting_node.append(
        f"smtp_tls_CAfile = {trusting_node.store('trust', '1.pem')}\nsmtpd_tls_CAfile = /etc/ssl/other.pem\n"
    )
    planned = plan(trusting_node, trusting(authorities=[pem(ca("One"))]))
    assert planned.plan.set == {"smtp_tls_CAfile": trusting_node.store("trust", "2.pem")}


def test_a_diff_lists_the_cas_before_and_after(trusting_node, fleet_ca):
    one = ca("One")
    planned = plan(trusting_node, trusting(authorities=[pem(one), pem(fleet_ca[0])]))
    (shown,) = planned.plan.diff()
    old = f"CN=Fleet CA {fleet_ca[0].serial_number:X}\n"
    assert (shown["before"], shown["after"]) == (old, f"CN=One {one.serial_number:X}\n{old}")


def test_an_authority_that_is_no_certificate_is_named(trusting_node):
    with pytest.raises(CertificateError, match="^trust.authorities: holds no certificate in PEM"):
        plan(trusting_node, trusting(authorities=["files/ca.pem"]))


# The system's CAs


@pytest.mark.parametrize(
    ("sides", "kinds"),
    [
        (["client"], {"smtp_tls_CAfile": "trust_with_system"}),
        (["server"], {"smtpd_tls_CAfile": "trust_with_system"}),
        (["server", "client"], {"smtp_tls_CAfile": "trust_with_system", "smtpd_tls_CAfile": "trust_with_system"}),
        ([], {}),
    ],
)
def test_the_systems_cas_are_trusted_for_the_sides_that_are_listed(trusting_node, fleet_ca, system, sides, kinds):
    apply(trusting_node, trusting(system=sides))
    explicit = trusting_node.state.explicit
    found = {name: explicit[name] for name in ("smtp_tls_CAfile", "smtpd_tls_CAfile") if name in explicit}
    assert found == {name: trusting_node.store(kind, "1.pem") for name, kind in kinds.items()}
    if kinds:
        assert read_trust(trusting_node, "trust_with_system") == certificates_pem([fleet_ca[0], system[0]])
    assert not plan(trusting_node, trusting(system=sides)).plan.changed


def test_a_side_that_is_listed_no_more_trusts_the_stores_own_cas_alone(trusting_node, system):
    apply(trusting_node, trusting(system=["server", "client"]))
    apply(trusting_node, trusting(system=["client"]))
    explicit = trusting_node.state.explicit
    assert explicit["smtpd_tls_CAfile"] == trusting_node.store("trust", "1.pem")
    assert explicit["smtp_tls_CAfile"] == trusting_node.store("trust_with_system", "1.pem")
    assert trust.kind_for(trusting_node.state, "client") == "trust_with_system"
    assert trust.kind_for(trusting_node.state, "server") == "trust"


def test_new_authorities_reach_both_files(trusting_node, system):
    apply(trusting_node, trusting(system=["client"]))
    one = ca("One")
    apply(trusting_node, trusting(authorities=[pem(one)]))
    assert read_trust(trusting_node) == certificates_pem([one])
    assert read_trust(trusting_node, "trust_with_system") == certificates_pem([one, system[0]])
    assert trusting_node.state.explicit["smtp_tls_CAfile"] == trusting_node.store("trust_with_system", "2.pem")


def test_a_ca_of_the_system_that_is_listed_too_stands_there_once(trusting_node, system):
    apply(trusting_node, trusting(authorities=[pem(system[0])], system=["client"]))
    assert read_trust(trusting_node, "trust_with_system") == certificates_pem([system[0]])


def test_the_systems_cas_are_counted_in_a_diff_and_not_listed(trusting_node, system, fleet_ca):
    planned = plan(trusting_node, trusting(system=["client"]))
    shown = next(entry for entry in planned.plan.diff() if entry["after_header"].startswith("CAs in"))
    assert shown["after"] == f"CN=Fleet CA {fleet_ca[0].serial_number:X}\n1 of the system\n"


@pytest.mark.parametrize("given", [{"system": ["client"]}, {"authorities": None}])
def test_a_system_that_trusts_other_cas_now_is_followed_by_tasks_that_speak_of_it_and_by_no_other(
    trusting_node, system, given
):
    apply(trusting_node, trusting(system=["client"]))
    system[1].write_bytes(certificates_pem([system[0], ca("Another public CA")]))
    planned = plan(trusting_node, trusting(**given))
    newer = {"smtp_tls_CAfile": trusting_node.store("trust_with_system", "2.pem")}
    assert planned.plan.set == (newer if given.get("system") else {})
    assert planned.plan.changed is bool(given.get("system"))


def test_a_system_without_cas_is_refused(trusting_node):
    with pytest.raises(InvalidValue) as refusal:
        plan(trusting_node, trusting(system=["client"]))
    assert str(refusal.value) == ("trust.system: ['client'] finds no CAs of the system; install ca-certificates.")


def test_the_system_alone_is_not_trusted(tls_node, system):
    with pytest.raises(InvalidValue) as refusal:
        plan(tls_node, trusting(system=["client"]))
    assert str(refusal.value) == (
        "trust.system: ['client'] has no other CA beside it; list the fleet's CA in trust.authorities."
    )


# Nobody is left behind


VERIFYING = {
    "secure": "smtp_tls_security_level = secure\n",
    "verify": "smtp_tls_security_level = verify\n",
    "require": "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n",
}


@pytest.mark.parametrize("how", VERIFYING)
def test_a_ca_of_an_active_certificate_stays_trusted_while_peers_are_verified(trusting_node, how):
    trusting_node.append(VERIFYING[how])
    with pytest.raises(CertificateError) as refusal:
        plan(trusting_node, trusting(authorities=[pem(ca("Next CA"))]))
    assert str(refusal.value) == (
        f"trust: CN=Fleet CA would not be trusted any more, and it issued {trusting_node.store('certificates/fleet/1.pem')}, "
        "which is active: neighbours with certificates of the same CA would be refused. "
        "Let all nodes trust both CAs first (own_ca.next_ca, trust.authorities, or the playbook rotate_certificates), "
        "or accept: [distrusted_issuer]."
    )


@pytest.mark.parametrize(
    ("main_cf", "over"),
    [
        ("", {}),
        ("smtp_tls_security_level = encrypt\nsmtpd_tls_ask_ccert = yes\n", {}),
        (VERIFYING["secure"], {"accept": ["distrusted_issuer"]}),
        (VERIFYING["secure"], {"withdraw": ["server", "client"], "accept": ["distrusted_issuer"]}),
    ],
)
def test_where_nobody_is_verified_or_it_is_accepted_a_ca_may_go(trusting_node, main_cf, over):
    trusting_node.append(main_cf)
    wanted = wish("stored", name="fleet", trust={"authorities": [pem(ca("Next CA"))]}, **over)
    assert plan(trusting_node, wanted).plan.changed


def test_a_ca_goes_once_another_one_has_issued_what_is_active(trusting_node):
    trusting_node.append(VERIFYING["secure"])
    other = apply(trusting_node, wish("self_signed", SMALL, use=["server", "client"]))
    assert other.path
    assert plan(trusting_node, trusting(authorities=[pem(ca("Next CA"))])).plan.changed


def test_both_cas_side_by_side_leave_nobody_behind(trusting_node, fleet_ca):
    trusting_node.append(VERIFYING["secure"])
    assert plan(trusting_node, trusting(authorities=[pem(ca("Next CA")), pem(fleet_ca[0])])).plan.changed


# Pinned keys


def restrictions(node):
    return node.state.explicit.get("smtpd_client_restrictions")


def pinned(node, number):
    path = node.store("pins", str(number), "table")
    return f"check_ccert_access {{ regexp:{path}, {{ search_order = pubkey_fingerprint }} }}"


def test_pinned_keys_are_the_only_ones_that_get_mail_in_and_that_fingerprint_takes(tls_node):
    apply(tls_node, trusting(pins=[PIN, OTHER.lower()]))
    assert restrictions(tls_node) == pinned(tls_node, 1)
    assert tls_node.state.explicit["smtp_tls_fingerprint_cert_match"] == f"{PIN} {OTHER}"
    assert read(tls_node.store("pins/1/table")) == (
        "# Made by mailfleet.smtp_hardening.smtp_tls_cert; changes made here are undone by its next run.\n"
        f"/^{PIN}$/ DUNNO\n/^{OTHER}$/ DUNNO\n/^/ 554 5.7.1 The public key of your certificate is not pinned here\n"
    )
    assert os.stat(tls_node.store("pins/1/table")).st_mode & 0o777 == 0o644
    assert trust.pins(tls_node.state) == (PIN, OTHER)
    assert not plan(tls_node, trusting(pins=[PIN, OTHER])).plan.changed


@pytest.mark.parametrize(
    ("key", "answer"), [(PIN, "DUNNO"), (OTHER, "554"), ("", "554"), (PIN + "x", "554"), ("x" + PIN, "554")]
)
def test_the_table_lets_a_pinned_key_through_to_all_other_rules_and_refuses_every_other(tls_node, key, answer):
    apply(tls_node, trusting(pins=[PIN]))
    rows = [line for line in read(tls_node.store("pins/1/table")).splitlines() if not line.startswith("#")]
    rules = [re.match("/(.*)/ (.*)", row).groups() for row in rows]
    assert next(said for pattern, said in rules if re.search(pattern, key, re.I)).startswith(answer)


def test_no_index_is_built_of_a_table_of_patterns(tls_node):
    apply(tls_node, trusting(pins=[PIN]))
    assert not [argv for argv in tls_node.commands if argv[0] == "postmap"]


def test_other_pins_take_the_place_of_those_that_were_and_an_empty_list_lifts_them(tls_node):
    apply(tls_node, trusting(pins=[PIN]))
    apply(tls_node, trusting(pins=[OTHER]))
    assert (restrictions(tls_node), trust.pins(tls_node.state)) == (pinned(tls_node, 2), (OTHER,))
    planned = apply(tls_node, trusting(pins=[]))
    assert planned.plan.unset == ("smtp_tls_fingerprint_cert_match", "smtpd_client_restrictions")
    assert (restrictions(tls_node), trust.pins(tls_node.state)) == (None, ())
    assert not plan(tls_node, trusting(pins=[])).plan.changed


def test_pins_that_are_left_out_stay(tls_node):
    apply(tls_node, trusting(pins=[PIN]))
    assert not plan(tls_node, trusting()).plan.changed
    assert trust.pins(tls_node.state) == (PIN,)


@pytest.mark.parametrize("others", ["permit_mynetworks, reject_unknown_client_hostname", "check_client_access hash:/x"])
def test_an_operators_own_restrictions_stay_behind_ours(tls_node, others):
    tls_node.append(f"smtpd_client_restrictions = {others}\n")
    apply(tls_node, trusting(pins=[PIN]))
    assert restrictions(tls_node) == f"{pinned(tls_node, 1)}, {others}"
    apply(tls_node, trusting(pins=[PIN, OTHER]))
    assert restrictions(tls_node) == f"{pinned(tls_node, 2)}, {others}"
    apply(tls_node, trusting(pins=[]))
    assert restrictions(tls_node) == others


def test_a_table_of_pins_that_was_lost_is_made_again(tls_node):
    apply(tls_node, trusting(pins=[PIN]))
    os.unlink(tls_node.store("pins/1/table"))
    apply(tls_node, trusting(pins=[PIN]))
    assert read(tls_node.store("pins/2/table")).count("DUNNO") == 1
    assert restrictions(tls_node) == pinned(tls_node, 2)


def test_pins_whose_table_was_lost_are_lifted_as_well(tls_node):
    apply(tls_node, trusting(pins=[PIN]))
    os.unlink(tls_node.store("pins/1/table"))
    apply(tls_node, trusting(pins=[]))
    assert restrictions(tls_node) is None


def test_a_diff_shows_pins_line_by_line(tls_node):
    apply(tls_node, trusting(pins=[PIN]))
    shown = plan(tls_node, trusting(pins=[PIN, OTHER])).plan.diff()
    entry = next(entry for entry in shown if entry["after_header"] == "pinned public keys of peers")
    assert (entry["before"], entry["after"]) == (f"{PIN}\n", f"{PIN}\n{OTHER}\n")


def test_an_operators_own_fingerprints_stay_where_nothing_was_pinned(tls_node):
    tls_node.append(f"smtp_tls_fingerprint_cert_match = {OTHER}\n")
    assert not plan(tls_node, trusting(authorities=None)).plan.changed


def test_pins_are_compared_as_sha_256_also_where_postfix_takes_md5_by_default(old_node):
    """Before Postfix 3.6, *_tls_fingerprint_digest is md5 (postconf(5)): no pin would match, and nobody would get in."""
    apply(old_node, wish("self_signed", SMALL, trust={"pins": [PIN]}))
    explicit = old_node.state.explicit
    for side in ("smtpd", "smtp"):
        assert explicit.get(f"{side}_tls_fingerprint_digest") == "sha256"
