# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._table import table


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "node  mail\n----  ----"),
        ([["mx1", "sent"]], "node  mail\n----  ----\nmx1   sent"),
        (
            [["mx1.example.com", "sent"], ["mx2", ""]],
            "node             mail\n---------------  ----\nmx1.example.com  sent\nmx2",
        ),
        ([["\x1b[2J\r\n", "\u202e"]], "node         mail\n-----------  ------\n\\x1b[2J\\r\\n  \\u202e"),
    ],
)
def test_a_column_is_as_wide_as_its_widest_cell(rows, text):
    assert table(["node", "mail"], rows) == text
