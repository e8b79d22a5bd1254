# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is counted in the log: totals line by line, and what each process of Postfix is in the middle of."""

from __future__ import annotations

import json
from typing import Callable, Dict, List, Mapping, Match, Optional, Set, Tuple, TypedDict

from .._postfix.state import Service, State
from . import lines
from .instance import enabled, label_in, label_of, tags
from .listeners import address_of, turns_us_away
from .output import Metrics
from .policies import in_wrapper_mode, is_silent, server_policy

LABELS = {
    "messages_received_total": ("service", "tls"),
    "sent_recipients_total": ("service", "tls", "status"),
    "local_recipients_total": ("service", "status"),
    "expired_messages_total": (),
    "refused_in_total": ("service", "stage", "code", "cause"),
    "would_refuse_in_total": ("service", "stage", "code", "cause"),
    "refused_out_recipients_total": ("service", "status", "cause"),
    "tls_handshake_failures_total": ("service",),
}
"""Of what is counted in the log. Values are of a closed set or from master.cf: nothing that a peer says is one."""

CLIENTS = ("smtp", "lmtp")
SESSIONS = 10000
"""Processes of Postfix that are remembered from one run to the next."""


class Session(TypedDict, total=False):
    """What a process is in the middle of: as a server C(tls), as a client the other two."""

    tls: bool
    relay: str
    queue_id: Optional[str]


Totals = Dict[str, Dict[str, int]]
"""By the counter's name and, in JSON, the values of its labels."""


class Traffic:
    """Totals of what the log tells, line by line, and what each process is in the middle of."""

    def __init__(self, state: State, totals: Totals, sessions: Dict[str, Session]) -> None:
        self.totals, self.sessions = totals, sessions
        self.state = state
        self.tags = set(tags(state))
        self.wrapped = self.labels(lambda s: s.is_server and in_wrapper_mode(state, s))
        self.demanding = self.labels(lambda s: s.is_server and server_policy(state, s).level == "encrypt")
        self.silent = self.labels(lambda s: s.command in CLIENTS and is_silent(state, s))
        self.own_checks = {
            (label_of(state, s), address_of(state, s)) for s in enabled(state) if turns_us_away(state, s)
        }
        """Where each run of this program is turned away for lack of a certificate, and the address it comes from."""
        self.begin()

    def labels(self, holds: Callable[[Service], bool]) -> Set[str]:
        """The names of which a condition holds for every service that logs under them."""
        found: Dict[str, List[bool]] = {}
        for service in enabled(self.state):
            found.setdefault(label_of(self.state, service), []).append(holds(service))
        return {label for label, answers in found.items() if all(answers)}

    def begin(self) -> None:
        """Counters that exist before they first rise show their first rise."""
        for service in enabled(self.state):
            label = label_of(self.state, service)
            if service.command == "smtpd":
                for tls in ("yes", "no"):
                    self.count("messages_received_total", label, tls, by=0)
            if service.command in CLIENTS:
                for status in ("sent", "deferred", "bounced"):
                    for tls in ("yes", "no"):
                        self.count("sent_recipients_total", label, tls, status, by=0)
                for cause in lines.HELD_BACK:
                    self.count("refused_out_recipients_total", label, "deferred", cause, by=0)
            if service.command in CLIENTS or service.command == "smtpd":
                self.count("tls_handshake_failures_total", label, by=0)
        self.count("expired_messages_total", by=0)

    def count(self, name: str, *values: str, by: int = 1) -> None:
        key = json.dumps(values)
        self.totals.setdefault(name, {}).setdefault(key, 0)
        self.totals[name][key] += by

    def see(self, tag: str, pid: str, text: str) -> None:
        """Count one line."""
        if tag not in self.tags:
            return
        label, program, process = label_in(self.state, tag), tag.rpartition("/")[2], f"{tag}[{pid}]"
        if lines.TLS_FAILED.match(text):
            self.count("tls_handshake_failures_total", label)
        elif program == "smtpd":
            self.see_server(label, process, text)
        elif program in CLIENTS:
            self.see_client(label, process, text)
        elif program == "qmgr":
            if lines.EXPIRED.match(text):
                self.count("expired_messages_total")
        elif program in ("postscreen", "cleanup"):
            self.see_refusal(label, text)
        else:
            self.see_delivery(label, text)

    def see_server(self, label: str, process: str, text: str) -> None:
        aborted, ended = lines.ABORTED.match(text), lines.DISCONNECTED.match(text)
        if lines.CONNECTED.match(text):
            self.remember(process, {"tls": False})
        elif lines.TLS_IN.match(text):
            self.remember(process, {"tls": True})
        elif aborted:
            if (label, aborted["address"]) not in self.own_checks:
                self.count("refused_in_total", label, "STARTTLS", "4xx", "tls")
        elif ended:
            session = self.sessions.pop(process, {"tls": False})
            self.see_end(label, session["tls"], lines.read_commands(ended["commands"]))
        else:
            self.see_refusal(label, text)

    def see_end(self, label: str, tls: bool, commands: Mapping[str, Tuple[int, int]]) -> None:
        """smtpd(8) sums a session up at its end. A MAIL command that is refused for lack of TLS is logged nowhere else."""
        good, all_mail = commands.get("mail", (0, 0))
        tls = tls or label in self.wrapped or commands.get("starttls", (0, 0))[0] > 0
        data, chunks = commands.get("data", (0, 0))[0], commands.get("bdat", (0, 0))[0]
        messages = data + min(chunks, max(0, good - data))  # a message takes one BDAT or more
        self.count("messages_received_total", label, "yes" if tls else "no", by=messages)
        if not tls and label in self.demanding and all_mail > good:
            self.count("refused_in_total", label, "MAIL", "5xx", "tls", by=all_mail - good)

    def see_refusal(self, label: str, text: str) -> None:
        found = lines.REFUSED.match(text)
        if not found:
            return
        stage = found["stage"] if found["stage"] in lines.STAGES else "other"
        code = (lines.CONTENT_CODE if stage in ("header", "body") else lines.CODE).match(found["text"])
        said = code.groupdict().get("text", "") if code else ""
        cause = "tls" if lines.ABOUT_TLS.match(said) else "other"
        name = "refused_in_total" if found["verdict"] == "reject" else "would_refuse_in_total"
        self.count(name, label, stage.upper(), f"{code['code']}xx" if code else "other", cause)

    def see_client(self, label: str, process: str, text: str) -> None:
        """The line about TLS comes before those about the recipients of one message, and names no message."""
        encrypted, delivered = lines.TLS_OUT.match(text), lines.DELIVERED.match(text)
        if encrypted:
            self.remember(process, {"relay": encrypted["relay"], "queue_id": None})
        elif delivered:
            session = self.sessions.get(process, {})
            tls = session.get("relay") == delivered["relay"] and session["queue_id"] in (None, delivered["queue_id"])
            if tls:
                self.remember(process, {"relay": delivered["relay"], "queue_id": delivered["queue_id"]})
            told = "yes" if tls else "unknown" if label in self.silent else "no"
            self.count("sent_recipients_total", label, told, delivered["status"])
            self.see_held_back(label, delivered)

    def see_delivery(self, label: str, text: str) -> None:
        delivered = lines.DELIVERED.match(text)
        if delivered:
            self.count("local_recipients_total", label, delivered["status"])
            self.see_held_back(label, delivered)

    def see_held_back(self, label: str, delivered: Match[str]) -> None:
        cause = lines.why_held_back(delivered["reason"])
        if cause and delivered["status"] != "sent":
            self.count("refused_out_recipients_total", label, delivered["status"], cause)

    def remember(self, process: str, session: Session) -> None:
        self.sessions.pop(process, None)
        self.sessions[process] = session
        if len(self.sessions) > SESSIONS:
            del self.sessions[next(iter(self.sessions))]

    def tell(self, metrics: Metrics) -> None:
        for name, labels in LABELS.items():
            for key, value in sorted(self.totals.get(name, {}).items()):
                metrics.add(name, value, **dict(zip(labels, json.loads(key))))
