# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies of Postfix's folders for a twin: its queue without its mail, and its configuration.

Others own folders of the queue. Each copy is root's alone, in a folder of root's alone, until all in it is
complete; then it is given away, the innermost first. So nobody can swap what root still works on.
"""

from __future__ import annotations

import errno
import os
from typing import AbstractSet, Iterator

from .._folder import Folder, like, link_target, open_folder
from .._postfix.state import CONFIGURATION, STORE

_QUEUES = frozenset("active bounce corrupt defer deferred flush hold incoming maildrop pid saved trace".split())
_DEEPEST = 16
_MOST = 10_000
"""Names in one folder of the queue and below that are given to the twin; sockets and a chroot need far fewer."""


def mirror_configuration(config_dir: str, copy: str) -> None:
    """Everything beside main.cf and master.cf, as second names of the live files. Not as links: ``postfix check`` warns of
    each that it is writable for all, as links are."""
    with open_folder(config_dir) as source, open_folder(copy) as target:
        _mirror(source, target, frozenset((*CONFIGURATION, STORE)), 0)


def _mirror(source: Folder, copy: Folder, without: AbstractSet[str], depth: int) -> None:
    for name in set(source.names()) - without:
        try:
            inner = source.folder(name) if depth < _DEEPEST else None
        except NotADirectoryError:
            inner = None
        if inner is not None:
            with inner, copy.make(name) as made:
                _mirror(inner, made, frozenset(), depth + 1)
                like(made.descriptor, inner.descriptor)
        elif link_target(source, name) is not None or not _link(source, name, copy):
            os.symlink(os.path.realpath(source.path_of(name)), name, dir_fd=copy.descriptor)


def mirror_queue(queue: Folder, spool: Folder, own: AbstractSet[str]) -> None:
    """The folders of the live queue without its mail; what others put there, the chroot's files
    included, under a second name. ``own`` are the sockets that the twin makes for itself."""
    for name in queue.names():
        if name == STORE:
            continue
        try:
            source = queue.folder(name)
        except (NotADirectoryError, FileNotFoundError):
            continue
        with source, spool.make(name) as copy:
            if name not in _QUEUES:
                _link_all(source, copy, own if name in ("private", "public") else frozenset(), iter(range(_MOST)), 0)
            like(copy.descriptor, source.descriptor)


def _link_all(source: Folder, copy: Folder, without: AbstractSet[str], budget: Iterator[int], depth: int) -> None:
    for name in source.names():
        if name in without or next(budget, None) is None:
            continue
        try:
            inner = source.folder(name)
        except NotADirectoryError:
            _link(source, name, copy)
        except FileNotFoundError:  # gone
            continue
        else:
            with inner:
                if depth < _DEEPEST:
                    with copy.make(name) as made:
                        _link_all(inner, made, frozenset(), budget, depth + 1)
                        like(made.descriptor, inner.descriptor)


def _link(source: Folder, name: str, copy: Folder) -> bool:
    """Whether there is a second name now; not so for what lies in another file system, may not have one (a folder, or what
    chattr(1) keeps from any change: link(2)), or is gone."""
    try:
        source.link(name, copy, name)
    except OSError as problem:
        if problem.errno not in (errno.EXDEV, errno.EPERM, errno.ENOENT):
            raise
        return False
    return True
