# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.shown import name_text, shown
from cryptography import x509


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("mx1.example.com", "mx1.example.com"),
        ("Größe 郵便 ✉", "Größe 郵便 ✉"),
        ("", ""),
        ("a\r\nfailed=0", r"a\r\nfailed=0"),
        ("\x1b[2J\x07\x9b1m\x7f\0", r"\x1b[2J\x07\x9b1m\x7f\x00"),
        ("evil\u202emoc.elpmaxe\u2066", r"evil\u202emoc.elpmaxe\u2066"),
        ("a\u200b\u200d\ufeff\u00adb", r"a\u200b\u200d\ufeff\xadb"),
        ("a\u00a0b\u2028c\u2029d\u3000e", r"a\xa0b\u2028c\u2029d\u3000e"),
        ("a\u3164b\u034fc\ufe0fd\u2800e\U000e0101f", r"a\u3164b\u034fc\ufe0fd\u2800e\U000e0101f"),
        ("\ud83d\ue000\U000e0041", r"\ud83d\ue000\U000e0041"),
    ],
)
def test_what_moves_the_cursor_or_cannot_be_seen_is_escaped(text, seen):
    assert shown(text) == seen
    assert shown(seen) == seen, "escaped once, however often it is shown"


def test_a_name_is_written_as_rfc_4514_has_it_and_escaped():
    attributes = [(x509.NameOID.COMMON_NAME, "a, b\n\x1b[31m"), (x509.NameOID.ORGANIZATION_NAME, "\u202eOrg")]
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    assert name_text(name) == r"O=\u202eOrg,CN=a\, b\n\x1b[31m"
