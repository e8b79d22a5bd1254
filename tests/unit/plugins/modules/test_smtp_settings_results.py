# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run changes, returns and refuses; no password is in any of it."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import SETTINGS, run


@pytest.mark.parametrize(
    ("parameters", "needed"),
    [
        ({"myhostname": "mx2.example.com"}, False),
        ({"inet_interfaces": "loopback-only"}, True),
        ({"compatibility_level": "3.9"}, False),
        ({"inet_protocols": None}, False),
    ],
)
def test_a_setting_that_postfix_reads_at_its_start_needs_a_restart(node, parameters, needed):
    assert run("smtp_settings", node, {**SETTINGS, "parameters": parameters})["restart_needed"] is needed


PASSWORDS = {"smtp_sasl_password_maps": {"[mx.provider.example]:587": "ann:pass word"}}
SUBMISSIONS = {
    "name": "submissions",
    "state": "present",
    "command": "smtpd",
    "chroot": None,
    "process_limit": None,
    "parameters": {"smtpd_tls_wrappermode": True},
}
EVERYTHING = {
    **SETTINGS,
    "parameters": {"relayhost": "[mx.provider.example]:587", "mynetworks": ["127.0.0.0/8", "198.51.100.0/24"]},
    "where_known": {"inet_protocols": "ipv4", "smtpd_forbid_bare_newline": True},
    "public_networks": ["198.51.100.0/24"],
    "services": [SUBMISSIONS],
    "secrets": PASSWORDS,
}


def test_settings_of_every_kind_come_in_one_change_that_check_mode_foretells(node):
    before = picture(node.config_dir)
    foreseen = run("smtp_settings", node, EVERYTHING, check_mode=True)
    assert picture(node.config_dir) == before
    done = run("smtp_settings", node, EVERYTHING)
    assert {**foreseen, "proof": done["proof"]} == done
    assert done["restart_needed"] is True
    assert read_state(node.postfix).explicit == {
        "compatibility_level": "3.9",
        "relayhost": "[mx.provider.example]:587",
        "mynetworks": "127.0.0.0/8, 198.51.100.0/24",
        "inet_protocols": "ipv4",
        "smtp_sasl_password_maps": f"hash:{node.store('secrets', '1', 'smtp_sasl_password_maps')}",
    }
    assert "submissions inet n - y - - smtpd -o smtpd_tls_wrappermode=yes\n" in node.services
    after = picture(node.config_dir)
    assert run("smtp_settings", node, EVERYTHING)["changed"] is False
    assert picture(node.config_dir) == after
    assert len(history.past(node.config_dir)) == 2


@pytest.mark.parametrize("check_mode", [True, False])
def test_no_password_is_returned_or_remembered(node, check_mode):
    for value in ("zoe:pass word", "zoe:other pass", "zoe:pass word"):
        secrets = {"smtp_sasl_password_maps": {"[mx.provider.example]:587": value}}
        result = run("smtp_settings", node, {**SETTINGS, "secrets": secrets}, check_mode)
        assert "zoe" not in str({**result, "diff": []}).replace(node.config_dir, "")
        assert "zoe:" not in str(result["diff"]) and " pass" not in str(result["diff"])
    facts = run("smtp_tls_info", node, {})
    assert "zoe:" not in str(facts)
    kept = {
        path: content for path, (*_each, content, _time) in picture(node.store()).items() if b"zoe:" in (content or b"")
    }
    assert all(path.startswith(node.store("secrets")) for path in kept)
    assert bool(kept) is not check_mode


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"parameters": {"mynetworks": "0.0.0.0/0"}}, "parameters.mynetworks: '0.0.0.0/0' lets everybody relay"),
        ({"where_known": {"mynetworks": "[::]/0"}}, "'\\[::\\]/0' lets everybody relay"),
        ({"parameters": {"mynetworks": "203.0.113.0/24"}, "public_networks": ["192.0.2.0/24"]}, "is a public range"),
        ({"services": [{"name": "no such"}]}, "services\\[0\\].name: 'no such' is no service"),
        ({"secrets": {"relayhost": {"a": "b"}}}, "secrets: 'relayhost' is no table of secrets"),
        ({"secrets": {"smtp_sasl_password_maps": {"a": ""}}}, "secrets.smtp_sasl_password_maps.a: '\\(not shown\\)'"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_setting_that_cannot_be_meant_is_refused_before_the_node_is_read(node, given, sentence, check_mode):
    with pytest.raises(InvalidValue, match=sentence):
        run("smtp_settings", node, {**SETTINGS, **given}, check_mode)
    assert node.commands == []


def test_a_service_is_made_weaker_only_where_that_is_allowed(node):
    node.override("smtp/inet/smtpd_tls_security_level=encrypt")
    weaker = {**SETTINGS, "services": [{"name": "smtp", "parameters": {"smtpd_tls_security_level": None}}]}
    with pytest.raises(HardeningError, match="lower protection: smtp/inet.level from encrypt to none;"):
        run("smtp_settings", node, weaker)
    result = run("smtp_settings", node, {**weaker, "allow_weaker": ["smtp/inet.level"]}, True)
    assert result["lowered"] == [{"name": "smtp/inet.level", "before": "encrypt", "after": "none"}]
    assert run("smtp_settings", node, {**weaker, "allow_weaker": True})["changed"] is True


def test_networks_that_the_task_states_need_no_further_word(node):
    stated = {**SETTINGS, "parameters": {"mynetworks": "198.51.100.0/24"}, "public_networks": ["198.51.100.0/24"]}
    result = run("smtp_settings", node, stated)
    assert [item["name"] for item in result["lowered"]] == ["server.relay_networks"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    "parameters",
    [
        {"relayhost": "[other.example]"},
        {"relayhost": ""},
        {"smtp_fallback_relay": "[other.example]"},
        {"default_transport": "smtp:[other.example]"},
    ],
)
def test_a_setting_that_takes_mail_to_where_it_is_protected_less_is_refused(node, parameters, check_mode):
    node.append("smtp_tls_security_level = may\nrelayhost = [hub.example]\n")
    node.append("smtp_tls_policy_maps = inline:{[hub.example]=secure}\n")
    with pytest.raises(HardeningError, match="lower protection: other mail.level from secure to may"):
        run("smtp_settings", node, {**SETTINGS, "parameters": parameters}, check_mode)
