# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How it is told: samples as a text file for Prometheus, complaints as lines for the journal."""

from __future__ import annotations

import sys
from typing import Dict, Iterable, Tuple

from .._certificates.shown import shown

PREFIX = "smtp_hardening"
FAMILIES = {
    "healthy": ("gauge", "Whether all checks pass: 1 or 0."),
    "check_healthy": ("gauge", "Whether one check passes."),
    "listener_up": ("gauge", "Whether an own listener greets as it should within 10 seconds."),
    "policy_source_up": ("gauge", "Whether Postfix gets an answer from a map that it asks for TLS policies."),
    "certificate_not_after_timestamp_seconds": ("gauge", "When the first certificate of a chain in use expires."),
    "certificate_days_left": ("gauge", "Days until then."),
    "certificate_renewal_failing": ("gauge", "Whether what another tool has renewed could not be brought in."),
    "server_policy_info": ("gauge", "How mail is received: main.cf, and services of master.cf that differ."),
    "client_policy_info": ("gauge", "How mail is sent, where no domain policy says otherwise."),
    "policy_info": ("gauge", "The digest of the applied policy, equal on nodes with the same policy."),
    "queue_messages": ("gauge", "Messages in each of Postfix's queues."),
    "oldest_deferred_message_age_seconds": (
        "gauge",
        "How long ago the oldest deferred message arrived; 0 without one.",
    ),
    "messages_received_total": ("counter", "Messages accepted by SMTP."),
    "sent_recipients_total": ("counter", "Deliveries by SMTP and LMTP, one for each recipient and attempt."),
    "local_recipients_total": ("counter", "Deliveries by other means, one for each recipient and attempt."),
    "expired_messages_total": ("counter", "Messages returned because they could not be delivered in time."),
    "refused_in_total": ("counter", "What clients were refused."),
    "would_refuse_in_total": ("counter", "What clients would have been refused: policies in testing."),
    "refused_out_recipients_total": ("counter", "Deliveries that TLS held back, one for each recipient and attempt."),
    "tls_handshake_failures_total": ("counter", "TLS handshakes that failed."),
    "log_readable": ("gauge", "Whether the log could be read; where not, counters stand still."),
    "run_duration_seconds": ("gauge", "How long making this file took."),
    "last_run_timestamp_seconds": ("gauge", "When this file was made."),
}
"""By name without prefix, in the order of the file: type and help (https://prometheus.io/docs/instrumenting/exposition_formats)."""

LABEL = 200
"""Characters of a label's value."""


class Metrics:
    """Samples by family and labels."""

    def __init__(self, **labels: str) -> None:
        """Every sample has these labels."""
        self.labels = labels
        self.samples: Dict[str, Dict[Tuple[Tuple[str, str], ...], float]] = {name: {} for name in FAMILIES}

    def add(self, name: str, value: float, **labels: str) -> None:
        self.samples[name][tuple({**labels, **self.labels}.items())] = value

    def render(self) -> str:
        lines = []
        for name, (kind, text) in FAMILIES.items():
            if self.samples[name]:
                lines += [f"# HELP {PREFIX}_{name} {text}", f"# TYPE {PREFIX}_{name} {kind}"]
                lines += [f"{PREFIX}_{name}{_braces(labels)} {_number(v)}" for labels, v in self.samples[name].items()]
        return "\n".join(lines) + "\n"


def complain(text: str) -> None:
    """A line for the journal."""
    sys.stderr.write(f"{shown(text)}\n")


def _braces(labels: Iterable[Tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    """As the text format has it, which knows the end of a line."""
    lines = (shown(line).replace("\\", "\\\\").replace('"', '\\"') for line in value[:LABEL].split("\n"))
    return "\\n".join(lines)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 3))
