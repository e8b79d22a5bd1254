# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files written whole or not at all. Only the transaction uses these."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from typing import List

from .._errors import HardeningError

TEMPORARY = ".smtp_hardening."
"""How the name of a file begins that is not complete yet."""


def write(path: str, content: bytes, mode: int) -> None:
    """Put ``content`` at ``path`` in one step: 0600 until it is complete, then ``mode``."""
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            os.fchmod(handle.fileno(), mode)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def read(path: str) -> bytes:
    with open(path, "rb") as handle:
        return handle.read()


def copy_attributes(source: str, target: str) -> None:
    """Owner, mode, times and extended attributes, an SELinux label among them."""
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    shutil.copystat(source, target)


def age(path: str) -> None:
    """Let a configuration file look settled: every Postfix process that starts waits up to two seconds
    for a file that has just changed (dict_load_file_xt in Postfix's dict.c)."""
    then = time.time() - 10
    os.utime(path, (then, then))


def sync_folder(path: str) -> None:
    """Make a rename in this folder survive a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str, mode: int) -> None:
    """Create ``path`` and what is missing above it."""
    for folder in reversed(_missing(path)):
        os.mkdir(folder, 0o700)
        os.chmod(folder, mode)  # whatever the umask says


def first_missing(path: str) -> str:
    """The outermost of ``path`` and the folders above it that does not exist yet; else ``path``."""
    missing = _missing(path)
    return missing[-1] if missing else path


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def resolve(folder: str, name: str) -> str:
    """Where ``name`` in ``folder`` really lies; symbolic links may not lead out of the folder."""
    path = os.path.join(folder, name)
    real, top = os.path.realpath(path), os.path.realpath(folder)
    if not real.startswith(top + os.sep):
        raise HardeningError(
            f"{path} is a symbolic link to {real}, outside of the configuration directory; "
            f"put the file itself into {folder}, since nothing outside is changed."
        )
    return real


def _missing(path: str) -> List[str]:
    """``path`` and the folders above it that do not exist, innermost first."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
