# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel, ServerLevel
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
    with pytest.raises(InvalidValue, match="has no effect while server.level"):
        check_server(policy)


def test_required_client_certificates_need_a_ca():
    with pytest.raises(InvalidValue, match="server.ca_file"):
        check_server(read_server_policy({"level": "encrypt", "client_certificates": "require"}))


@pytest.mark.parametrize("level", ["verify", "secure"])
def test_a_level_that_verifies_needs_a_ca(level):
    with pytest.raises(InvalidValue, match="client.ca_file"):
        check_client(read_client_policy({"level": level}))


def test_level_fingerprint_needs_fingerprints():
    with pytest.raises(InvalidValue, match="client.match"):
        check_client(read_client_policy({"level": "fingerprint"}))


def test_a_fingerprint_is_taken_in_either_case():
    pin = ":".join(["ab"] * 32)
    assert read_client_policy({"level": "fingerprint", "match": [pin]}).match == (pin.upper(),)


@pytest.mark.parametrize("level", ["none", "may", "encrypt", "dane"])
def test_names_to_match_are_refused_where_postfix_would_not_look_at_them(level):
    with pytest.raises(InvalidValue, match="client.match: .* is not looked at"):
        check_match(ClientLevel(level), ("mx.example",))


def test_fingerprints_are_taken_before_the_level_is_known():
    pin = ":".join(["AB"] * 32)
    assert read_client_policy({"match": [pin]}).match == (pin,)
