# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of others, which people name and root reads: through links, as tools that renew certificates make them.

Whoever may write to a folder on the way chooses where the path leads from there on. Therefore root reads
nothing on anybody's behalf that they could not read themselves: the file is opened once, and its descriptor
is judged, with those of the folders that lead to it.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import contextmanager
from typing import Iterator, NamedTuple, Optional, Set

from ._errors import HardeningError
from ._folder import Folder, follow, read_whole

_READ, _SEARCH = 4, 1


class Leader(NamedTuple):
    """Who could choose where a path leads: an account, a group, or anybody."""

    uid: Optional[int] = None
    gid: Optional[int] = None

    def __str__(self) -> str:
        if self.uid is not None:
            return f"the account {_name(self.uid)}"
        return "anybody" if self.gid is None else f"the group {self.gid}"

    def may(self, found: os.stat_result, bit: int) -> bool:
        """Whether the mode lets them, as the kernel decides it (path_resolution(7)); ACLs are not looked at."""
        if self.uid is not None and found.st_uid == self.uid:
            return bool(found.st_mode & bit << 6)
        groups = {self.gid} if self.uid is None else _groups(self.uid)
        return bool(found.st_mode & (bit << 3 if found.st_gid in groups else bit))


class _Way:
    """What has been seen of a path so far."""

    def __init__(self) -> None:
        self.leaders: Set[Leader] = set()
        self.refused: Set[Leader] = set()

    def step(self, folder: Folder, name: str, inner: Optional[Folder]) -> None:
        """One step of a path: to another folder, or along a link."""
        self.judge(os.fstat(folder.descriptor), _SEARCH)
        if inner is None:
            self.leaders |= _writers(folder, folder.stat(name).st_uid)
        elif not inner.is_roots_alone():
            self.leaders |= _writers(folder, os.fstat(inner.descriptor).st_uid)

    def end(self, folder: Folder, descriptor: int) -> None:
        """The file itself. What is root's under one name, others could at most have renamed."""
        found = os.fstat(descriptor)
        self.judge(os.fstat(folder.descriptor), _SEARCH)
        if found.st_uid or found.st_nlink > 1:
            self.leaders |= _writers(folder, found.st_uid)
        self.judge(found, _READ)

    def judge(self, found: os.stat_result, bit: int) -> None:
        self.refused |= {leader for leader in self.leaders if not leader.may(found, bit)}


def read_given(path: str, largest: Optional[int] = None) -> bytes:
    """The contents of the file that ``path`` leads to, of ``largest`` octets at most."""
    with _judged(path) as descriptor:
        return read_whole(descriptor, path, largest)


@contextmanager
def opened(path: str) -> Iterator[str]:
    """The same file, for a library that wants a path: this one leads there, whatever happens to the other (proc(5))."""
    with _judged(path) as descriptor:
        yield f"/proc/self/fd/{descriptor}"


@contextmanager
def _judged(path: str) -> Iterator[int]:
    way = _Way()
    place = follow(path, way.step)
    with place.folder as folder, folder.opened(place.name) as descriptor:
        way.end(folder, descriptor)
        if way.refused:
            raise HardeningError(
                f"{path} leads through a folder where {' and '.join(sorted(map(str, way.refused)))} can put links, to a file "
                "that they may not read; take the right to write to that folder from them, or keep the file elsewhere."
            )
        yield descriptor


def exists(path: str) -> bool:
    """Whether there is something where ``path`` leads."""
    try:
        place = follow(path, lambda folder, name, inner: None)
    except OSError:
        return False
    with place.folder as folder:
        return folder.has(place.name)


def _writers(folder: Folder, owner: int) -> Set[Leader]:
    """Who could have put there what ``owner`` has there now."""
    found = os.fstat(folder.descriptor)
    accounts = {found.st_uid}
    if found.st_mode & stat.S_ISVTX:  # others than the folder's owner have power over what is their own (unlink(2))
        accounts |= {owner} if found.st_mode & 0o022 else set()
        return {Leader(uid) for uid in accounts if uid}
    leaders = {Leader(uid) for uid in accounts if uid}
    if found.st_mode & 0o020 and found.st_gid and not _is_own_group(found.st_uid, found.st_gid):
        leaders.add(Leader(gid=found.st_gid))
    return leaders | ({Leader()} if found.st_mode & 0o002 else set())


def _is_own_group(uid: int, gid: int) -> bool:
    """Whether an account is alone in a group of its name, as most systems make one for each (useradd(8))."""
    try:
        group, name = grp.getgrgid(gid), pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}


def _groups(uid: int) -> Set[Optional[int]]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return set()
    return set(os.getgrouplist(entry.pw_name, entry.pw_gid))


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
