# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a state of the past to a plan that brings it back."""

from __future__ import annotations

from typing import Mapping, Tuple

from .plan import Plan, Shown
from .state import READ_AT_START, State


def plan_rollback(now: State, contents: Mapping[str, Tuple[bytes, bytes]]) -> Plan:
    """``contents`` are main.cf and master.cf, each as (what is, what was). Writes nothing."""
    back = {name: was for name, (is_, was) in contents.items() if is_ != was}
    shown = tuple(
        Shown(f"{now.config_dir}/{name}", *(text.decode("utf-8", "replace") for text in contents[name]))
        for name in back
    )
    return Plan(contents=back, shown=shown)


def needs_restart(now: State, then: State) -> bool:
    return any(now.effective[name] != then.effective[name] for name in READ_AT_START)
