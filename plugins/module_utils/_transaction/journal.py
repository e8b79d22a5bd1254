# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the configuration was, on disk before the first change, so that any later run can go back.

Layout below ``smtp_hardening/transaction/``, which is there only while a change is under way::

    journal.json   who changes what; while it is there, the change is not proven
    was/           main.cf and master.cf as they were: the same files under a second name
    ours/          digests of what this change has put in their place, so that other people's edits are told apart
    stage/         the configuration directory as it will be
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import Dict, List, Optional

from .. import _files as files
from .._errors import HardeningError
from .._postfix.commands import Postfix
from .._postfix.state import CONFIGURATION, STORE
from . import twin
from .reloading import reload


@dataclass(frozen=True)
class Author:
    """Who makes a change: for the journal, the history and the people who read them."""

    module: str
    task: Optional[str] = None

    def __str__(self) -> str:
        return f'"{self.task}" ({self.module})' if self.task else self.module


@dataclass(frozen=True)
class Journal:
    """How one change is undone, whoever finds it."""

    author: Author
    time: str
    queue_dir: str
    """Where the twin lies."""
    saved: Dict[str, str] = field(default_factory=dict)
    """Each live file and the name under which it is kept as it was; main.cf first."""
    created: List[str] = field(default_factory=list)
    """What is there only because of this change."""


def folder(config_dir: str) -> str:
    return os.path.join(config_dir, STORE, "transaction")


def _path(config_dir: str) -> str:
    return os.path.join(folder(config_dir), "journal.json")


def begin(config_dir: str, author: Author, time: str, queue_dir: str, created: List[str]) -> Journal:
    """Keep main.cf and master.cf under a second name, then write the journal in one step."""
    here = folder(config_dir)
    journal = Journal(author, time, queue_dir, {}, created)
    files.make_folder(files.resolve(config_dir, STORE), 0o755)
    for name in ("was", "ours"):
        files.make_folder(os.path.join(here, name), 0o700)
    for name in CONFIGURATION:
        live, kept = files.resolve(config_dir, name), os.path.join(here, "was", name)
        _link(live, kept)
        journal.saved[live] = kept
    files.write(_path(config_dir), json.dumps(asdict(journal), indent=1).encode(), 0o600)
    return journal


def _link(live: str, kept: str) -> None:
    """A second name, which a file does not get that could not be replaced either."""
    try:
        files.link(live, kept)
    except OSError as problem:
        remedy = _REMEDIES.get(problem.errno or 0)
        if remedy is None:
            raise
        raise HardeningError(
            f"{live} cannot be replaced ({problem.strerror}): {remedy}; nothing was changed."
        ) from None


_REMEDIES = {
    errno.EPERM: "lsattr shows whether it is immutable, and chattr -i ends that",
    errno.EXDEV: "where it is a mount of its own, as in a container, mount its folder in place of it",
}


def find(config_dir: str) -> Optional[Journal]:
    """The journal of a change that is not proven; ``None`` where there is none."""
    path = _path(config_dir)
    if not files.exists(path):
        return None
    try:
        found = json.loads(files.read(path))
        return Journal(**{**found, "author": Author(**found["author"])})
    except (ValueError, TypeError, KeyError):
        raise HardeningError(
            f"{path} tells of an interrupted change but cannot be read; compare main.cf and master.cf "
            f"with {folder(config_dir)}/was, put right what is wrong, and remove {folder(config_dir)}."
        ) from None


def undo(postfix: Postfix, journal: Journal, was_running: bool = False) -> Optional[str]:
    """Bring everything back; what a person must know where Postfix could not be told.

    May be interrupted and begun again at any point. Needs no space on the disk: renames only.
    """
    swapped = [live for live, kept in journal.saved.items() if not files.same(live, kept)]
    complaints = [_bring_back(live, journal.saved[live]) for live in swapped if files.exists(journal.saved[live])]
    complaints += [_reload(postfix, journal.queue_dir, was_running)] if swapped else []
    twin.remove(postfix, journal.queue_dir)
    for path in reversed(journal.created):
        files.remove(path)
    end(postfix.config_dir)
    return " ".join(filter(None, complaints)) or None


def put(live: str, kept: str, new: str, expected: bytes) -> None:
    """Put the file ``new`` at ``live``, in one step, if ``expected`` is there."""
    files.make_like(new, live)
    files.write(_mark(kept, files.read(new)), b"", 0o600)
    if files.read(live) == expected:
        _exchange(live, new)
        if files.read(new) == expected:
            return
        _exchange(live, new)  # somebody was between the look and the exchange: theirs goes back where it was
    raise edited(live)


def edited(live: str) -> HardeningError:
    return HardeningError(
        f"{live} was changed by somebody else while this change was prepared; it stays as they left it. Run the task again."
    )


def _exchange(live: str, new: str) -> None:
    try:
        files.exchange(live, new)
    except (OSError, AttributeError, MemoryError) as problem:  # a file system, a C library or a sandbox that cannot
        if isinstance(problem, OSError) and problem.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        before = files.read(live)
        files.move(new, live)
        files.write(new, before, 0o600)


def _mark(kept: str, content: bytes) -> str:
    """The name of an empty file that says: this content is ours."""
    here, name = os.path.dirname(os.path.dirname(kept)), os.path.basename(kept)
    return os.path.join(here, "ours", f"{name}.{hashlib.sha256(content).hexdigest()}")


def _bring_back(live: str, kept: str) -> Optional[str]:
    """What was, at its place again. What somebody else has made of ours stays beside it; what they made before ours
    came, where it is."""
    marks = os.path.dirname(_mark(kept, b""))
    there = files.read(live) if files.exists(live) else b""
    told = None
    if there and files.is_folder(marks) and not files.exists(_mark(kept, there)):
        if not any(name.startswith(f"{os.path.basename(kept)}.") for name in files.names(marks)):
            return None
        told = f"Somebody else has edited {live} meanwhile; what they made of it is in {live}.edited."
        files.remove(f"{live}.edited")
        files.link(live, f"{live}.edited")
    files.move(kept, live)
    return told


def settle(config_dir: str) -> None:
    """Let the state of now hold, in one step: without a journal there is nothing to undo."""
    files.remove(_path(config_dir))


def end(config_dir: str) -> None:
    """Take away all that belongs to the change, its journal first."""
    settle(config_dir)
    files.remove(folder(config_dir))


def sweep(config_dir: str) -> None:
    """Take away what killed runs left: a change that had not begun, files that were not complete."""
    if not files.exists(_path(config_dir)):
        files.remove(folder(config_dir))
    files.remove_incomplete(os.path.join(config_dir, STORE))


def _reload(postfix: Postfix, queue_dir: str, was_running: bool) -> Optional[str]:
    """Tell Postfix. One that was stopped since starts with what is right again; one that ended because of
    this change is started."""
    try:
        if was_running and not postfix.is_running():
            postfix.start()
        else:
            reload(postfix, queue_dir)
    except HardeningError as problem:
        return f"Postfix could not be reloaded with the old configuration: {problem}"
    return None
