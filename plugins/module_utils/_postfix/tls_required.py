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
from .state import State

PARAMETER = "tls_required_enable"


def demands(level: Optional[ClientLevel]) -> bool:
    """Whether a level holds mail back where TLS fails; ``None`` does not."""
    return level is not None and level.demands_tls


def tls_required(state: State, levels: Iterable[Optional[ClientLevel]], honored: Optional[bool]) -> Parameters:
    """The parameter that keeps the header from lowering a mandatory level, be it the client's or a record's.

    Nothing before Postfix 3.10, and nothing where no level demands TLS: what is there stays.
    """
    if PARAMETER not in state.defaults:
        return {}
    if honored is not None:
        return {PARAMETER: "yes" if honored else "no"}
    return {PARAMETER: "no"} if any(map(demands, levels)) else {}
