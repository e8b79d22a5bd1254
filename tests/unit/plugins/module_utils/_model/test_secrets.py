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
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {key: "ann:hidden"}})
    assert str(refusal.value) == (
        f"secrets.{MAPS}: '(not shown)' is a key that cannot be looked up; "
        "write the key without blanks, as in postmap(1)."
    )


@pytest.mark.parametrize("given", [{"relayhost": {"a": "b"}}, {MAPS: "ann:hidden"}, {MAPS: ["ann:hidden"]}])
def test_only_entries_of_known_tables_are_secrets(given):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets(given)
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "value", ["ann:a  b#c=d\\", "ann:\u00fcber\u20ac", "{{x}}", "ann:" + "x" * 4000, "$ann:$x", "#ann"]
)
def test_a_secret_may_be_anything_that_stands_on_one_line(value):
    assert read_secrets({MAPS: {"a": value}}) == {MAPS: {"a": value}}


@pytest.mark.parametrize("value", [True, False, 1.5, ["ann:hidden"], ("ann:hidden",), {"ann": "hidden"}])
def test_a_secret_that_yaml_takes_for_something_else_is_refused_and_not_repeated(value):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {"mx.example": value}})
    assert str(refusal.value) == f"secrets.{MAPS}.mx.example: '(not shown)' is no text; put the secret in quotes."


def test_numbers_are_taken_as_their_text():
    assert read_secrets({MAPS: {587: 4711}}) == {MAPS: {"587": "4711"}}


@pytest.mark.parametrize("entries", ["hidden", ["ann:hidden"], 4711, {"hidden"}])
def test_what_is_no_list_of_entries_is_refused_and_not_repeated(entries):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: entries})
    assert str(refusal.value) == f"secrets.{MAPS}: '(not shown)' is no list of entries; give keys with their values."


def test_a_parameter_that_names_no_table_of_secrets_is_refused_with_those_that_do():
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({"smtpd_sasl_path": {"a": "ann:hidden"}})
    assert str(refusal.value) == f"secrets: 'smtpd_sasl_path' is no table of secrets; use {MAPS}."


@pytest.mark.parametrize("code", [*range(0x20), 0x7F])
@pytest.mark.parametrize("place", ["ann:hid{}den", "{}ann:hidden", "ann:hidden{}"])
def test_no_control_character_gets_into_a_table(code, place):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {"ok.example": "ann:fine", "mx.example": place.format(chr(code))}})
    assert str(refusal.value) == (
        f"secrets.{MAPS}.mx.example: '(not shown)' is empty, begins or ends with a blank, or holds a control character, "
        "which no table can hold (postmap(1)); choose another secret."
    )


@pytest.mark.parametrize("key", ["a\n", "a\tb", "a\u00a0b", "\n", "#"])
def test_a_key_is_one_word_that_is_no_comment(key):
    with pytest.raises(InvalidValue) as refusal:
        read_secrets({MAPS: {key: "ann:hidden"}})
    assert str(refusal.value).startswith(f"secrets.{MAPS}: ")
    assert "hidden" not in str(refusal.value)
    assert read_secrets({MAPS: {"a#b": "x"}}) == {MAPS: {"a#b": "x"}}
