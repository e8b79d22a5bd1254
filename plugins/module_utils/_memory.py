# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys for libraries and programs that want a path: what they read lies in memory, and on no disk."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def lent(content: bytes) -> Iterator[str]:
    """A path that leads to ``content`` for this process and for others of the same account, while it lasts (memfd_create(2))."""
    descriptor = os.memfd_create("smtp_hardening")
    try:
        with open(descriptor, "wb", closefd=False) as handle:
            handle.write(content)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)
