# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a server takes a name and a password: AUTH (RFC 4954) and no mail, after TLS that was verified as Postfix would.

What a server says to AUTH may repeat what it was sent, in any spelling: of that, the numbers alone are told.
"""

from __future__ import annotations

import base64
import hmac
import re
import smtplib
from typing import Callable, Dict, Iterator, NamedTuple, Optional

from .._deadline import DeadlinePassed, within
from .connection import Target
from .conversation import Conversation, verifying
from .rehearsal import Question, servername

LONGEST = 20.0
"""Seconds for one login. A server that sends an octet a second keeps no single reply's deadline."""
_NEXT_HOP = re.compile(r"\[(?P<host>[^\]]+)\](?::(?P<port>\d+))?\Z")
_NUMBERS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|\Z)")
"""An enhanced status code (RFC 3463 section 2)."""
_TAKEN, _GO_ON, _FOR_GOOD = 235, 334, 500
"""Replies to AUTH (RFC 4954 section 6); from the last on they are permanent (RFC 5321 section 4.2.1)."""


class Login(NamedTuple):
    """What was seen."""

    accepted: Optional[bool]
    """``None`` where nobody knows: it was not tried, or came to nothing."""
    reason: Optional[str] = None


def log_in(question: Question, credentials: str) -> Login:
    """Log in at a next hop with C(user:password), where its certificate is the right one; leave at once."""
    target = _target(question)
    if target is None:
        return Login(None, f"the login was not tried at level {question.level} for {question.next_hop}")
    try:
        with within(LONGEST, f"the login took longer than {LONGEST:.0f} seconds"):
            return _log_in(target, question, credentials)
    except smtplib.SMTPResponseException as reply:
        return Login(None, f"{reply.smtp_code} before the login")
    except (OSError, ValueError, smtplib.SMTPException, DeadlinePassed) as problem:
        return Login(None, str(problem))


def _log_in(target: Target, question: Question, credentials: str) -> Login:
    found = question.parameters
    context = verifying(found.get("smtp_tls_CAfile", ""), found.get("smtp_tls_CApath", ""))
    with Conversation(target, context) as conversation:
        if not target.implicit_tls:
            conversation.starttls(context)
        conversation.ehlo()
        return _authenticate(conversation.smtp, *credentials.encode(errors="surrogatepass").partition(b":")[::2])


def _target(question: Question) -> Optional[Target]:
    """The host under the name that its certificate must have; ``None`` where that cannot be held to here."""
    found = _NEXT_HOP.match(question.next_hop)
    if found is None or question.lmtp or not question.level.trusts_a_ca:
        return None
    names = [found["host"] if name in ("nexthop", "hostname") else name for name in question.match]
    asked = servername(question)
    whole = [one for one in names if not one.startswith(".") and one != "dot-nexthop"]
    name = asked if asked in names else next(iter(whole), None)
    if name is None or asked not in ("", name):
        return None
    return Target(found["host"], int(found["port"] or "25"), name, implicit_tls=question.implicit_tls)


def _authenticate(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Login:
    """Of the mechanisms that a server offers, the first that is known is tried, once: some count failures."""
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    mechanism = next((name for name in _MECHANISMS if name in offered), None)
    if mechanism is None:
        return Login(None, f"no login is offered that is known here ({' '.join(offered) or 'none at all'})")
    code, text = smtp.docmd("AUTH", mechanism)
    for answer in _MECHANISMS[mechanism](user, password):
        if code != _GO_ON:
            break
        code, text = smtp.docmd(_base64(answer(text)))
    if code == _TAKEN:
        return Login(True)
    return Login(False if code >= _FOR_GOOD else None, _told(code, text))


Answer = Callable[[bytes], bytes]
"""From a server's challenge to what the client says to it."""


def _plain(user: bytes, password: bytes) -> Iterator[Answer]:
    """RFC 4616."""
    yield lambda _challenge: b"\0".join((b"", user, password))


def _login(user: bytes, password: bytes) -> Iterator[Answer]:
    """draft-murchison-sasl-login."""
    yield lambda _challenge: user
    yield lambda _challenge: password


def _cram_md5(user: bytes, password: bytes) -> Iterator[Answer]:
    """RFC 2195."""
    yield lambda challenge: user + b" " + hmac.new(password, base64.b64decode(challenge), "md5").hexdigest().encode()


_MECHANISMS: Dict[str, Callable[[bytes, bytes], Iterator[Answer]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
}


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _told(code: int, text: bytes) -> str:
    status = _NUMBERS.match(text.decode("ascii", "replace"))
    return f"{code} {status[0]}" if status else str(code)
