# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_records import Record


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("v=STSv1; id=1;", '"v=STSv1; id=1;"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("x" * 255, f'"{"x" * 255}"'),
        ("x" * 256, f'"{"x" * 255}" "x"'),
    ],
    ids=["plain", "a quote and a backslash", "as long as may be", "too long for one"],
)
def test_a_text_is_quoted_as_zone_files_have_it(value, quoted):
    assert Record("a.example.", "TXT", 60, value).line() == f"a.example. 60 IN TXT {quoted}"
