# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real messages through the node's own queue, followed in Postfix's log to their end."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Sequence

from .._errors import PostfixError
from .._postfix.commands import Postfix
from .._postfix.state import State
from .log import open_log

# Read from the left, where Postfix writes: what follows a value that a stranger chose is never looked for in it.
_LINE = re.compile(r"[^\[\]]*?(?P<name>[^\s\[\]]+)\[(?P<pid>\d+)\]: (?P<text>.*)", re.S)
_ADDRESS = r'<(?:"(?:[^"\\]|\\.)*"|[^>"])*>'
_STATUS = re.compile(
    rf"(?P<id>\w+): to={_ADDRESS}, (?:orig_to={_ADDRESS}, )?relay=(?P<relay>[^,\s]+), (?:conn_use=\d+, )?delay=[\d.]+, "
    r"(?:delays=[\d./]+, )?dsn=[\d.]+, status=(?P<status>\w+) \((?P<reply>.*)\)\Z",
    re.S,
)
_TLS = re.compile(
    r"(?P<trust>\w+) TLS connection (?:established|reused) to (?P<relay>[^\s\[\]]+\[[^\s\[\]]+\]:\d+): (?P<detail>.+)",
    re.S,
)
_MESSAGE_ID = re.compile(r"(?P<id>\w+): message-id=<(?P<message>[^<>\s]+)>\Z")
_DELIVERING = ("smtp", "lmtp", "error", "local", "virtual", "pipe")


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
    for line in filter(None, map(_LINE.match, lines)):
        daemon = line["name"].rpartition("/")[2]
        if daemon == "cleanup":
            found = _MESSAGE_ID.match(line["text"])
            # The first one is ours. Who receives the message may send another with its Message-ID.
            if found and found["message"] in by_message and by_message[found["message"]].queue_id is None:
                by_message[found["message"]].queue_id = found["id"]
                by_queue[found["id"]] = by_message[found["message"]]
        elif daemon in _DELIVERING:
            found = _TLS.match(line["text"])
            if found:
                tls[line["pid"]] = found.groupdict()
            found = _STATUS.match(line["text"])
            if found and found["id"] in by_queue:
                _close(by_queue[found["id"]], found.groupdict(), tls.get(line["pid"]))


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
