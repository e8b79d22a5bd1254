# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The processes of a running Postfix, as the kernel lists them (proc(5))."""

from __future__ import annotations

import os
from typing import Iterator, List, Tuple


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


def serving(master: int) -> Iterator[Tuple[int, str]]:
    """Each process of a master with the service of master.cf that it works for: master(8) starts it with ``-n name -t type``."""
    for pid in _children(master) if master else ():
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as handle:
                words = handle.read().split("\0")
            yield pid, f"{words[words.index('-n') + 1]}/{words[words.index('-t') + 1]}"
        except (OSError, ValueError, IndexError):  # gone, or the master itself
            continue


def name_of(pid: int) -> str:
    """The program that a process runs, by its own name; nothing where there is no such process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return ""
