# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The processes of a running Postfix, as the kernel lists them (proc(5))."""

from __future__ import annotations

import os
from typing import Iterator, List


def daemons(master: int, *names: str) -> List[int]:
    """The processes of a master that run one of these programs now."""
    return [pid for pid in _children(master) if name_of(pid) in names] if master else []


def _children(master: int) -> Iterator[int]:
    """The master's daemons share its session."""
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
        try:
            if os.getsid(int(name)) == master:
                yield int(name)
        except OSError:  # gone
            continue


def name_of(pid: int) -> str:
    """The program that a process runs, by its own name; nothing where there is no such process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return ""
