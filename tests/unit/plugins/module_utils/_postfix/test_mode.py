# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import (
    read_client_policy,
    read_server_policy,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.mode import Wish, plan_mode
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import find_profile


def plan(node, profile=None, server=None, client=None):
    wish = Wish(find_profile(profile), read_server_policy(server), read_client_policy(client))
    return plan_mode(read_state(node.postfix), wish)


def test_only_the_parameters_behind_the_options_are_set(tls_node):
    mode = plan(tls_node, server={"minimum_protocol": "TLSv1.2"})
    assert mode.plan.set == {"smtpd_tls_protocols": ">=TLSv1.2", "smtpd_tls_mandatory_protocols": ">=TLSv1.2"}


def test_offering_starttls_without_a_certificate_is_not_met(node):
    assert "no certificate is active for the server" in plan(node, "lenient_default").unmet


def test_a_chain_file_whose_key_does_not_match_is_not_met(tls_node, issue):
    with open(os.path.join(tls_node.config_dir, "smtp_hardening/certificates/fleet/1.pem"), "wb") as handle:
        handle.write(issue().to_pem().split(b"-----BEGIN CERTIFICATE")[0])
        handle.write(b"-----BEGIN CERTIFICATE" + issue().to_pem().split(b"-----BEGIN CERTIFICATE")[1])
    assert "the private key does not match" in plan(tls_node, "lenient_default").unmet


def test_strict_trusts_the_store_and_is_met_by_a_fleet_certificate(trusting_node):
    mode = plan(trusting_node, "trusted_agents_strict")
    assert mode.unmet is None
    assert mode.plan.set["smtpd_tls_CAfile"].endswith("/smtp_hardening/trust.pem")


def test_strict_is_not_met_while_the_ca_is_missing(tls_node):
    assert "cannot be read" in plan(tls_node, "trusted_agents_strict").unmet


def test_connection_reuse_brings_tlsproxy_with_the_chroot_of_smtp(tls_node):
    assert plan(tls_node, client={"connection_reuse": True}).plan.services == (
        "tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy",
    )


def test_connection_reuse_finds_a_tlsproxy_that_is_there(tls_node):
    tls_node.services += "tlsproxy unix - - y - 0 tlsproxy\n"
    assert plan(tls_node, client={"connection_reuse": True}).plan.services == ()


def test_a_service_that_overrides_the_level_is_warned_about_by_name(tls_node):
    tls_node.overrides = "smtp/inet/smtpd_tls_security_level = none\n"
    assert any(
        "smtp/inet overrides smtpd_tls_security_level=none" in w for w in plan(tls_node, "lenient_default").warnings
    )


def test_requiring_starttls_warns_with_the_rfc(tls_node):
    assert any("RFC 3207" in warning for warning in plan(tls_node, server={"level": "encrypt"}).warnings)


def test_a_combination_with_what_is_there_is_refused(tls_node):
    with pytest.raises(InvalidValue, match="has no effect while server.level is 'none'"):
        plan(tls_node, server={"client_certificates": "require", "ca_file": "/ca.pem"})


def test_a_second_run_of_a_profile_changes_nothing(trusting_node):
    for profile in ("lenient_default", "trusted_agents_strict"):
        first = plan(trusting_node, profile).plan
        assert first.changed
        trusting_node.postfix.edit(first.set, first.unset, ())
        trusting_node.services += "".join(service.partition("=")[2] + "\n" for service in first.services)
        assert not plan(trusting_node, profile).plan.changed


def test_a_value_of_the_task_wins_over_the_profile(trusting_node):
    mode = plan(trusting_node, "trusted_agents_strict", {"minimum_protocol": "TLSv1.2"}, {"connection_reuse": False})
    assert mode.plan.set["smtpd_tls_mandatory_protocols"] == ">=TLSv1.2"
    assert mode.plan.set["smtp_tls_mandatory_protocols"] == ">=TLSv1.3"
    assert mode.plan.set["smtp_tls_connection_reuse"] == "no"
    assert mode.plan.services == ()


def test_postfix_3_5_gets_the_floor_it_understands(old_node):
    mode = plan(old_node, client={"minimum_protocol": "TLSv1.2"})
    assert mode.plan.set["smtp_tls_protocols"] == "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"


def test_a_plan_shows_the_policies_before_and_after(tls_node):
    mode = plan(tls_node, client={"level": "encrypt"})
    assert (str(mode.client_before.level), str(mode.client_after.level)) == ("none", "encrypt")
    assert mode.server_before == mode.server_after


def test_switching_starttls_off_needs_no_certificate(node):
    assert plan(node, server={"level": "none"}).unmet is None


def test_sending_needs_no_certificate_of_the_server(node):
    assert plan(node, client={"level": "may"}).unmet is None


def test_a_ca_file_without_a_certificate_is_not_met(tls_node, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("not yet")
    mode = plan(tls_node, client={"level": "secure", "ca_file": str(path)})
    assert mode.unmet == (
        f"client.ca_file: {path}: holds no certificate in PEM; give one that begins with BEGIN CERTIFICATE."
    )


def test_strict_names_every_side_whose_certificate_will_not_do(trusting_node, issue):
    path = os.path.join(trusting_node.config_dir, "default.pem")
    with open(path, "wb") as handle:
        handle.write(issue(by="itself").to_pem())
    trusting_node.write(f"smtpd_tls_chain_files = {path}\n")
    assert plan(trusting_node, "trusted_agents_strict").unmet == (
        f"profile: trusted_agents_strict cannot be switched on: the server certificate in {path} is self-signed; "
        f"the server certificate in {path} is not issued by a CA in ca_file; no certificate is active for the client; "
        "run smtp_tls_cert with provider: own_ca (or pem) and use: [server, client] first."
    )


def test_match_alone_goes_to_the_level_that_holds_now(tls_node):
    with open(tls_node.config_dir + "/main.cf", "a", encoding="utf-8") as handle:
        handle.write("smtp_tls_security_level = secure\nsmtp_tls_CAfile = /ca.pem\n")
    mode = plan(tls_node, client={"match": ["mx.partner.example"]})
    assert mode.plan.set["smtp_tls_secure_cert_match"] == "mx.partner.example"


def test_verifying_without_a_ca_is_refused_before_anything_is_planned(tls_node):
    with pytest.raises(InvalidValue) as refusal:
        plan(tls_node, client={"level": "secure"})
    assert str(refusal.value) == (
        "client.ca_file: '' names no CA while client.level is 'secure', so every message would be deferred; "
        "set it to the PEM file of the CA that issued the peers' certificates."
    )
