# SPDX-License-Identifier: GPL-3.0-or-later
"""How it is told."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.output import Metrics, complain
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import parse


def test_a_file_is_as_prometheus_wants_it():
    metrics = Metrics()
    metrics.add("certificate_days_left", 1.23456, subject='a "b" \\ c\nd', use="server")
    metrics.add("certificate_days_left", -3, subject="mx1", use="server")
    metrics.add("expired_messages_total", 12345678901234)
    metrics.add("healthy", True)
    parsed = parse(metrics.render())
    assert parsed["smtp_hardening_healthy"] == {("smtp_hardening_healthy", ()): 1}
    subject = r"a \"b\" \\ c\nd"
    labels = (("subject", subject), ("use", "server"))
    assert parsed["smtp_hardening_certificate_days_left"]["smtp_hardening_certificate_days_left", labels] == 1.235
    assert list(parsed["smtp_hardening_expired_messages_total"].values()) == [12345678901234]


def test_letters_that_nobody_sees_are_told_as_escapes():
    metrics = Metrics()
    metrics.add("listener_up", 1, service="a\u3164b\u200bc\n\x1b[31m")
    assert r'service="a\\u3164b\\u200bc\n\\x1b[31m"' in metrics.render()


def test_a_complaint_is_one_line_whatever_it_quotes(capsys):
    complain("a\nb\x1b[31m\u202e\u3164é")
    assert capsys.readouterr().err == "a\\nb\\x1b[31m\\u202e\\u3164é\n"
