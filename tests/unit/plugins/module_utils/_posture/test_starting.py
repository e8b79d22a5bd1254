# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture import clients
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    service,
)


def level(node, parameters, wanted="may"):
    """The level of a client for which TLS has to start first."""
    configuration = configured(node, {"smtp_tls_security_level": wanted, **parameters})
    return str(clients.protections(configuration, service(node, "smtp/unix"), clients.Policy())["level"])


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, "may"),
        ({"smtp_tls_CAfile": "/nowhere.pem"}, "none"),
        ({"smtp_tls_CApath": "/nowhere"}, "may"),
        ({"smtp_tls_cert_file": "/nowhere.pem"}, "none"),
        ({"smtp_tls_eccert_file": "/nowhere.pem"}, "none"),
        ({"smtp_tls_chain_files": "/nowhere.pem"}, "none"),
        ({"tls_config_file": "/nowhere.cnf"}, "none"),
        ({"tls_config_file": "none"}, "may"),
        ({"smtp_tls_fingerprint_digest": "SHA256"}, "may"),
        ({"smtp_tls_fingerprint_digest": "sha3-256"}, "may"),
        ({"smtp_tls_fingerprint_digest": "md9"}, "none"),
        ({"tlsmgr_service_name": "elsewhere"}, "none"),
        ({"master_service_disable": "inet, tlsmgr.unix"}, "none"),
        ({"master_service_disable": "tlsproxy.unix"}, "may"),
    ],
)
def test_a_client_that_cannot_start_tls_sends_without(node, parameters, found):
    assert level(node, parameters) == found


def test_a_file_without_a_certificate_is_no_ca(node):
    path = write(node.path("ca.pem"), "nothing\n")
    assert level(node, {"smtp_tls_CAfile": path}) == "none"


def test_chains_stand_in_the_place_of_other_files(node):
    path = write(node.path("chain.pem"), "")
    assert level(node, {"smtp_tls_chain_files": path, "smtp_tls_cert_file": "/nowhere.pem"}) == "may"


@pytest.mark.parametrize("wanted", ["encrypt", "secure"])
def test_where_tls_is_demanded_mail_waits_instead(node, wanted):
    assert level(node, {"smtp_tls_CAfile": "/nowhere.pem"}, wanted) == wanted
