# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of mail where a server offers TLS, and TLS then fails with it.

A level that demands TLS keeps the mail. C(may) goes on to the other next hops and fallback relays, as where a server is down, and
tries the same server in plaintext only once the message has waited for C(minimal_backoff_time) because those did not take it either
(PLAINTEXT_FALLBACK_OK_AFTER_STARTTLS_FAILURE in smtp.h). So what the next of them does is what that mail has.
"""

from __future__ import annotations

from typing import Iterable, Optional

from .._model.levels import ClientLevel
from .protections import Instead, Protections

WHERE_TLS_FAILS = "where_tls_fails"


def after_failure(others: Iterable[Optional[Protections]]) -> Instead:
    """By what the other next hops have, in their order; ``None`` is one on this host, to which nobody listens."""
    for values in others:
        if values is None:
            return Instead()
        level = values["level"]
        if isinstance(level, ClientLevel) and (level is ClientLevel.NONE or _can_succeed(values)):
            return Instead(level)
    return Instead(ClientLevel.NONE)


def where_tls_fails(values: Protections, others: Instead) -> Instead:
    """What mail has that goes to a hop, by what the hop itself has."""
    level = values["level"]
    return Instead() if isinstance(level, ClientLevel) and level.demands_tls else others


def _can_succeed(values: Protections) -> bool:
    """Whether there is a version and a grade of ciphers to agree upon: a list that Postfix cannot read has none."""
    return values.get("minimum_protocol") is not None and values.get("ciphers") is not None
