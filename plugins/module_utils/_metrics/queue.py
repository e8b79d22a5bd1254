# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many messages are in the queue, and since when."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterator, Optional, Tuple

from .._folder import Folder
from .._postfix.state import State
from .files import open_folder
from .output import Metrics

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
DEPTH = 8
"""Folders in folders of a queue (postconf(5), hash_queue_depth, makes 1 to 3)."""


def tell_queue(state: State, now: float, metrics: Metrics) -> None:
    top, oldest = state.effective["queue_directory"], now
    for queue in QUEUES:
        count = 0
        for folder, name in queue_files(os.path.join(top, queue)):
            count += 1
            if queue == "deferred":
                oldest = min(oldest, arrival(folder, name) or now)
        metrics.add("queue_messages", count, queue=queue)
    metrics.add("oldest_deferred_message_age_seconds", now - oldest)


def queue_files(path: str) -> Iterator[Tuple[Folder, str]]:
    """The files of a queue, each by its folder and name. Some queues have folders below them (postconf(5), hash_queue_names)."""
    with contextlib.suppress(FileNotFoundError):
        yield from _files_below(open_folder(path), DEPTH)


def _files_below(folder: Folder, depth: int) -> Iterator[Tuple[Folder, str]]:
    """They are Postfix's own to swap while we look: no link is followed. The folder is closed afterwards."""
    with folder, os.scandir(folder.descriptor) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield folder, entry.name
            elif depth and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    yield from _files_below(folder.folder(entry.name), depth - 1)


def arrival(folder: Folder, name: str) -> Optional[int]:
    """The time record of a queue file, its first or after that of sizes. The file's own time is that of the next attempt.
    None where the file is gone, or none of Postfix's."""
    try:
        with folder.opened(name) as descriptor:
            found = re.match(rb"(?:C.[\d ]+)?T.(\d{9,11}) ", os.read(descriptor, 256), re.DOTALL)
    except OSError:
        return None
    return int(found[1]) if found else None
