# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
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
