# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time on one instance."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from typing import Iterator

from .. import _files as files
from .._bytes import to_bytes
from .._errors import PostfixError
from .._folder import open_folder

LOCK_SECONDS = 60


@contextmanager
def locked(config_dir: str) -> Iterator[None]:
    """Hold the lock, or fail when another run has held it for too long. The kernel opens it when a run dies.

    It lies where nobody but root can open it, so that nobody else can hold it.
    """
    name = place_of(config_dir)
    with open_folder(files.own_place()) as folder:
        descriptor = os.open(
            f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder.descriptor
        )
    try:
        _acquire(descriptor, config_dir)
        yield
    finally:
        os.close(descriptor)


def place_of(config_dir: str) -> str:
    """What an instance's files are called in the folder that is root's alone."""
    return hashlib.sha256(to_bytes(os.path.realpath(config_dir))).hexdigest()[:32]


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
