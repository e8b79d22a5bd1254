# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.entries import read_entries
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.networks import check_networks
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.secrets import read_secrets
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.settings import read_settings
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.settings import (
    SettingsWish,
    plan_settings,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_settings
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change

MAPS = "smtp_sasl_password_maps"


def plan(node, services=(), secrets=None):
    wish = SettingsWish(read_settings({}, {}, []), read_entries(services), read_secrets(secrets))
    return plan_settings(node.state, wish)


def test_another_program_keeps_an_override_that_the_task_states_as_it_was(node):
    node.override("smtp/inet/smtpd_tls_security_level=encrypt")
    item = {"name": "smtp", "command": "postscreen", "parameters": {"smtpd_tls_security_level": "encrypt"}}
    change(node, plan(node, [item]))
    assert node.state.service("smtp", "inet").overrides == {"smtpd_tls_security_level": "encrypt"}
    assert not plan(node, [item]).changed


@pytest.mark.parametrize("item", ["!!0.0.0.0/0", "!!!![::]/0", "!!198.51.100.0/24"])
def test_a_network_that_is_excluded_twice_is_let_in(item):
    with pytest.raises(InvalidValue, match="lets everybody relay|is a public range"):
        check_networks("parameters.mynetworks", item, [])
    check_networks("parameters.mynetworks", f"!{item}", [])


@pytest.mark.parametrize("item", ["static:all", "cidr:{{0.0.0.0/0 OK}}", "regexp:{{/./ OK}}", "$my_networks"])
def test_a_list_that_hides_whom_it_lets_relay_is_refused(item):
    with pytest.raises(InvalidValue):
        check_networks("parameters.mynetworks", f"127.0.0.0/8, {item}", [])


@pytest.mark.parametrize("networks", ["0.0.0.0/0", ["127.0.0.0/8", "[::]/0"], "198.51.100.0/24"])
def test_an_entry_does_not_let_strangers_relay_either(networks):
    with pytest.raises(InvalidValue):
        read_entries([{"name": "smtp", "parameters": {"mynetworks": networks}}])


def test_every_example_is_taken(node):
    for example in yaml.safe_load(smtp_settings.EXAMPLES):
        given = example["mailfleet.smtp_hardening.smtp_settings"]
        read_settings(given.get("parameters", {}), given.get("where_known", {}), given.get("public_networks", []))
        read_entries(given.get("services"))
        read_secrets(given.get("secrets"))


def test_a_table_is_built_anew_where_postfix_has_another_type_of_tables_now(node):
    change(node, plan(node, secrets={MAPS: {"a": "ann:hidden"}}))
    node.defaults["default_database_type"] = "lmdb"
    found = plan(node, secrets={MAPS: {"a": "ann:hidden"}})
    assert [new.table for new in found.files] == [True]
    change(node, found)
    assert node.state.explicit[MAPS] == f"lmdb:{node.store('secrets', '2', MAPS)}"
    assert not plan(node, secrets={MAPS: {"a": "ann:hidden"}}).changed


@pytest.mark.parametrize("value", ["hid\x85den", "hid\u2028den", ["hidden"], {"hidden": "x"}, True, 1.10])
def test_a_secret_is_text_on_one_line(value):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {"a": value}})
    assert "hid" not in str(refusal.value)


@pytest.mark.parametrize("key", ["mx.example ann:hidden", "a\0b", "a\x7fb"])
def test_a_key_that_holds_a_secret_by_mistake_is_not_repeated(key):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {key: None}})
    assert "hidden" not in str(refusal.value)
