# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.drift import drift
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.ratchet import posture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import SERVICES, change


def seen(node):
    return drift(node.postfix, node.state, posture(node.postfix, node.state))


def test_a_node_that_remembers_no_proven_state_has_nothing_to_drift_from(node):
    assert seen(node) is None


def test_what_others_overwrite_is_told_with_what_protects_less(node):
    change(node, Plan(set={"smtp_tls_security_level": "encrypt"}))
    assert (seen(node)["differs"], seen(node)["weaker"]) == ([], [])
    node.append("smtp_tls_security_level = may\nmail_name = x\n")
    node.services = SERVICES + "2525 inet n - y - - smtpd\n"
    found = seen(node)
    assert found["differs"] == [
        {"name": "mail_name", "before": None, "after": "x"},
        {"name": "smtp_tls_security_level", "before": "encrypt", "after": "may"},
        {"name": "2525/inet", "before": None, "after": "2525 inet n - y - - smtpd"},
    ]
    assert [(item["name"], item["before"], item["after"]) for item in found["weaker"]] == [
        ("client.level", "encrypt", "may")
    ]
    assert found["since"]["number"] == 2
