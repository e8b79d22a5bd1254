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
