# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_certificate_table import (
    FilterModule,
    certificate_table,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.filter.table_rows import rows


def shown(key="AB", **over):
    found = {
        "subject_alternative_names": ["mx1.example.com", "smtp.example.com"],
        "issuer": "CN=Fleet CA",
        "days_left": 89,
    }
    return {**found, "public_key_sha256": ":".join([key] * 32), **over}


def rotated(before, after):
    variables = {"smtp_rotate_before": {"active": before}, "smtp_rotate_after": {"active": after}}
    return rows(certificate_table(["mx1"], {"mx1": variables}))[2:]


@pytest.mark.parametrize(
    ("before", "was"), [([shown("AB")], "the same"), ([shown("CD")], ":".join(["CD"] * 8)), ([], "none")]
)
def test_an_active_certificate_is_a_row_with_what_was_there_before(before, was):
    found = rotated({"server": before, "client": []}, {"server": [shown("AB")], "client": []})
    assert found == [
        ["mx1", "server", "mx1.example.com, smtp.example.com", "CN=Fleet CA", "89", ":".join(["AB"] * 8), was]
    ]


def test_each_side_and_each_of_two_certificates_has_a_row_of_its_own():
    active = {"server": [shown("AB"), shown("CD")], "client": [shown("EF")]}
    assert [row[:2] for row in rotated(active, active)] == [["mx1", "server"], ["mx1", "server"], ["mx1", "client"]]


def test_the_table_of_certificates_is_a_filter():
    assert FilterModule().filters() == {"smtp_certificate_table": certificate_table}
