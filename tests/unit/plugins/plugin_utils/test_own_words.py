# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._own_words import in_own_words, variables_of

LONG_NAME = "mailfleet.smtp_hardening.smtp_tls_mode"
ROLE = {"lenient_default_allow_weaker": "{{ smtp_allow_weaker | default(false) }}"}


def written(options, name=LONG_NAME):
    return SimpleNamespace(action=LONG_NAME, _ds={"name": "Set it", name: options, "register": "x"})


@pytest.mark.parametrize(
    ("value", "task_vars", "variable"),
    [
        ("{{ smtp_allow_weaker | default(false) }}", {}, "smtp_allow_weaker"),
        ("{{ smtp_allow_weaker }}", {"smtp_allow_weaker": ["client.level"]}, "smtp_allow_weaker"),
        ("{{ lenient_default_allow_weaker }}", ROLE, "smtp_allow_weaker"),
        ("{{ lenient_default_allow_weaker }}", {"lenient_default_allow_weaker": True}, "lenient_default_allow_weaker"),
        ("{{ lenient_default_unproven or omit }}", {}, "lenient_default_unproven"),
        ("{{ smtp_allow_weaker | default(omit) }}", {}, "smtp_allow_weaker"),
        ("{{ lenient_default_allow_weaker | default(smtp_allow_weaker) }}", {}, "smtp_allow_weaker"),
        ("{{ lenient_default_allow_weaker | default(smtp_allow_weaker) }}", ROLE, "smtp_allow_weaker"),
        ("{{ role_weaker | default(smtp_allow_weaker) }}", {"role_weaker": True}, "role_weaker"),
        ("{{- weaker_ok -}}", {}, "weaker_ok"),
        ("{{ a }}", {"a": "{{ b }}", "b": "{{ a }}"}, "a"),
        ("{{ a }}", {"a": "{{ a }}"}, "a"),
        ("{{ item.weaker }}", {}, None),
        ("{{ list[0] }}", {}, None),
        ("{{ lookup('env', 'WEAKER') }}", {}, None),
        ("{{ [] if x else ['server'] }}", {}, None),
        ("true", {}, None),
        (True, {}, None),
    ],
)
def test_an_option_that_is_taken_from_a_variable_is_called_by_that_which_is_to_be_set(value, task_vars, variable):
    found = variables_of(written({"allow_weaker": value}), task_vars)
    assert found == ({"allow_weaker": variable} if variable else {})


@pytest.mark.parametrize("name", [LONG_NAME, "smtp_tls_mode", "args"])
def test_options_are_found_however_the_task_is_written(name):
    assert variables_of(written({"allow_weaker": "{{ weaker }}"}, name), {}) == {"allow_weaker": "weaker"}


@pytest.mark.parametrize("task", [object(), SimpleNamespace(), SimpleNamespace(_ds=None, action=None), written("a=b")])
def test_a_task_of_which_nobody_knows_how_it_is_written_has_no_variables(task):
    assert variables_of(task, {}) == {}


VARIABLES = {"allow_weaker": "smtp_allow_weaker", "client": "smtp_client", "domains": "smtp_domains", "use": "smtp_use"}


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "This would lower protection: client.level from secure to may; set allow_weaker: true if that is meant, or "
            "allow_weaker: [client.level, domain b.level] for that alone.",
            "This would lower protection: client.level from secure to may; set smtp_allow_weaker: true if that is meant, or "
            "smtp_allow_weaker: [client.level, domain b.level] for that alone.",
        ),
        ("client.level: 'x' is not known; use one of may.", "smtp_client.level: 'x' is not known; use one of may."),
        ("domains[bank.example]: no level.", "smtp_domains[bank.example]: no level."),
        ("allow_weaker: '' names no item.", "smtp_allow_weaker: '' names no item."),
        ("The client is gone; use what it has.", "The client is gone; use what it has."),
        ("client certificates are wrong.", "client certificates are wrong."),
        ("their.allow_weaker: true", "their.allow_weaker: true"),
    ],
)
def test_sentences_call_options_by_their_variables_and_leave_other_words_alone(sentence, said):
    assert in_own_words(sentence, VARIABLES) == said
    assert in_own_words(sentence, {}) == sentence


def test_what_is_to_be_listed_is_to_be_listed_in_the_variable():
    said = in_own_words("own_ca.names: mx1 is x; list in own_ca.names what it is called.", {"own_ca": "smtp_fleet_ca"})
    assert said == "smtp_fleet_ca.names: mx1 is x; list in smtp_fleet_ca.names what it is called."
