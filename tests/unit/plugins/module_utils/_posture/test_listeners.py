# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture import listeners
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    said,
    service,
)


def protections(node, parameters=None, key=None):
    configuration = configured(node, parameters)
    return said(listeners.protections(configuration, key and service(node, key)))


MAY, ENCRYPT = {"smtpd_tls_security_level": "may"}, {"smtpd_tls_security_level": "encrypt"}


@pytest.mark.parametrize(
    ("parameters", "level"),
    [
        ({}, "none"),
        ({"smtpd_tls_security_level": "May"}, "may"),
        ({"smtpd_tls_security_level": "verify"}, "encrypt"),
        ({"smtpd_use_tls": "yes"}, "may"),
        ({"smtpd_enforce_tls": "yes"}, "encrypt"),
        ({"smtpd_tls_security_level": "none", "smtpd_tls_wrappermode": "yes"}, "encrypt"),
    ],
)
def test_a_server_demands_what_smtpd_makes_of_its_parameters(node, parameters, level):
    assert protections(node, parameters)["level"] == level


@pytest.mark.parametrize(
    ("override", "key", "level"),
    [
        ("submission/inet/smtpd_tls_security_level=encrypt", "submission/inet", "encrypt"),
        ("submission/inet/smtpd_tls_wrappermode=yes", "submission/inet", "encrypt"),
        ("submission/inet/smtpd_tls_security_level=none", "submission/inet", "none"),
        ("submission/inet/smtpd_tls_security_level=none", None, "may"),
        ("submission/inet/smtpd_tls_security_level=none", "smtp/inet", "may"),
    ],
)
def test_an_override_holds_for_its_service_alone(node, override, key, level):
    node.services += "submission inet n - y - - smtpd\n"
    node.override(override)
    assert protections(node, MAY, key)["level"] == level


@pytest.mark.parametrize(
    ("parameters", "override", "level"),
    [
        ({}, None, "may"),
        ({"postscreen_tls_security_level": "encrypt"}, None, "encrypt"),
        ({"postscreen_tls_security_level": "none"}, None, "none"),
        ({"postscreen_tls_security_level": "", "postscreen_enforce_tls": "yes"}, None, "encrypt"),
        ({}, "smtpd_tls_security_level=encrypt", "encrypt"),
        ({}, "postscreen_tls_security_level=encrypt", "encrypt"),
        ({"postscreen_tls_security_level": "encrypt"}, "smtpd_tls_security_level=none", "encrypt"),
    ],
)
def test_postscreen_has_a_level_of_its_own_which_is_smtpds_until_somebody_says_otherwise(
    node, parameters, override, level
):
    node.defaults["postscreen_tls_security_level"] = "$smtpd_tls_security_level"
    node.services = "smtp inet n - y - 1 postscreen\n"
    if override:
        node.override(f"smtp/inet/{override}")
    assert protections(node, {**MAY, **parameters}, "smtp/inet")["level"] == level


@pytest.mark.parametrize(
    ("parameters", "certificates"),
    [
        (MAY, "ignore"),
        ({**MAY, "smtpd_tls_ask_ccert": "yes"}, "request"),
        ({**MAY, "smtpd_tls_req_ccert": "yes"}, "request"),
        ({**ENCRYPT, "smtpd_tls_req_ccert": "YES"}, "require"),
        ({**ENCRYPT, "smtpd_tls_ask_ccert": "yes"}, "request"),
        ({"smtpd_tls_req_ccert": "yes"}, "-"),
    ],
)
def test_certificates_are_required_only_where_tls_is(node, parameters, certificates):
    assert protections(node, parameters).get("client_certificates", "-") == certificates


@pytest.mark.parametrize(
    ("level", "minimum", "ciphers", "excluded"),
    [(MAY, "TLSv1.1", "medium", "RC4"), (ENCRYPT, "TLSv1.2", "high", "MD5, RC4"), ({}, "-", "-", "-")],
)
def test_lists_are_those_of_the_level(node, level, minimum, ciphers, excluded):
    parameters = {
        "smtpd_tls_protocols": ">=TLSv1.1",
        "smtpd_tls_mandatory_protocols": ">=0303",
        "smtpd_tls_ciphers": "medium",
        "smtpd_tls_mandatory_ciphers": "high",
        "smtpd_tls_exclude_ciphers": "RC4",
        "smtpd_tls_mandatory_exclude_ciphers": "MD5",
    }
    found = protections(node, {**parameters, **level})
    assert [found.get(name, "-") for name in ("minimum_protocol", "ciphers", "exclude_ciphers")] == [
        minimum,
        ciphers,
        excluded,
    ]


SAFE, PLAIN = "no password in plaintext", "passwords in plaintext"


@pytest.mark.parametrize(
    ("parameters", "passwords"),
    [
        (MAY, SAFE),
        ({**MAY, "smtpd_sasl_auth_enable": "yes"}, PLAIN),
        ({**MAY, "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "Yes"}, SAFE),
        ({**ENCRYPT, "smtpd_sasl_auth_enable": "yes"}, SAFE),
    ],
)
def test_passwords_cross_the_network_encrypted_or_not(node, parameters, passwords):
    assert protections(node, parameters)["auth_only"] == passwords


@pytest.mark.parametrize(
    ("level", "parameters", "held"),
    [
        ("may", {}, ("may", "nothing")),
        ("may", {"smtpd_discard_ehlo_keywords": "chunking StartTLS"}, ("none", "-")),
        ("encrypt", {"smtpd_discard_ehlo_keywords": "starttls"}, ("encrypt", "-")),
        (
            "may",
            {"smtpd_discard_ehlo_keyword_address_maps": "cidr:/a"},
            ("may", "smtpd_discard_ehlo_keyword_address_maps = cidr:/a"),
        ),
        ("may", {"smtpd_command_filter": "pcre:/a"}, ("may", "smtpd_command_filter = pcre:/a")),
        ("encrypt", {"smtpd_command_filter": "pcre:/a"}, ("encrypt", "-")),
    ],
)
def test_starttls_that_is_hidden_is_no_tls_and_whom_a_table_hides_it_from_is_not_known(node, level, parameters, held):
    found = protections(node, {"smtpd_tls_security_level": level, **parameters})
    assert (found["level"], found.get("starttls", "-")) == held


@pytest.mark.parametrize(
    ("parameters", "demands"),
    [
        ({}, "nothing"),
        ({"smtpd_client_restrictions": "check_ccert_access hash:/etc/postfix/own"}, "nothing"),
        (
            {
                "smtpd_client_restrictions": "check_ccert_access { regexp:{store}/pins/3/table, { search_order = pubkey_fingerprint } }"
            },
            "pinned certificates",
        ),
        (
            {"smtpd_sender_restrictions": "check_sender_access hash:{store}/domains/12/senders, permit"},
            "certificates of senders' domains",
        ),
        (
            {
                "smtpd_sender_restrictions": "check_sender_access lmdb:{store}/domains/1/senders, smtp_hardening_unlisted"
            },
            "certificates of senders' domains, listed senders",
        ),
    ],
)
def test_what_is_demanded_of_senders_counts_whatever_its_tables_are_called(node, parameters, demands):
    parameters = {name: text.replace("{store}", node.store()) for name, text in parameters.items()}
    assert protections(node, parameters)["demands"] == demands


def test_a_service_may_pass_the_demands_by(node):
    node.override("smtp/inet/smtpd_sender_restrictions=")
    parameters = {"smtpd_sender_restrictions": "smtp_hardening_unlisted"}
    assert protections(node, parameters, "smtp/inet")["demands"] == "nothing"
    assert protections(node)["demands"] == "listed senders"


@pytest.mark.parametrize(
    ("parameters", "counts"),
    [
        (MAY, False),
        ({**MAY, "smtpd_tls_ask_ccert": "yes"}, False),
        ({**ENCRYPT, "smtpd_tls_req_ccert": "yes"}, True),
        ({**MAY, "smtpd_sender_restrictions": "check_sender_access hash:{store}/domains/1/senders"}, True),
        ({"smtpd_sender_restrictions": "check_sender_access hash:{store}/domains/1/senders"}, False),
    ],
)
def test_whom_a_server_trusts_counts_where_certificates_are_demanded(node, parameters, counts):
    parameters = {name: text.replace("{store}", node.store()) for name, text in parameters.items()}
    found = protections(node, {**parameters, "smtpd_tls_CApath": "/etc/ssl/certs"})
    assert found.get("trust") == ("folder /etc/ssl/certs" if counts else None)
