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
    read_protocols,
    read_server,
    server_parameters,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.values import admitted, lowest

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
    assert lowest(admitted(text, version)) is floor


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


@pytest.mark.parametrize(
    ("main_cf", "server", "client"),
    [
        ({"smtpd_tls_protocols": ">=TLSv1.2"}, ["TLSv1.2", "TLSv1.3"], None),
        (
            {"smtpd_tls_protocols": "TLSv1.2", "smtp_tls_protocols": "!TLSv1.3, !TLSv1, !TLSv1.1"},
            ["TLSv1.2"],
            ["TLSv1.2"],
        ),
        ({"smtpd_tls_mandatory_protocols": "TLSv1.2", "smtpd_tls_security_level": "encrypt"}, ["TLSv1.2"], None),
        ({"smtp_tls_mandatory_protocols": "TLSv1.2", "smtp_tls_security_level": "secure"}, None, ["TLSv1.2"]),
        ({"smtp_tls_protocols": "no such list"}, None, []),
    ],
)
def test_each_side_admits_the_versions_of_the_list_that_governs_it(defaults, main_cf, server, client):
    found = read_protocols({**defaults, **main_cf})
    assert server in (None, found["server"]) and client in (None, found["client"])


def test_what_is_set_is_read_back_the_same(defaults):
    policy = ServerPolicy(
        ServerLevel.ENCRYPT, ClientCertificates.REQUIRE, Protocol.TLS_1_3, CipherGrade.HIGH, ("aNULL", "MD5"), "/ca.pem"
    )
    wanted = {name: value for name, value in server_parameters(policy, NEW).items() if value is not None}
    assert read_server({**defaults, **wanted}) == policy


@pytest.mark.parametrize(
    ("side", "policy", "version", "wanted"),
    [
        (
            "server",
            ServerPolicy(level=ServerLevel.MAY),
            NEW,
            {"smtpd_tls_security_level": "may", "smtpd_tls_loglevel": "1", "smtpd_tls_received_header": "yes"},
        ),
        (
            "server",
            ServerPolicy(minimum_protocol=Protocol.TLS_1_2),
            OLD,
            {
                "smtpd_tls_protocols": "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1",
                "smtpd_tls_mandatory_protocols": "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1",
            },
        ),
        (
            "server",
            ServerPolicy(ciphers=CipherGrade.HIGH, exclude_ciphers=("aNULL", "MD5")),
            NEW,
            {
                "smtpd_tls_ciphers": "high",
                "smtpd_tls_mandatory_ciphers": "high",
                "smtpd_tls_exclude_ciphers": "aNULL, MD5",
                "smtpd_tls_mandatory_exclude_ciphers": None,
            },
        ),
        (
            "server",
            ServerPolicy(exclude_ciphers=()),
            NEW,
            {"smtpd_tls_exclude_ciphers": None, "smtpd_tls_mandatory_exclude_ciphers": None},
        ),
        (
            "client",
            ClientPolicy(level=ClientLevel.ENCRYPT),
            NEW,
            {
                "smtp_tls_security_level": "encrypt",
                "smtp_tls_loglevel": "1",
                "smtp_tls_fingerprint_digest": "sha256",
            },
        ),
        (
            "client",
            ClientPolicy(minimum_protocol=Protocol.TLS_1_3),
            NEW,
            {"smtp_tls_protocols": ">=TLSv1.3", "smtp_tls_mandatory_protocols": ">=TLSv1.3"},
        ),
        ("client", ClientPolicy(connection_reuse=True), NEW, {"smtp_tls_connection_reuse": "yes"}),
        ("client", ClientPolicy(connection_reuse=False), NEW, {"smtp_tls_connection_reuse": "no"}),
        ("client", ClientPolicy(ca_file="/ca.pem"), NEW, {"smtp_tls_CAfile": "/ca.pem", "smtp_tls_CApath": None}),
    ],
)
def test_what_is_asked_becomes_these_parameters_and_no_others(side, policy, version, wanted):
    made = server_parameters(policy, version) if side == "server" else client_parameters(policy, version)
    assert made == wanted


@pytest.mark.parametrize(
    ("level", "match", "governing"),
    [
        (ClientLevel.FINGERPRINT, ("AB:CD",), "smtp_tls_fingerprint_cert_match"),
        (ClientLevel.VERIFY, ("hostname",), "smtp_tls_verify_cert_match"),
        (ClientLevel.SECURE, ("mx.example", ".example"), "smtp_tls_secure_cert_match"),
    ],
)
def test_names_to_match_stand_in_the_parameter_of_their_level(level, match, governing):
    wanted = client_parameters(ClientPolicy(level=level, match=match), NEW)
    held = {name: value for name, value in wanted.items() if name.endswith("_cert_match") and value is not None}
    assert held == {governing: " ".join(match)}


def test_an_empty_match_leaves_it_to_postfixs_default():
    wanted = client_parameters(ClientPolicy(level=ClientLevel.SECURE, match=()), NEW)
    assert [value for name, value in wanted.items() if name.endswith("_cert_match")] == [None, None, None]


@pytest.mark.parametrize(
    ("main_cf", "level"),
    [
        ({"smtp_tls_security_level": "dane-only"}, ClientLevel.DANE_ONLY),
        ({"smtp_tls_security_level": "secure", "smtp_use_tls": "yes"}, ClientLevel.SECURE),
        ({"smtp_use_tls": "yes"}, ClientLevel.MAY),
        ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "yes"}, ClientLevel.VERIFY),
        ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}, ClientLevel.ENCRYPT),
        ({}, ClientLevel.NONE),
    ],
)
def test_what_the_client_does_now_is_read_as_postfix_acts(defaults, main_cf, level):
    assert read_client({**defaults, **main_cf}).level is level


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    ("level", "match"),
    [
        (ClientLevel.MAY, ()),
        (ClientLevel.ENCRYPT, ()),
        (ClientLevel.FINGERPRINT, (":".join(["AB"] * 32),)),
        (ClientLevel.SECURE, ("mx.partner.example", ".partner.example")),
    ],
)
def test_what_the_client_is_told_is_read_back_the_same_in_either_version(defaults, version, level, match):
    policy = ClientPolicy(level, Protocol.TLS_1_2, CipherGrade.HIGH, ("aNULL",), "/ca.pem", match, True)
    wanted = {name: value for name, value in client_parameters(policy, version).items() if value is not None}
    assert read_client({**defaults, **wanted}) == policy


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("floor", Protocol)
@pytest.mark.parametrize("level", ServerLevel)
def test_what_the_server_is_told_is_read_back_the_same_in_either_version(defaults, version, floor, level):
    policy = ServerPolicy(level, ClientCertificates.REQUEST, floor, CipherGrade.MEDIUM, (), "/ca.pem")
    wanted = {name: value for name, value in server_parameters(policy, version).items() if value is not None}
    assert read_server({**defaults, **wanted}) == policy
