# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines of Postfix's log, as its programs write them: each pattern takes a line from the side that Postfix wrote."""

from __future__ import annotations

import re
from typing import Dict, Optional, Tuple

Event = Tuple[str, str, str]
"""Tag, process and text of a line."""

ADDRESS = r'<(?:"(?:[^"\\]|\\.)*"|[^"<>])*>'
"""As Postfix writes one: what is special in a local part is quoted (postconf(5), info_log_addr_form)."""
CONNECTED = re.compile(r"connect from ")
DISCONNECTED = re.compile(r"disconnect from \S+ (?P<commands>.*)")
TLS_IN = re.compile(r"\w+ TLS connection established from ")
TLS_OUT = re.compile(r"\w+ TLS connection (?:established|reused) to (?P<relay>\S+): ")
TLS_FAILED = re.compile(r"SSL_(?:accept|connect) error ")
ABORTED = re.compile(r"NOQUEUE: abort: TLS from [^\s\[]*\[(?P<address>[^\]]+)\]: ")
REFUSED = re.compile(r"\w+: (?:milter-)?(?P<verdict>reject|reject_warning): (?P<stage>[\w-]+) (?P<text>.*)")
CODE = re.compile(r"from \S+: (?P<code>[45])(?:\d\d|\.\d+\.\d+) (?P<text>.*)")
CONTENT_CODE = re.compile(r".*: (?P<code>[45])\.\d+\.\d+ ")
"""Of a line that begins with what a message says: Postfix's own word is the last (cleanup_message.c)."""
DELIVERED = re.compile(
    rf"(?P<queue_id>\w+): to={ADDRESS}, (?:orig_to={ADDRESS}, )?relay=(?P<relay>[^\s,]+), ?"
    r"(?:\w+=[^\s,]+, ?)*dsn=[\d.]+, status=(?P<status>sent|deferred|bounced) \((?P<reason>.*)"
)
EXPIRED = re.compile(rf"\w+: from={ADDRESS}, status=(?:force-)?expired, ")
STAGES = "CONNECT HELO EHLO STARTTLS MAIL RCPT DATA BDAT END-OF-MESSAGE VRFY ETRN header body".split()
ABOUT_TLS = re.compile(r"(?i)[^<>:;]*?(?:encryption|starttls|certificate|\btls\b)")
"""Of a refusal's text, as far as it is Postfix's or the operator's: an address, or what another server said, comes later."""
SUSPENDED = "delivery temporarily suspended: "
"""What the queue manager puts before the reason of an earlier delivery (qmgr(8))."""
HELD_BACK = {
    "not_offered": re.compile(r"TLS is required, but was not offered"),
    "handshake": re.compile(
        r"Cannot start TLS|TLS is required, but host|"
        r"(?:lost connection with|conversation with|protocol error in reply from) \S+ (?:timed out )?"
        r"while receiving the STARTTLS response"
    ),
    "certificate": re.compile(r"Server certificate not (?:verified|trusted)"),
    "dane": re.compile(r"TLSA |no TLSA records|non DNSSEC destination|empty DANE match list"),
    "configuration": re.compile(r"client TLS configuration problem|TLS is required, but (?:our TLS|unavailable)"),
    "peer": re.compile(
        r"(?i)host \S+ (?:said|refused to talk to me): [45]\d\d .*?(?:encryption|starttls|certificate|\btls\b)"
    ),
}
"""Why TLS held a delivery back, by what smtp(8) says; C(peer): the server refuses, it says for lack of TLS or of a certificate."""


def read_commands(text: str) -> Dict[str, Tuple[int, int]]:
    """``mail=1 rcpt=0/1`` as accepted and all."""
    found = re.findall(r"(\w+)=(\d+)(?:/(\d+))?", text)
    return {name: (int(good), int(total or good)) for name, good, total in found}


def why_held_back(reason: str) -> Optional[str]:
    """Why TLS held a delivery back, by what is said in brackets at the end of its line; ``None`` where it did not."""
    reason = reason[len(SUSPENDED) :] if reason.startswith(SUSPENDED) else reason
    return next((cause for cause, pattern in HELD_BACK.items() if pattern.match(reason)), None)
