# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has changed since the last proven state, by whatever means, and what is protected less than it was."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, TypedDict

from .._postfix.commands import Postfix
from .._postfix.state import State
from .._posture.posture import Posture
from . import history
from .ratchet import posture
from .unreadable import remembered

Difference = Dict[str, Optional[str]]


class Drift(TypedDict):
    """As ``smtp_tls_info`` returns it."""

    since: Dict[str, object]
    differs: List[Difference]
    weaker: List[Dict[str, str]]


def drift(postfix: Postfix, now: State, seen: Posture) -> Optional[Drift]:
    """``seen`` is the posture of now; ``None`` where the node remembers no proven state."""
    proven = [state for state in history.past(now.config_dir) if state.proven]
    if not proven:
        return None
    last = proven[-1]
    then = remembered(postfix, last)
    return {
        "since": last.as_facts(),
        "differs": [*_differences(then.explicit, now.explicit), *_differences(_entries(then), _entries(now))],
        "weaker": [item._asdict() for item in seen.weaker_than(posture(postfix, then))],
    }


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> List[Difference]:
    names = sorted({*before, *after})
    return [
        {"name": name, "before": before.get(name), "after": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    ]


def _entries(state: State) -> Dict[str, str]:
    """master.cf by service."""
    return {service.key: service.entry for service in state.services}
