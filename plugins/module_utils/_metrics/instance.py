# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Postfix as it is configured: the state that modules read, and under which names its programs log."""

from __future__ import annotations

from typing import List, Optional

from .. import _command
from .._postfix.commands import Completed, Postfix
from .._postfix.state import Service, State, read_state
from .._proof.listeners import is_disabled

COMMAND = 20.0
"""Seconds for one command."""

PROGRAMS = "smtpd smtp lmtp local virtual pipe discard error qmgr cleanup postscreen tlsproxy".split()
"""That log what is counted."""


def read_instance(config_dir: str) -> State:
    return read_state(commands(config_dir))


def commands(config_dir: str) -> Postfix:
    return Postfix(_run, config_dir)


def _run(argv: List[str], stdin: Optional[str] = None, seconds: Optional[float] = None) -> Completed:
    return _command.run(argv, stdin, COMMAND if seconds is None else seconds)


def enabled(state: State) -> List[Service]:
    """The services that Postfix runs."""
    return [service for service in state.services if not is_disabled(state, service)]


def label_in(state: State, tag: str) -> str:
    """``postfix/submission/smtpd`` as ``submission/smtpd``: who speaks, without the instance's own name."""
    own = state.effective["syslog_name"] + "/"
    return tag[len(own) :] if tag.startswith(own) else tag


def label_of(state: State, service: Service) -> str:
    return label_in(state, f"{state.found(service)['syslog_name']}/{service.command}")


def tags(state: State) -> List[str]:
    """Under which its programs log. Whoever can write to a log can make up others, without end."""
    services = enabled(state)
    names = {state.found(service)["syslog_name"] for service in services}
    programs = {*PROGRAMS, *(service.command for service in services)}
    return sorted(f"{name}/{program}" for name in names for program in programs)
