# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    ClientCertificates,
    ClientLevel,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import (
    ClientPolicy,
    ServerPolicy,
    check_client,
    check_match,
    check_server,
    overlay,
    read_client_policy,
    read_server_policy,
)


@pytest.mark.parametrize(
    ("options", "option", "remedy"),
    [
        ({"level": "encrypted"}, "server.level: 'encrypted'", "none, may, encrypt"),
        ({"client_certificates": "yes"}, "server.client_certificates: 'yes'", "ignore, request, require"),
        ({"minimum_protocol": "TLS1.2"}, "server.minimum_protocol: 'TLS1.2'", "TLSv1.2"),
        ({"ciphers": "low"}, "server.ciphers: 'low'", "medium, high"),
        ({"exclude_ciphers": ["a b"]}, "server.exclude_ciphers: 'a b'", "OpenSSL's names"),
        ({"exclude_ciphers": ["MD5\n"]}, "server.exclude_ciphers: 'MD5\\n'", "OpenSSL's names"),
        ({"ca_file": "ca.pem"}, "server.ca_file: 'ca.pem'", "whole path"),
        ({"ca_file": "/etc/$dir/ca.pem"}, "server.ca_file", "rename the file"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_option_value_and_remedy(options, option, remedy):
    with pytest.raises(InvalidValue) as refusal:
        read_server_policy(options)
    assert str(refusal.value).startswith(option)
    assert remedy in str(refusal.value)


def test_what_is_not_asked_for_is_left_alone():
    assert read_server_policy({"level": "may", "ca_file": None}) == ServerPolicy(level=ServerLevel.MAY)


def test_a_task_value_wins_over_the_profile():
    base = ClientPolicy(level=ClientLevel.SECURE, connection_reuse=True)
    assert overlay(base, ClientPolicy(connection_reuse=False)) == ClientPolicy(
        ClientLevel.SECURE, connection_reuse=False
    )


@pytest.mark.parametrize("level", ["none", "may"])
def test_client_certificates_cannot_be_required_while_starttls_is_optional(level):
    policy = read_server_policy({"level": level, "client_certificates": "require", "ca_file": "/ca.pem"})
    with pytest.raises(InvalidValue) as refusal:
        check_server(policy)
    assert str(refusal.value) == (
        f"server.client_certificates: 'require' has no effect while server.level is {level!r}; "
        "set server.level: encrypt, or use client_certificates: request (postconf(5), smtpd_tls_req_ccert)."
    )


@pytest.mark.parametrize("ca_file", [None, ""])
def test_required_client_certificates_need_a_ca(ca_file):
    policy = ServerPolicy(ServerLevel.ENCRYPT, ClientCertificates.REQUIRE, ca_file=ca_file)
    with pytest.raises(InvalidValue) as refusal:
        check_server(policy)
    assert str(refusal.value) == (
        f"server.ca_file: {ca_file!r} names no CA that could have issued the required client certificates; "
        "set it to the PEM file of the fleet's CA."
    )


@pytest.mark.parametrize("ca_file", [None, ""])
@pytest.mark.parametrize("level", ["verify", "secure"])
def test_a_level_that_verifies_needs_a_ca(level, ca_file):
    with pytest.raises(InvalidValue) as refusal:
        check_client(ClientPolicy(ClientLevel(level), ca_file=ca_file))
    assert str(refusal.value) == (
        f"client.ca_file: {ca_file!r} names no CA while client.level is {level!r}, so every message would be deferred; "
        "set it to the PEM file of the CA that issued the peers' certificates."
    )


@pytest.mark.parametrize("match", [None, ()])
def test_level_fingerprint_needs_fingerprints(match):
    with pytest.raises(InvalidValue) as refusal:
        check_client(ClientPolicy(ClientLevel.FINGERPRINT, match=match))
    assert str(refusal.value) == (
        "client.match: [] lists no fingerprint while client.level is 'fingerprint', so every message would be deferred; "
        "list the SHA-256 fingerprints of the peers' certificates or public keys."
    )


@pytest.mark.parametrize(
    "policy",
    [
        ServerPolicy(ServerLevel.ENCRYPT, ClientCertificates.REQUIRE, ca_file="/ca.pem"),
        ServerPolicy(ServerLevel.ENCRYPT, ClientCertificates.REQUEST),
        ServerPolicy(ServerLevel.MAY, ClientCertificates.IGNORE),
        ClientPolicy(ClientLevel.SECURE, ca_file="/ca.pem"),
        ClientPolicy(ClientLevel.ENCRYPT),
        ClientPolicy(ClientLevel.DANE_ONLY),
        ClientPolicy(ClientLevel.FINGERPRINT, match=("AB:CD",)),
        ClientPolicy(),
    ],
)
def test_what_postfix_can_do_is_not_refused(policy):
    (check_server if isinstance(policy, ServerPolicy) else check_client)(policy)


@pytest.mark.parametrize("word", ["hostname", "nexthop", "dot-nexthop", "mx.example.com", ".example.com"])
def test_postfixs_words_and_names_are_what_a_certificate_is_matched_with(word):
    assert read_client_policy({"level": "secure", "match": [word]}).match == (word,)


@pytest.mark.parametrize("level", ["none", "may", "encrypt", "dane"])
def test_names_to_match_are_refused_where_postfix_would_not_look_at_them(level):
    with pytest.raises(InvalidValue) as refusal:
        check_match(ClientLevel(level), ("mx.example",))
    assert str(refusal.value) == (
        f"client.match: ['mx.example'] is not looked at when client.level is {level!r}; "
        "set client.level: secure, verify or fingerprint, or leave match out."
    )


def test_fingerprints_are_taken_before_the_level_is_known():
    pin = ":".join(["AB"] * 32)
    assert read_client_policy({"match": [pin]}).match == (pin,)
