# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a server takes a name and a password: AUTH (RFC 4954) and no mail, after TLS that was verified as Postfix would."""

from __future__ import annotations

import base64
import re
import smtplib
from typing import NamedTuple, Optional, Sequence

from .connection import Target
from .conversation import Conversation, verifying
from .rehearsal import Question, servername

_NEXT_HOP = re.compile(r"\[(?P<host>[^\]]+)\](?::(?P<port>\d+))?\Z")
_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
"""Of those that a server offers, the first is tried, once: some count failures."""
_LOGGED_IN = 235
"""The reply to a login that succeeds (RFC 4954 section 6)."""
_FOR_GOOD = 500
"""Replies from here on are permanent (RFC 5321 section 4.2.1)."""


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
        found = question.parameters
        context = verifying(found.get("smtp_tls_CAfile", ""), found.get("smtp_tls_CApath", ""))
        with Conversation(target, context) as conversation:
            if not target.implicit_tls:
                conversation.starttls(context)
            conversation.ehlo()
            return _authenticate(conversation.smtp, *credentials.partition(":")[::2])
    except smtplib.SMTPResponseException as reply:
        return Login(False if reply.smtp_code >= _FOR_GOOD else None, f"{reply.smtp_code} {_text(reply.smtp_error)}")
    except (OSError, ValueError, smtplib.SMTPException) as problem:
        return Login(None, str(problem))


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


def _authenticate(smtp: smtplib.SMTP, user: str, password: str) -> Login:
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    mechanism = next((name for name in _MECHANISMS if name in offered), None)
    if mechanism is None:
        return Login(None, f"no login is offered that is known here ({' '.join(offered) or 'none at all'})")
    if not (user + password).isascii():
        return _authenticate_beyond_ascii(smtp, offered, user, password)
    smtp.user, smtp.password = user, password
    smtp.auth(mechanism, getattr(smtp, f"auth_{mechanism.lower().replace('-', '_')}"))
    return Login(True)


def _authenticate_beyond_ascii(smtp: smtplib.SMTP, offered: Sequence[str], user: str, password: str) -> Login:
    """In UTF-8, as RFC 4616 says of PLAIN; smtplib knows ASCII alone, and what other mechanisms take nobody has said."""
    if "PLAIN" not in offered:
        return Login(None, "they are not ASCII, for which PLAIN is tried alone, and the server does not offer it")
    words = base64.b64encode(f"\0{user}\0{password}".encode()).decode("ascii")
    code, reply = smtp.docmd("AUTH", f"PLAIN {words}")
    if code != _LOGGED_IN:
        raise smtplib.SMTPAuthenticationError(code, reply)
    return Login(True)


def _text(reply: object) -> str:
    return reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)
