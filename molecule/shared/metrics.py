# SPDX-License-Identifier: GPL-3.0-or-later
"""What smtp-metrics tells on a node."""

import re

from on_node import sh

FILE = "/var/lib/prometheus/node-exporter/smtp_hardening.prom"
SENT = 'sent_recipients_total{service="smtp",tls="yes",status="sent"}'
REFUSED = r'refused_in_total{service="smtpd",stage="RCPT",code="[45]xx",cause="other"}'


def measured(node):
    """What the service tells when it is started now: value by name and labels."""
    told = sh(node, f"systemctl start smtp-metrics; cat {FILE}")
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    return {name.replace("smtp_hardening_", "", 1): float(value) for name, value in (x.rsplit(" ", 1) for x in lines)}


def total(samples, pattern):
    return sum(value for name, value in samples.items() if re.fullmatch(pattern.replace("{", r"\{"), name))
