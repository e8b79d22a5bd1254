# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files written whole or not at all. Only the transaction uses these."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import Dict, List, Optional


def write(path: str, content: bytes, mode: int, like: Optional[str] = None) -> None:
    """Put ``content`` at ``path`` in one step: 0600 until it is complete, then ``mode``.

    Owner, mode and extended attributes (an SELinux label among them) come from ``like`` where
    it is given.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=".smtp_hardening.", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            os.fchmod(handle.fileno(), mode)
            if like is not None:
                copy_attributes(like, temporary)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def copy_attributes(source: str, target: str) -> None:
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    shutil.copystat(source, target)


def sync_folder(path: str) -> None:
    """Make a rename in this folder survive a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(path: str, mode: int) -> List[str]:
    """Create ``path`` and what is missing above it; the folders created, outermost first."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        os.mkdir(folder, 0o700)
        os.chmod(folder, mode)  # whatever the umask says
    return missing[::-1]


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


@dataclass(frozen=True)
class Remembered:
    """A file as it was."""

    content: bytes
    stat: os.stat_result
    attributes: Dict[str, bytes]


def remember(path: str) -> Optional[Remembered]:
    """The file at ``path``; ``None`` where there is none."""
    try:
        with open(path, "rb") as handle:
            return Remembered(handle.read(), os.fstat(handle.fileno()), _extended_attributes(path))
    except FileNotFoundError:
        return None


def put_back(path: str, was: Optional[Remembered]) -> None:
    """Bring ``path`` to what it was: contents, owner, mode, times and extended attributes."""
    if was is None:
        remove(path)
        return
    write(path, was.content, 0o600)
    os.chown(path, was.stat.st_uid, was.stat.st_gid)
    os.chmod(path, was.stat.st_mode & 0o7777)
    for name, value in was.attributes.items():
        os.setxattr(path, name, value)
    os.utime(path, ns=(was.stat.st_atime_ns, was.stat.st_mtime_ns))


def _extended_attributes(path: str) -> Dict[str, bytes]:
    try:
        return {name: os.getxattr(path, name) for name in os.listxattr(path)}
    except OSError:  # a file system without them
        return {}
