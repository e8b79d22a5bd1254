# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders that are open: what root does in one happens there, wherever its path leads meanwhile.

Who may write to a folder can put a link, or another folder, in the place of whatever is in it, between
any two calls. So nothing is done by path: a folder is opened once, component by component, and what is
in it is reached by its descriptor (openat(2) and its kin), which follow no link. Owner and mode come
from a descriptor, too.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from types import TracebackType
from typing import Callable, Iterator, List, NamedTuple, Optional, Type

from ._errors import HardeningError

TEMPORARY = ".smtp_hardening."
"""How the name of a file begins that is not complete yet."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO or a device hangs nobody
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RENAME_EXCHANGE = 2  # renameat2(2)
_LINKS = 40
"""Links on one path that are followed at most (path_resolution(7))."""


class Folder:
    """An open folder. Names are of what lies in it; none holds a slash."""

    def __init__(self, descriptor: int, path: str) -> None:
        self.descriptor = descriptor
        self.path = path
        """For people: what it was opened as."""

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.descriptor)

    def folder(self, name: str) -> Folder:
        """A folder in this one; ``NotADirectoryError`` for anything else, a link among them."""
        with self._told(name):
            return Folder(os.open(name, _FOLDER, dir_fd=self.descriptor), self.path_of(name))

    def make(self, name: str, mode: int = 0o700) -> Folder:
        """A new folder, open; root's alone until it has ``mode``, whatever the umask says."""
        with self._told(name):
            os.mkdir(name, 0o700, dir_fd=self.descriptor)
        made = self.folder(name)
        if os.fstat(made.descriptor).st_uid != os.geteuid():
            made.close()
            raise HardeningError(f"{made.path}: another account has put a folder of its own there; {_OTHERS}")
        made.let_in(mode)
        return made

    def let_in(self, mode: int) -> None:
        os.fchmod(self.descriptor, mode)

    def names(self) -> List[str]:
        return os.listdir(self.descriptor)

    def stat(self, name: str) -> os.stat_result:
        """Of a link, the link's own."""
        with self._told(name):
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def has(self, name: str) -> bool:
        try:
            self.stat(name)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """The descriptor of a regular file, to read."""
        with self._told(name):
            descriptor = os.open(name, _FILE, dir_fd=self.descriptor)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
                raise OSError(
                    code, os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "No regular file", self.path_of(name)
                )
            yield descriptor
        finally:
            os.close(descriptor)

    def read(self, name: str) -> bytes:
        with self.opened(name) as descriptor:
            return read_whole(descriptor, self.path_of(name))

    def write(self, name: str, content: bytes, mode: int, temporary: Optional[str] = None) -> None:
        """Put ``content`` there in one step: 0600 until it is complete, then ``mode``. Where nobody clears up after a run
        that was ended, ``temporary`` is the one name that is used until then, whatever lies there."""
        if temporary is None:
            temporary = TEMPORARY + secrets.token_hex(8)
        else:
            self.remove(temporary)
        with self._told(name):
            descriptor = os.open(temporary, _NEW, 0o600, dir_fd=self.descriptor)
            try:
                with os.fdopen(descriptor, "wb") as handle:
                    handle.write(content)
                    os.fchmod(handle.fileno(), mode)
                    handle.flush()
                    os.fsync(handle.fileno())
                self.move(temporary, self, name)
            except BaseException:
                self._take_out(temporary)
                raise
            self.sync()

    def move(self, name: str, other: Folder, new: str) -> None:
        """Rename, in the place of what may be there."""
        with self._told(name):
            os.replace(name, new, src_dir_fd=self.descriptor, dst_dir_fd=other.descriptor)

    def exchange(self, name: str, other: Folder, new: str) -> None:
        """Let two names change places in one step, so that nothing that somebody puts there meanwhile is lost."""
        import ctypes  # noqa: PLC0415 -- where memory may not become executable, importing it can fail

        flags = (os.fsencode(name), other.descriptor, os.fsencode(new), _RENAME_EXCHANGE)
        with self._told(name):
            if ctypes.CDLL(None, use_errno=True).renameat2(self.descriptor, *flags):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), name)

    def link(self, name: str, other: Folder, new: str) -> None:
        """A second name for the same file; of a link, for the link itself."""
        with self._told(name):
            os.link(name, new, src_dir_fd=self.descriptor, dst_dir_fd=other.descriptor, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """A file, or a folder with all that is in it; nothing happens where there is none."""
        with self._told(name):
            if not self._take_out(name):
                with self.folder(name) as inner:
                    inner._empty()
                os.rmdir(name, dir_fd=self.descriptor)

    def _empty(self) -> None:
        """Each folder comes up to here before it is emptied: however deep somebody made them, two are open at once."""
        while True:
            left = [name for name in self.names() if not self._take_out(name)]
            if not left:
                return
            for name in left:
                with self.folder(name) as inner:
                    for below in inner.names():
                        if not inner._take_out(below):
                            inner.move(below, self, TEMPORARY + secrets.token_hex(8))
                os.rmdir(name, dir_fd=self.descriptor)

    def _take_out(self, name: str) -> bool:
        """Whether there is nothing of this name any more; a folder stays."""
        try:
            if stat.S_ISDIR(self.stat(name).st_mode):
                return False
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            pass
        return True

    def sync(self) -> None:
        """Make a rename in this folder survive a crash."""
        os.fsync(self.descriptor)

    def is_roots_alone(self) -> bool:
        """Whether nobody else can put anything into it."""
        found = os.fstat(self.descriptor)
        return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022

    def path_of(self, name: str) -> str:
        return os.path.join(self.path, name)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Errors tell the whole path."""
        try:
            yield
        except OSError as problem:
            if problem.filename is not None:
                problem.filename = self.path_of(name)
            raise


_OTHERS = "nothing is done there: take the right to write to that folder from others first."


def read_whole(descriptor: int, path: str, largest: Optional[int] = None) -> bytes:
    """All that is in an open file; OSError where that is more than ``largest`` octets."""
    with os.fdopen(descriptor, "rb", closefd=False) as handle:
        content = handle.read() if largest is None else handle.read(largest + 1)
    if largest is not None and len(content) > largest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return content


def like(descriptor: int, source: int) -> None:
    """Give to one what another has: owner, mode, and extended attributes, an SELinux label and ACLs among them."""
    found = os.fstat(source)
    os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
    try:
        for name in os.listxattr(source):
            os.setxattr(descriptor, name, os.getxattr(source, name))
    except OSError as problem:
        if problem.errno not in (errno.ENOTSUP, errno.EPERM, errno.ENODATA, errno.EINVAL, errno.EACCES):
            raise


class Place(NamedTuple):
    """Where a path leads: an open folder, and a name in it of something that need not be there."""

    folder: Folder
    name: str


Look = Callable[[Folder, str, Optional[Folder]], None]
"""Judges one step of a path: the folder, the name that was looked up in it, and the folder that was opened
there; none where it was a link."""


def open_folder(path: str) -> Folder:
    """The folder at ``path``.

    A link is followed only where root alone could have put it. Beyond a folder that others can write to,
    only folders of root's alone are entered: anybody's else would have us work where they like.
    """
    place = find(path)
    with place.folder as above:
        found = above.folder(place.name)
        try:
            _check(above, place.name, found)
        except HardeningError:
            found.close()
            raise
    return found


def find(path: str, follow_last: bool = True) -> Place:
    """Where ``path`` leads by these rules. Whoever asks closes the folder."""
    return _walk(path, _check, follow_last)


def follow(path: str, look: Look) -> Place:
    """Where ``path`` leads through whatever links, as far as ``look`` raises nothing."""
    return _walk(path, look, True)


def _walk(path: str, look: Look, follow_last: bool) -> Place:
    here = _root()
    try:
        rest, links = _components(os.path.join(os.getcwd(), path)), 0
        while rest:
            name = rest.pop()
            target = link_target(here, name) if rest or follow_last else None
            if target is None:
                if not rest:
                    return Place(here, name)
                above, here = here, here.folder(name)
                with above:
                    look(above, name, here)
                continue
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            look(here, name, None)
            rest += _components(target)
            if target.startswith("/"):
                here.close()
                here = _root()
        return Place(here, ".")
    except BaseException:
        here.close()
        raise


def _check(folder: Folder, name: str, inner: Optional[Folder]) -> None:
    """Refuse what somebody else than root could have put there: a link, or a folder that root does not have alone."""
    if folder.is_roots_alone() or (inner is not None and inner.is_roots_alone()):
        return
    what = "is a symbolic link" if inner is None else "does not belong to root alone, and lies"
    raise HardeningError(f"{folder.path_of(name)} {what} in a folder that others can write to; {_OTHERS}")


def link_target(folder: Folder, name: str) -> Optional[str]:
    """Where a link leads; ``None`` for all else, and for nothing."""
    try:
        return os.readlink(name, dir_fd=folder.descriptor)
    except OSError as problem:
        if problem.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _root() -> Folder:
    return Folder(os.open("/", _FOLDER), "/")


def _components(path: str) -> List[str]:
    """The last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
