# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files by their paths: read as they are, written whole or not at all. Every path is walked as _folder.py does.

Whatever writes stands in the transaction room; the rooms below it only read.
"""

from __future__ import annotations

import os
import stat
import time
from typing import List

from . import _folder
from ._errors import HardeningError
from ._folder import TEMPORARY, Folder, find, open_folder

PLACES = ("/run", "/var/lib")
"""Where what is root's alone may lie. In containers, others may put what they like into the first."""


def read(path: str) -> bytes:
    place = find(path)
    with place.folder as folder:
        return folder.read(place.name)


def exists(path: str) -> bool:
    """Whether something has this name, be it a link that leads nowhere."""
    try:
        place = find(path, follow_last=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    with place.folder as folder:
        return folder.has(place.name)


def is_folder(path: str) -> bool:
    try:
        open_folder(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_file(path: str) -> bool:
    """Whether a regular file has this name."""
    if not exists(path):
        return False
    place = find(path, follow_last=False)
    with place.folder as folder:
        return stat.S_ISREG(folder.stat(place.name).st_mode)


def names(path: str) -> List[str]:
    """What is in a folder; nothing where there is none."""
    try:
        with open_folder(path) as folder:
            return sorted(folder.names())
    except (FileNotFoundError, NotADirectoryError):
        return []


def write(path: str, content: bytes, mode: int) -> None:
    """Put ``content`` at ``path`` in one step: 0600 until it is complete, then ``mode``."""
    with _above(path) as folder:
        folder.write(os.path.basename(path), content, mode)


def make_like(new: str, path: str) -> None:
    """Give to the file ``new`` what the file at ``path`` has: owner, mode and extended attributes, an SELinux label among
    them; and let it look settled."""
    with _above(path) as folder, _above(new) as source:
        with folder.opened(os.path.basename(path)) as before, source.opened(os.path.basename(new)) as after:
            _folder.like(after, before)
            _age(after)


def exchange(path: str, other: str) -> None:
    """Let two files change places in one step, where the file system can (renameat2(2))."""
    with _above(path) as folder, _above(other) as source:
        source.exchange(os.path.basename(other), folder, os.path.basename(path))
        folder.sync()


def move(path: str, to: str) -> None:
    """Rename, in the place of what may be there."""
    with _above(path) as source, _above(to) as folder:
        source.move(os.path.basename(path), folder, os.path.basename(to))
        folder.sync()


def link(path: str, to: str) -> None:
    """A second name for the same file."""
    with _above(path) as source, _above(to) as folder:
        source.link(os.path.basename(path), folder, os.path.basename(to))


def age(path: str) -> None:
    """Let a configuration file look settled: every Postfix process that starts waits up to two seconds
    for a file that has just changed (dict_load_file_xt in Postfix's dict.c)."""
    with _above(path) as folder, folder.opened(os.path.basename(path)) as descriptor:
        _age(descriptor)


def make_folder(path: str, mode: int) -> None:
    """Create ``path`` and what is missing above it."""
    if is_folder(path):
        return
    make_folder(os.path.dirname(path), mode)
    with _above(path) as folder:
        try:
            folder.make(os.path.basename(path), mode).close()
        except FileExistsError:  # another run was faster, or it is no folder
            if not is_folder(path):
                raise


def first_missing(path: str) -> str:
    """The outermost of ``path`` and the folders above it that does not exist yet; else ``path``."""
    above = os.path.dirname(path)
    return path if exists(above) else first_missing(above)


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
    if exists(os.path.dirname(path)):
        with _above(path) as folder:
            folder.remove(os.path.basename(path))


def remove_incomplete(path: str) -> None:
    """Remove, here and below, what was being written when somebody ended it."""
    if is_folder(path):
        with open_folder(path) as folder:
            _remove_incomplete(folder)


def _remove_incomplete(folder: Folder) -> None:
    for name in folder.names():
        if name.startswith(TEMPORARY):
            folder.remove(name)
        elif stat.S_ISDIR(folder.stat(name).st_mode):
            with folder.folder(name) as inner:
                _remove_incomplete(inner)


def same(path: str, other: str) -> bool:
    """Whether both are names of one file."""
    if not (exists(path) and exists(other)):
        return False
    with _above(path) as one, _above(other) as two:
        return os.path.samestat(one.stat(os.path.basename(path)), two.stat(os.path.basename(other)))


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


def own_place() -> str:
    """A folder that root alone can look into, outside of any configuration; made where it is missing."""
    place = os.path.join(next(filter(_is_roots_alone, PLACES), PLACES[-1]), "smtp_hardening")
    make_folder(place, 0o700)
    return place


def _is_roots_alone(path: str) -> bool:
    try:
        with open_folder(path) as folder:
            return folder.is_roots_alone()
    except FileNotFoundError:
        return False


def _above(path: str) -> Folder:
    return open_folder(os.path.dirname(path))


def _age(descriptor: int) -> None:
    then = time.time() - 10
    os.utime(descriptor, (then, then))
