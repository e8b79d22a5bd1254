# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Postfix's master(8) may do to its processes when a service goes."""

from __future__ import annotations

import re
from typing import List

from .._postfix.state import State
from .listeners import is_disabled

_CAP_KILL = 5
"""linux/capability.h; the master is root, its processes are not (capabilities(7))."""


def may_signal(master: int) -> bool:
    """Whether the master can end its processes. Debian 13's unit takes that away from it."""
    try:
        with open(f"/proc/{master}/status", encoding="ascii", errors="replace") as handle:
            effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", handle.read(), re.M)
    except OSError:  # it does not run, or is not ours to see
        return True
    return effective is None or bool(int(effective.group(1), 16) >> _CAP_KILL & 1)


def gone_services(before: State, after: State) -> List[str]:
    """The services that a reload takes away, whose processes the master then ends and waits for (master_conf.c)."""
    kept = {service.key for service in after.services if not is_disabled(after, service)}
    return [s.key for s in before.services if s.key not in kept and not is_disabled(before, s)]
