# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether Postfix gets an answer from each map that it asks for TLS policies. Where it does not, mail waits
("client TLS configuration problem"), and nothing else says so."""

from __future__ import annotations

from typing import Dict, Optional

from .._errors import HardeningError
from .._postfix.commands import Postfix
from .._postfix.services import is_client
from .._postfix.state import State
from .._posture.maps import split_maps

NOBODY = "policy-source.invalid"
"""A domain that there is not (RFC 2606 section 2)."""


def ask_sources(postfix: Postfix, state: State) -> Dict[str, Optional[str]]:
    """Each map, with why Postfix gets no answer from it, or ``None`` where it does."""
    clients = [service for service in state.services if is_client(service)]
    lists = [state.value("smtp_tls_policy_maps", service) for service in (None, *clients)]
    sources = dict.fromkeys(source for listed in lists for source in split_maps(listed))
    return {source: _problem(postfix, source) for source in sources}


def _problem(postfix: Postfix, source: str) -> Optional[str]:
    try:
        return postfix.why_unanswered(source, NOBODY)
    except HardeningError as problem:  # no answer in time
        return str(problem)
