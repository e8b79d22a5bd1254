# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    CipherGrade,
    ClientCertificates,
    ClientLevel,
    Protocol,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import ClientPolicy, ServerPolicy
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.levels import (
    client_parameters,
    protocol_list,
    read_client,
    read_protocol_list,
    read_server,
    server_parameters,
)

OLD, NEW = (3, 5), (3, 10)


@pytest.mark.parametrize(
    ("floor", "version", "text"),
    [
        (Protocol.TLS_1_2, NEW, ">=TLSv1.2"),
        (Protocol.TLS_1_3, (3, 6), ">=TLSv1.3"),
        (Protocol.TLS_1_2, OLD, "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"),
        (Protocol.TLS_1_3, OLD, "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2"),
        (Protocol.TLS_1_0, OLD, "!SSLv2, !SSLv3"),
    ],
)
def test_a_protocol_floor_is_spelt_as_this_postfix_knows_it(floor, version, text):
    assert protocol_list(floor, version) == text
    assert read_protocol_list(text) is floor


@pytest.mark.parametrize("text", ["TLSv1.2 TLSv1.3", ">=SSLv3", "!SSLv2, TLSv1.2", "bogus"])
def test_a_protocol_list_that_is_no_floor_is_not_taken_for_one(text):
    assert read_protocol_list(text) is None


def test_nothing_asked_sets_nothing():
    assert server_parameters(ServerPolicy(), NEW) == {}
    assert client_parameters(ClientPolicy(), NEW) == {}


def test_the_ca_file_alone_decides_who_is_trusted():
    wanted = server_parameters(ServerPolicy(ca_file="/ca.pem"), NEW)
    assert wanted == {"smtpd_tls_CAfile": "/ca.pem", "smtpd_tls_CApath": None}


@pytest.mark.parametrize(
    ("demand", "ask", "require"),
    [
        (ClientCertificates.IGNORE, "no", "no"),
        (ClientCertificates.REQUEST, "yes", "no"),
        (ClientCertificates.REQUIRE, "no", "yes"),
    ],
)
def test_a_demand_for_client_certificates_is_one_of_two_switches(demand, ask, require):
    wanted = server_parameters(ServerPolicy(client_certificates=demand), NEW)
    assert (wanted["smtpd_tls_ask_ccert"], wanted["smtpd_tls_req_ccert"]) == (ask, require)


def test_dane_brings_all_that_it_needs():
    wanted = client_parameters(ClientPolicy(level=ClientLevel.DANE), NEW)
    assert wanted["smtp_dns_support_level"] == "dnssec"
    assert wanted["smtp_tls_dane_insecure_mx_policy"] == "dane"


def test_match_governs_the_parameter_of_its_level_and_clears_the_others():
    wanted = client_parameters(ClientPolicy(level=ClientLevel.SECURE, match=("mx.example",)), NEW)
    assert wanted["smtp_tls_secure_cert_match"] == "mx.example"
    assert wanted["smtp_tls_verify_cert_match"] is None


@pytest.mark.parametrize(
    ("main_cf", "level", "demand"),
    [
        ({"smtpd_tls_security_level": "may"}, ServerLevel.MAY, ClientCertificates.IGNORE),
        (
            {"smtpd_tls_security_level": "may", "smtpd_tls_req_ccert": "yes"},
            ServerLevel.MAY,
            ClientCertificates.REQUEST,
        ),
        (
            {"smtpd_tls_security_level": "encrypt", "smtpd_tls_req_ccert": "yes"},
            ServerLevel.ENCRYPT,
            ClientCertificates.REQUIRE,
        ),
        ({"smtpd_use_tls": "yes"}, ServerLevel.MAY, ClientCertificates.IGNORE),
        ({"smtpd_enforce_tls": "yes"}, ServerLevel.ENCRYPT, ClientCertificates.IGNORE),
        ({}, ServerLevel.NONE, ClientCertificates.IGNORE),
    ],
)
def test_what_the_server_does_now_is_read_as_postfix_acts(defaults, main_cf, level, demand):
    policy = read_server({**defaults, **main_cf})
    assert (policy.level, policy.client_certificates) == (level, demand)


def test_the_mandatory_lists_govern_where_tls_is_mandatory(defaults):
    main_cf = {"smtp_tls_security_level": "secure", "smtp_tls_mandatory_ciphers": "high"}
    assert read_client({**defaults, **main_cf}).ciphers is CipherGrade.HIGH


def test_what_is_set_is_read_back_the_same(defaults):
    policy = ServerPolicy(
        ServerLevel.ENCRYPT, ClientCertificates.REQUIRE, Protocol.TLS_1_3, CipherGrade.HIGH, ("aNULL", "MD5"), "/ca.pem"
    )
    wanted = {name: value for name, value in server_parameters(policy, NEW).items() if value is not None}
    assert read_server({**defaults, **wanted}) == policy
