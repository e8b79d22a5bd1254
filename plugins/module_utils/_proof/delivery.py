# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real messages through the node's own queue, followed in Postfix's log to their end."""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Callable, Dict, List, Optional, Sequence

from .._errors import PostfixError
from .._postfix.commands import Postfix
from .._postfix.state import State

_STATUS = re.compile(
    r"postfix[^ ]*/(?:smtp|lmtp|error|local|virtual|pipe)\[(?P<pid>\d+)\]: (?P<id>\w+): to=<(?P<to>[^>]+)>"
    r".*? relay=(?P<relay>[^,]+),.* status=(?P<status>\w+) \((?P<reply>.*)\)"
)
_TLS = re.compile(
    r"postfix[^ ]*/(?:smtp|lmtp)\[(?P<pid>\d+)\]: (?P<trust>\w+) TLS connection (?:established|reused) to (?P<relay>[^ ]+): (?P<detail>.+)"
)
_MESSAGE_ID = re.compile(r"postfix[^ ]*/cleanup\[\d+\]: (?P<id>\w+): message-id=<(?P<message>[^>]+)>")


@dataclass
class Delivery:
    """What became of one message."""

    recipient: str
    message_id: str
    queue_id: Optional[str] = None
    status: Optional[str] = None
    """Postfix's word: C(sent), C(deferred) or C(bounced); ``None`` where time ran out before."""
    relay: Optional[str] = None
    reply: Optional[str] = None
    tls: Optional[str] = None
    """C(Verified), C(Trusted), C(Untrusted) or C(Anonymous); ``None`` for plaintext."""
    tls_detail: Optional[str] = None

    def as_facts(self) -> Dict[str, object]:
        return asdict(self)


def deliver(postfix: Postfix, state: State, sender: str, recipients: Sequence[str], timeout: float) -> List[Delivery]:
    """Send one short message to each recipient and read in the log how it went."""
    read_log = open_log(postfix, state)
    deliveries = [
        Delivery(recipient, f"{uuid.uuid4().hex}@{state.effective['myhostname']}") for recipient in recipients
    ]
    for delivery in deliveries:
        _send(postfix, sender, delivery)
    deadline = time.monotonic() + timeout
    while True:
        follow(deliveries, read_log())
        if all(delivery.status for delivery in deliveries) or time.monotonic() > deadline:
            return deliveries
        time.sleep(0.2)


def follow(deliveries: Sequence[Delivery], lines: Sequence[str]) -> None:
    """Fill in what the log says of these deliveries."""
    by_message = {d.message_id: d for d in deliveries}
    by_queue = {d.queue_id: d for d in deliveries if d.queue_id}
    tls: Dict[str, Dict[str, str]] = {}
    for line in lines:
        found = _MESSAGE_ID.search(line)
        if found and found["message"] in by_message:
            by_message[found["message"]].queue_id = found["id"]
            by_queue[found["id"]] = by_message[found["message"]]
        found = _TLS.search(line)
        if found:
            tls[found["pid"]] = found.groupdict()
        found = _STATUS.search(line)
        if found and found["id"] in by_queue:
            _close(by_queue[found["id"]], found.groupdict(), tls.get(found["pid"]))


def open_log(postfix: Postfix, state: State) -> Callable[[], List[str]]:
    """A function that returns what Postfix has logged since now."""
    path = state.effective.get("maillog_file") or next(
        (p for p in ("/var/log/mail.log", "/var/log/maillog") if os.path.exists(p)), None
    )
    if path and path != "/dev/stdout":
        begin = os.path.getsize(path) if os.path.exists(path) else 0
        return lambda: _lines_from(path, begin)
    since = f"@{int(time.time())}"
    journal = ["journalctl", "--quiet", "--output=short", f"--since={since}", "SYSLOG_FACILITY=2"]

    def read_journal() -> List[str]:
        return postfix.run(journal).stdout.splitlines()

    return read_journal


def _lines_from(path: str, begin: int) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            handle.seek(begin)
            return handle.read().splitlines()
    except FileNotFoundError:
        return []


def _send(postfix: Postfix, sender: str, delivery: Delivery) -> None:
    message = (
        f"From: <{sender}>\nTo: <{delivery.recipient}>\nSubject: delivery proof\n"
        f"Message-ID: <{delivery.message_id}>\nAuto-Submitted: auto-generated\n\n"
        "Sent by mailfleet.smtp_hardening.smtp_tls_probe to see how mail travels. It can be deleted.\n"
    )
    argv = ["sendmail", "-C", postfix.config_dir, "-i", "-f", sender, "--", delivery.recipient]
    done = postfix.run(argv, stdin=message)
    if done.rc:
        raise PostfixError(f"sendmail does not take the message to {delivery.recipient}: {done.stderr.strip()}.")


def _close(delivery: Delivery, status: Dict[str, str], tls: Optional[Dict[str, str]]) -> None:
    delivery.status, delivery.relay, delivery.reply = status["status"], status["relay"], status["reply"]
    if tls and tls["relay"] == status["relay"]:
        delivery.tls, delivery.tls_detail = tls["trust"], tls["detail"]
