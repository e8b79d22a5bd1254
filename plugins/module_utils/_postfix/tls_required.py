# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The header C(TLS-Required: no) (RFC 8689 section 5), with which any sender lowers any level to C(may).

Postfix looks at it from 3.10 on, unless C(tls_required_enable) is no (postconf(5)).
"""

from __future__ import annotations

from typing import Iterable, Optional

from .._model.levels import ClientLevel
from .levels import Parameters
from .records import current_folder, read_records
from .state import State

PARAMETER = "tls_required_enable"


def demands(level: Optional[ClientLevel]) -> bool:
    """Whether a level holds mail back where TLS fails. C(dane) does so only where the peer has published that."""
    return level not in (None, ClientLevel.NONE, ClientLevel.MAY, ClientLevel.DANE)


def tls_required(state: State, level: Optional[ClientLevel], honored: Optional[bool]) -> Parameters:
    """The parameter that keeps the header from lowering a mandatory level of the client; nothing before Postfix 3.10.

    Postfix's default comes back with a level, and records, that demand nothing.
    """
    if PARAMETER not in state.defaults:
        return {}
    if honored is not None:
        return {PARAMETER: "yes" if honored else "no"}
    if demands(level):
        return {PARAMETER: "no"}
    if level is None or any(demands(record.level) for record in read_records(current_folder(state))):
        return {}
    return {PARAMETER: None}


def for_records(state: State, levels: Iterable[Optional[ClientLevel]], honored: Optional[bool]) -> Parameters:
    """The same for the levels of records."""
    if PARAMETER not in state.defaults:
        return {}
    if honored is not None:
        return {PARAMETER: "yes" if honored else "no"}
    return {PARAMETER: "no"} if any(map(demands, levels)) else {}
