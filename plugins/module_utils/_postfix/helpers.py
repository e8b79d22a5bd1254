# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services that TLS needs and nobody misses until a session begins: Postfix's own check finds nothing wrong without them."""

from __future__ import annotations

from typing import Iterable, Tuple

from .._errors import InvalidValue
from .._model.routes import IMPLICIT_TLS
from .state import State
from .values import is_yes

TLSMGR = "tlsmgr"
TLSPROXY = "tlsproxy"


def for_tls(state: State) -> Tuple[str, ...]:
    """Without tlsmgr(8) there is no seed for random numbers, and STARTTLS is answered with 454 4.7.0."""
    return () if state.service(TLSMGR, "unix") else (_entry(state, TLSMGR, "1000? 1"),)


def for_reuse(state: State) -> Tuple[str, ...]:
    """Connection reuse defers every message while master.cf has no tlsproxy(8), as Debian ships it."""
    return () if state.service(TLSPROXY, "unix") else (_entry(state, TLSPROXY, "- 0"),)


def for_implicit_tls(state: State) -> Tuple[str, ...]:
    """A client for hosts where TLS comes before SMTP (RFC 8314 section 3.3), one for all of them: the records have the levels.

    A fallback relay of main.cf is one for clients that wait for STARTTLS.
    """
    if state.service(IMPLICIT_TLS, "unix"):
        return ()
    smtp = state.service("smtp", "unix")
    chroot = smtp.chroot if smtp else "-"
    return (
        f"{IMPLICIT_TLS}/unix={IMPLICIT_TLS} unix - - {chroot} - - smtp -o smtp_tls_wrappermode=yes -o smtp_fallback_relay=",
    )


def check_removal(state: State, gone: Iterable[str]) -> None:
    """Refuse to take out what mail over TLS would then wait for."""
    reuse = any(is_yes(state.found(one).get(f"{one.command}_tls_connection_reuse", "no")) for one in state.senders)
    if reuse and f"{TLSPROXY}/unix" in gone:
        raise InvalidValue(
            f"services[{TLSPROXY}/unix].state",
            "absent",
            "would let all mail over TLS wait, since clients use connections again through it",
            "leave it, or set client.connection_reuse: false (smtp_tls_mode) first",
        )


def _entry(state: State, name: str, wakeup_and_limit: str) -> str:
    """As Postfix ships it, chrooted where the SMTP client is."""
    smtp = state.service("smtp", "unix")
    return f"{name}/unix={name} unix - - {smtp.chroot if smtp else '-'} {wakeup_and_limit} {name}"
