# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.secrets import read_secrets

MAPS = "smtp_sasl_password_maps"


def test_entries_are_taken_as_they_are():
    given = {MAPS: {"[mx.example.com]:587": "ann:pass word:#1"}}
    assert read_secrets(given) == given
    assert read_secrets({MAPS: None}) == read_secrets({MAPS: {}}) == {MAPS: {}}
    assert read_secrets(None) == {}


@pytest.mark.parametrize("value", ["", " ann:hidden", "ann:hidden ", "ann:hid\nden", "ann:hid\tden", None])
def test_a_secret_that_no_table_can_hold_is_refused_and_not_repeated(value):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {"mx.example.com": value}})
    assert "no table can hold" in str(refusal.value) and "ann" not in str(refusal.value)


@pytest.mark.parametrize("key", ["", "a b", "#a", " a"])
def test_a_key_that_cannot_be_looked_up_is_refused(key):
    with pytest.raises(InvalidValue, match="cannot be looked up"):
        read_secrets({MAPS: {key: "ann:hidden"}})


@pytest.mark.parametrize("given", [{"relayhost": {"a": "b"}}, {MAPS: "ann:hidden"}, {MAPS: ["ann:hidden"]}])
def test_only_entries_of_known_tables_are_secrets(given):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets(given)
    assert "hidden" not in str(refusal.value)
