# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._shown import all_shown, in_each_text, shown


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("250 ok", "250 ok"),
        ("first\n\tsecond\n", "first\n\tsecond\n"),
        ("Zürich, 東京, \N{SNOWMAN}", "Zürich, 東京, \N{SNOWMAN}"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("status=sent\r450 no", r"status=sent\r450 no"),
        ("a\x00b\x08c\x0bd\x0ce\x7ff", r"a\x00b\x08c\x0bd\fe\x7ff"),
        ("C1 \x80 \x9b31m \x9f", r"C1 \x80 \x9b31m \x9f"),
        ("half \ud83d and \udcff", r"half \ud83d and \udcff"),
        ("turned \u202eexe.gpj\u2066", r"turned \u202eexe.gpj\u2066"),
        ("broken\u2028here", r"broken\u2028here"),
        ("no break\u00a0space", "no break\u00a0space"),
        ("", ""),
    ],
)
def test_nothing_that_a_stranger_says_moves_hides_or_turns_what_a_terminal_shows(said, seen):
    assert shown(said) == seen
    assert shown(seen) == seen


def test_every_text_of_a_result_is_shown_and_nothing_else_changes():
    result = {"proof": [{"banner": "220 \x1b[1m", "port": 25, "tls": True}], "none": None, "pair": ("\r", 1.5)}
    assert all_shown(result) == {
        "proof": [{"banner": r"220 \x1b[1m", "port": 25, "tls": True}],
        "none": None,
        "pair": [r"\r", 1.5],
    }
    assert all_shown({"sni": {"a\x07": "b"}}) == {"sni": {r"a\x07": "b"}}


def test_names_of_values_are_changed_in_their_own_way():
    assert in_each_text({"a": ["a", {"a": "a"}]}, str.upper, str) == {"a": ["A", {"a": "A"}]}
