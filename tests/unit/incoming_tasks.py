# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of incoming demands share: records, and the part of main.cf that asks senders for something."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PINS, explicit

NEEDS_TLS = {"name": "tls.example", "incoming": {}}
NEEDS_CERTIFICATE = {"name": "agency.example", "incoming": {"client_certificates": "require"}}
NEEDS_PIN = {"name": "partner.example", "incoming": {"pins": PINS[:1]}}
KNOWN = {"name": "known.example", "incoming": {"level": "may"}}
ROUTED = {"name": "routed.example", "route": "[mx.routed.example]"}
UNEXPECTED = "check_sender_access static:{554 5.7.1 Mail from this domain is not expected here}"
CLASSES, RESTRICTIONS = "smtpd_restriction_classes", "smtpd_sender_restrictions"


def ours(node):
    """The part of main.cf that asks senders for something."""
    names = (RESTRICTIONS, CLASSES)
    return {n: v for n, v in explicit(node).items() if n in names or n.startswith("smtp_hardening_")}


def access(node, number=1):
    return f"check_sender_access hash:{node.store('domains', str(number), 'senders')}"
