# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where this Postfix instance logs to, and what it has logged since now."""

from __future__ import annotations

import os
import pwd
import time
from contextlib import ExitStack, contextmanager
from typing import Callable, Iterator, List, Optional

from .._bytes import to_text
from .._errors import HardeningError
from .._folder import follow
from .._postfix.commands import Postfix
from .._postfix.state import State

Log = Callable[[], List[str]]
"""The lines since it was opened."""

_FILES = ("/var/log/mail.log", "/var/log/maillog")
"""Where a syslog may put them. One of these may lie there abandoned: each is read from its end on."""

_FACILITIES = {"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "authpriv": 10}
_FACILITIES.update((f"local{number}", 16 + number) for number in range(8))
"""As the journal knows them (syslog(3))."""


def open_log(postfix: Postfix, state: State) -> Log:
    """Read what is logged from now on: in ``maillog_file`` where there is one, else where syslog brings it. A file of a
    syslog is believed where the journal has nothing of Postfix: anybody can have lines written there."""
    path = log_file(state)
    if path is not None:
        return _File(path).lines
    journal, files = _journal(postfix, state), [_File(path) for path in _FILES]
    return lambda: journal() or [line for file in files for line in file.lines()]


def _journal(postfix: Postfix, state: State) -> Log:
    """What root and Postfix's own account have sent to syslog: others may call themselves postfix, too (logger(1))."""
    facility = _FACILITIES.get(state.effective.get("syslog_facility", "mail"), _FACILITIES["mail"])
    argv = ["journalctl", "--quiet", "--output=short", f"--since=@{int(time.time())}"]
    argv += [*by_postfix(state), f"SYSLOG_FACILITY={facility}"]

    def lines() -> List[str]:
        said = postfix.run(argv).stdout if os.path.isdir("/run/systemd/journal") else ""
        return [line for line in said.split("\n") if line]

    return lines


def by_postfix(state: State) -> List[str]:
    """What journalctl(1) is asked for to have what root and Postfix's own account have sent."""
    accounts = {0, _uid(state.effective.get("mail_owner", "postfix"))}
    return [f"_UID={uid}" for uid in sorted(accounts)]


def log_file(state: State) -> Optional[str]:
    """The file that Postfix itself writes its log to; ``None`` where that is another's to write (MAILLOG_README)."""
    path = state.effective.get("maillog_file")
    return path if path and path != "/dev/stdout" else None


def _uid(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return 0


class _File:
    """A log file from its end on. It may be there later, be renamed and made anew, or be cut off (logrotate(8))."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = b""
        self.inode: Optional[int] = None
        self.position = 0
        with self._open() as descriptor:
            if descriptor is not None:
                found = os.fstat(descriptor)
                self.inode, self.position = found.st_ino, found.st_size

    def lines(self) -> List[str]:
        with self._open() as descriptor:
            if descriptor is not None:
                found = os.fstat(descriptor)
                if found.st_ino != self.inode or found.st_size < self.position:
                    self.inode, self.position = found.st_ino, 0
                added = os.pread(descriptor, found.st_size - self.position, self.position)
                self.text += added
                self.position += len(added)
        return to_text(self.text).split("\n")

    @contextmanager
    def _open(self) -> Iterator[Optional[int]]:
        """The file as it is now, through whatever links: of what is in it, only what is said of our messages counts."""
        with ExitStack() as opened:
            try:
                place = follow(self.path, lambda folder, name, inner: None)
                descriptor = opened.enter_context(opened.enter_context(place.folder).opened(place.name))
            except (OSError, HardeningError):
                descriptor = None
            yield descriptor
