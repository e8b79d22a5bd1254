# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For steps between which the configuration is neither the old nor the new one: they are undone at once where the run is killed."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import Callable, Iterator

_PASSED = b"."


@contextmanager
def guarded(undo: Callable[[], object]) -> Iterator[None]:
    """Have ``undo`` done if this process ends inside, be it by SIGKILL, which nobody can handle.

    A child waits for that. It shares the lock, so that the next run begins when it is done.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        _watch(reader, undo)
    os.close(reader)
    try:
        yield
    finally:
        os.write(writer, _PASSED)
        os.close(writer)
        os.waitpid(child, 0)


def _watch(reader: int, undo: Callable[[], object]) -> None:
    """The child: out of reach of what ends its parent, and of what its parent tells."""
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        if os.read(reader, 1) != _PASSED:
            undo()
    finally:
        os._exit(0)
