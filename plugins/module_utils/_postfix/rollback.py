# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a state of the past to a plan that brings it back."""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Tuple

from .._certificates.validity import utc_now
from .._errors import PostfixError
from .domain_checks import check_domains_ratchet
from .domains import all_in_force, current_folder, held, read_records
from .incoming import read_unlisted
from .plan import Plan, Shown
from .ratchet import check_ratchet
from .services import overridden, protections
from .state import READ_AT_START, State


def plan_rollback(now: State, then: State, contents: Mapping[str, Tuple[bytes, bytes]], allow_weaker: bool) -> Plan:
    """``contents`` are main.cf and master.cf, each as (what is, what was). Writes nothing."""
    then = replace(then, config_dir=now.config_dir)
    _check_ratchet(now, then, allow_weaker)
    back = {name: was for name, (is_, was) in contents.items() if is_ != was}
    shown = tuple(
        Shown(f"{now.config_dir}/{name}", *(text.decode("utf-8", "replace") for text in contents[name]))
        for name in back
    )
    return Plan(contents=back, shown=shown)


def needs_restart(now: State, then: State) -> bool:
    return any(now.effective[name] != then.effective[name] for name in READ_AT_START)


def _check_ratchet(now: State, then: State, allow_weaker: bool) -> None:
    differing = overridden(now.services) | overridden(then.services)
    before, after = (protections(state.services, state.effective, differing) for state in (now, then))
    check_ratchet(before, after, allow_weaker)
    today = utc_now().date()
    try:
        was, will = (
            held(s, all_in_force(read_records(current_folder(s)), today), read_unlisted(s)) for s in (now, then)
        )
    except PostfixError as problem:
        if allow_weaker:
            return
        raise PostfixError(
            f"{problem} Set allow_weaker: true to go back without comparing how domains are protected."
        ) from None
    check_domains_ratchet(was, will, allow_weaker)
