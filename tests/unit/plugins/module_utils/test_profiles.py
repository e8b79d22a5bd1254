# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import fields

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    ClientLevel,
    Protocol,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import (
    check_client,
    check_server,
    overlay,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES, find_profile


@pytest.mark.parametrize("name", PROFILES)
def test_each_value_of_a_profile_has_its_reason(name):
    assert all(setting.why for setting in PROFILES[name].settings)


def test_lenient_offers_starttls_and_demands_nothing():
    profile = find_profile("lenient_default")
    assert profile.server.level is ServerLevel.MAY
    assert profile.client.level is ClientLevel.MAY
    check_server(profile.server)
    check_client(profile.client)


def test_strict_demands_tls_1_3_both_ways_and_a_ca():
    profile = find_profile("trusted_agents_strict")
    assert profile.server.minimum_protocol is profile.client.minimum_protocol is Protocol.TLS_1_3
    check_server(overlay(profile.server, type(profile.server)(ca_file="/ca.pem")))
    check_client(overlay(profile.client, type(profile.client)(ca_file="/ca.pem")))


def test_no_profile_means_no_base():
    assert find_profile(None) is None


def test_an_unknown_profile_is_refused_with_the_choices():
    with pytest.raises(InvalidValue) as refusal:
        find_profile("strict")
    assert str(refusal.value) == ("profile: 'strict' is not known; use one of lenient_default, trusted_agents_strict.")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_decides_everything_but_the_ca_file_and_what_follows_from_the_level(name):
    for policy, left in ((PROFILES[name].server, ["ca_file"]), (PROFILES[name].client, ["ca_file", "tls_required_no"])):
        assert sorted(f.name for f in fields(policy) if getattr(policy, f.name) is None) == left


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("lenient_default", "server.level", "may"),
        ("lenient_default", "server.client_certificates", "ignore"),
        ("lenient_default", "server.minimum_protocol", "TLSv1.2"),
        ("lenient_default", "client.level", "may"),
        ("lenient_default", "client.connection_reuse", False),
        ("trusted_agents_strict", "server.level", "encrypt"),
        ("trusted_agents_strict", "server.client_certificates", "require"),
        ("trusted_agents_strict", "server.exclude_ciphers", ["aNULL"]),
        ("trusted_agents_strict", "client.level", "secure"),
        ("trusted_agents_strict", "client.ciphers", "high"),
    ],
)
def test_a_profile_holds_the_value_that_its_standard_asks_for(name, option, value):
    (setting,) = [setting for setting in PROFILES[name].settings if setting.option == option]
    assert setting.value == value


@pytest.mark.parametrize(("name", "demands"), [("lenient_default", False), ("trusted_agents_strict", True)])
def test_only_trusted_agents_need_certificates_of_a_ca(name, demands):
    assert PROFILES[name].demands_ca_signed is demands
