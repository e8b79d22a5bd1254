# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time on one instance."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import Iterator

from .._errors import PostfixError

LOCK_SECONDS = 60


@contextmanager
def locked(config_dir: str) -> Iterator[None]:
    """Hold the lock, or fail when another run has held it for too long.

    The lock is on the folder itself: no file is left behind, and the kernel opens it when a run dies.
    """
    descriptor = os.open(config_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _acquire(descriptor, config_dir)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, config_dir: str) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise PostfixError(
                    f"{config_dir} has been locked by another run for {LOCK_SECONDS} seconds; "
                    "wait until it has ended, then run the task again."
                ) from None
        time.sleep(0.2)
