# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.tables import parse_table, render_table

HEAD = b"# Made by mailfleet.smtp_hardening.smtp_domain_policy; changes made here are undone by its next run.\n"


@pytest.mark.parametrize(
    ("entries", "content"),
    [
        ({}, b""),
        ({"a.example": "OK"}, b"a.example\tOK\n"),
        (
            {"b.example": "smtp:[mx.example]:25", ".a.example": "encrypt ciphers=high", "<>": "OK"},
            b".a.example\tencrypt ciphers=high\n<>\tOK\nb.example\tsmtp:[mx.example]:25\n",
        ),
    ],
)
def test_a_table_is_sorted_and_says_who_made_it(entries, content):
    assert render_table("smtp_domain_policy", entries) == HEAD + content
    assert parse_table(HEAD + content) == entries


def test_the_order_of_entries_makes_no_other_table():
    entries = {f"{number}.example": "OK" for number in range(9)}
    assert render_table("m", entries) == render_table("m", dict(reversed(entries.items())))


def test_a_value_keeps_its_blanks_and_equals_signs():
    entries = {"[ipv6:2001:db8::25]:25": "secure match=a.example match=.b.example protocols=!SSLv2:!SSLv3"}
    assert parse_table(render_table("m", entries)) == entries
