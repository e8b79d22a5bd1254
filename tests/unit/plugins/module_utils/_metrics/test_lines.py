# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a line of Postfix's log."""

from __future__ import annotations

import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ehlo=2 starttls=1 mail=1 rcpt=0/2 quit=1 commands=5/7", {"mail": (1, 1), "rcpt": (0, 2), "commands": (5, 7)}),
        ("", {}),
        ("rcpt=/1 mail=x", {}),
    ],
)
def test_commands_are_told_as_accepted_and_all(text, found):
    assert found.items() <= lines.read_commands(text).items()
    assert bool(found) == bool(lines.read_commands(text))


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Cannot start TLS: handshake failure)", "handshake"),
        (f"{lines.SUSPENDED}Server certificate not trusted)", "certificate"),
        (f"{lines.SUSPENDED}{lines.SUSPENDED}Server certificate not trusted)", None),
        ("connect to mx.test[192.0.2.1]:25: Connection refused)", None),
    ],
)
def test_tls_holds_back_what_postfix_says_it_does(reason, cause):
    assert lines.why_held_back(reason) == cause


@pytest.mark.parametrize(
    ("text", "ends"),
    [('<"a\\"> b"@x.test>, ', True), ("<a@x.test>, ", True), ("<a@x.test, ", False), ('<"a>, ', False)],
)
def test_an_address_ends_where_postfix_ends_it(text, ends):
    assert bool(re.match(rf"{lines.ADDRESS}, \Z", text)) is ends
