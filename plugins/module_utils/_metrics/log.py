# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log as a file, and how far it was read.

Counters begin at zero where the log ends at the first run, and go on from there; a log that is rotated between two runs, and
compressed, is read to its end.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import re
import zlib
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from .files import open_file, open_folder
from .lines import Event

BYTES = 64 * 1024 * 1024
"""Of the log that one run reads at most; the next one goes on."""
HEAD = 512
"""Octets at the beginning of a log by which it is known again under another name, or compressed."""
LINE_BYTES = 65536
"""Of a line. Postfix's are shorter."""
ROTATED = 30
"""Files into which a log was rotated since the last run."""
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
LINE = re.compile(r"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\S+) \S+ (?P<tag>[^\s\[]+)\[(?P<pid>\d+)\]: (?P<text>.*)")
"""A line of syslog or postlogd(8), with a traditional time or that of RFC 3339."""


class Position(NamedTuple):
    """How far a log was read. The head says which file it was, whatever its name is by now."""

    inode: int
    mtime: float
    offset: int
    head: str


START = Position(0, 0, 0, "")

OPENERS: Dict[str, Callable[[io.BufferedReader], io.BufferedIOBase]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


def _as_position(kept: object) -> Optional[Position]:
    """What was kept of a position, if it still is one."""
    if not isinstance(kept, (list, tuple)) or len(kept) != len(START):
        return None
    numbers = all(isinstance(value, (int, float)) for value in kept[:3])
    return Position(*kept) if numbers and isinstance(kept[3], str) else None


class LogFile:
    """A log file that somebody rotates: logrotate(8), or postfix(1) logrotate, which compresses at once."""

    def __init__(self, path: str, position: object = None) -> None:
        self.path = path
        self.position = _as_position(position) or self._end()

    def _end(self) -> Position:
        with contextlib.suppress(FileNotFoundError), open_file(self.path) as log:
            return _position_of(log, log.seek(0, os.SEEK_END))
        return START

    def events(self) -> Iterator[Event]:
        """Of each line that came since."""
        with contextlib.ExitStack() as stack:
            logs, begin = self._unread(stack)
            left = BYTES
            for log in logs:
                offset, begin = begin, 0
                try:
                    log.seek(offset)
                    for octets, line in _lines_of(log):
                        if left < 0:
                            break
                        offset += octets
                        left -= octets
                        found = LINE.match(line.decode("utf-8", "replace"))
                        if found:
                            yield found["tag"], found["pid"], found["text"]
                    self.position = _position_of(log, offset)
                except BROKEN:
                    continue
                if left < 0:
                    return

    def _unread(self, stack: contextlib.ExitStack) -> Tuple[List[io.BufferedIOBase], int]:
        """The files to read on in, opened, and where in the first. It may be rotated while we look."""
        for _attempt in range(2):
            logs = [log for log in (self._open(stack, path) for path in self._paths()) if log]
            for index, log in enumerate(logs):
                if _is_read_to(log, self.position):
                    return _distinct(logs[index:]), self.position.offset
        current = self._open(stack, self.path)
        return [current] if current else [], 0

    def _paths(self) -> List[str]:
        """What may hold lines that were not read yet, oldest first."""
        folder, name = os.path.split(self.path)
        found: List[Tuple[float, str]] = []
        with contextlib.suppress(FileNotFoundError):
            with open_folder(folder) as opened, os.scandir(opened.descriptor) as entries:
                for entry in entries:
                    if entry.name.startswith((f"{name}.", f"{name}-")) and entry.is_file(follow_symlinks=False):
                        found.append((entry.stat(follow_symlinks=False).st_mtime, os.path.join(folder, entry.name)))
        kept = [path for mtime, path in sorted(found) if mtime >= int(self.position.mtime)]
        return [*kept[-ROTATED:], self.path]

    @staticmethod
    def _open(stack: contextlib.ExitStack, path: str) -> Optional[io.BufferedIOBase]:
        with contextlib.suppress(FileNotFoundError):
            file = stack.enter_context(open_file(path))
            opener = OPENERS.get(os.path.splitext(path)[1])
            return stack.enter_context(opener(file)) if opener else file
        return None


def _lines_of(log: io.BufferedIOBase) -> Iterator[Tuple[int, bytes]]:
    """Each line that has ended, after its number of octets; one that is too long to be Postfix's is empty."""
    octets = 0
    for piece in iter(lambda: log.readline(LINE_BYTES), b""):
        octets += len(piece)
        if piece.endswith(b"\n") or octets > BYTES:
            yield octets, piece if octets == len(piece) else b""
            octets = 0


def _position_of(log: io.BufferedIOBase, offset: int) -> Position:
    status = os.fstat(log.fileno())
    return Position(status.st_ino, status.st_mtime, offset, _head_of(log, min(HEAD, offset)))


def _head_of(log: io.BufferedIOBase, length: int) -> str:
    log.seek(0)
    return hashlib.sha256(log.read(length)).hexdigest()


def _is_read_to(log: io.BufferedIOBase, position: Position) -> bool:
    """Whether this is the file that was read so far: the one that begins as it did. An empty one had no beginning yet."""
    try:
        if not position.offset:
            return os.fstat(log.fileno()).st_ino == position.inode
        is_as_long = log.seek(0, os.SEEK_END) >= position.offset
        return is_as_long and _head_of(log, min(HEAD, position.offset)) == position.head
    except BROKEN:
        return False


def _distinct(logs: Iterable[io.BufferedIOBase]) -> List[io.BufferedIOBase]:
    """Without a file that is there a second time, being compressed."""
    kept: Dict[str, io.BufferedIOBase] = {}
    for log in logs:
        with contextlib.suppress(*BROKEN):
            kept.setdefault(_head_of(log, HEAD), log)
    return list(kept.values())
