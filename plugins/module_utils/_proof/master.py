# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Postfix's master(8) may do to its processes."""

from __future__ import annotations

import re

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
