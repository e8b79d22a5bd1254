# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets Postfix read its configuration again.

Where a service has gone from master.cf, master(8) ends its processes and waits for their end, and does nothing else meanwhile
(master_delete_children in master_conf.c). One without CAP_KILL, as Debian 13's own unit leaves it, cannot end them and would wait
for up to 1000 seconds; then we do it.
"""

from __future__ import annotations

import os
import signal
import time
from typing import List

from .._postfix.commands import Postfix
from .._postfix.processes import serving
from .._postfix.state import read_state
from .._proof.listeners import is_disabled
from .._proof.master import may_signal

PATIENCE = 10.0
"""Seconds in which the processes of a service must have ended."""
QUIET = 0.5
"""Seconds without any of them: master(8) has handled the reload, or one more may begin."""


def reload(postfix: Postfix, queue_directory: str) -> None:
    """Reload, and where the master cannot, end the processes of services that are no more."""
    master = postfix.master_pid(queue_directory)
    postfix.reload()
    if master and not may_signal(master) and _left(postfix, master):
        _end_all(postfix, master)


def _end_all(postfix: Postfix, master: int) -> None:
    deadline, quiet_since = time.monotonic() + PATIENCE, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() < quiet_since + QUIET:
        for pid in _left(postfix, master):
            quiet_since = time.monotonic()
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:  # it has just ended
                continue
        time.sleep(0.05)


def _left(postfix: Postfix, master: int) -> List[int]:
    state = read_state(postfix)
    there = {service.key for service in state.services if not is_disabled(state, service)}
    return [pid for pid, service in serving(master) if service not in there]
