# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files in folders of others: the log, the queue, and what Prometheus reads.

Who may write to such a folder can put a link there. It is followed where it leads to nothing but what is its owner's, or
where it is root's: so nothing is read or written for others that is not theirs. What this opens is a plain file or a folder
(``_folder``), and all that is read of it has an end.
"""

from __future__ import annotations

import errno
import io
import os
from typing import Optional, Set

from .. import _given
from .._folder import Folder, follow

LARGEST = 64 * 1024 * 1024
"""Octets of a file."""


class _Links:
    """Whose links a path leads along."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.owners: Set[int] = set()

    def step(self, folder: Folder, name: str, inner: Optional[Folder]) -> None:
        if inner is None:
            self.owners.add(folder.stat(name).st_uid)

    def judge(self, descriptor: int) -> None:
        if self.owners - {0, os.geteuid(), os.fstat(descriptor).st_uid}:
            raise PermissionError(errno.EPERM, "a link of somebody else's leads there", self.path)


def open_file(path: str) -> io.BufferedReader:
    """A plain file, for reading."""
    links = _Links(path)
    place = follow(path, links.step)
    with place.folder as folder, folder.opened(place.name) as descriptor:
        links.judge(descriptor)
        return os.fdopen(os.dup(descriptor), "rb")


def open_folder(path: str) -> Folder:
    links = _Links(path)
    place = follow(path, links.step)
    with place.folder as above:
        found = above.folder(place.name)
    try:
        links.judge(found.descriptor)
    except PermissionError:
        found.close()
        raise
    return found


def read(path: str) -> bytes:
    """What the configuration names, and what this program has kept: read as modules read it, as far as it has an end."""
    return _given.read_given(path, LARGEST)


def write(path: str, text: str, mode: int) -> None:
    """Put a file in its place at once, so that nobody ever reads half of it."""
    folder, name = os.path.split(os.path.abspath(path))
    with open_folder(folder) as place:
        place.write(name, text.encode("utf-8", "backslashreplace"), mode, temporary=f".{name}.new")
