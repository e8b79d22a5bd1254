# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's document of a fleet: where it lies, and how runs that share it write to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Iterator

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._fleet import (
    Nodes,
    read_document,
    write_document,
)

NAME = ".smtp_fleet.json"
"""In the inventory's folder, of whose files Ansible reads those whose name begins with a dot as no inventory."""


def place(variables: Facts) -> str:
    """Where a host's inventory says that the document lies; a relative path begins at the inventory."""
    stated = str(variables.get("smtp_fleet_state") or NAME)
    path, folder = os.path.expanduser(stated), variables.get("inventory_dir")
    if not os.path.isabs(path) and not folder:
        raise HardeningError(
            f"smtp_fleet_state: {stated} is a relative path, and this inventory has no folder; give the whole path."
        )
    # Links lead to what controllers share: a file in the place of the link would be this one's alone.
    return os.path.realpath(os.path.join(str(folder), path))


def known(path: str) -> Nodes:
    """What the document says now."""
    with _said(path):
        if not os.path.exists(path):
            return read_document(path, "")
        with open(path, encoding="utf-8", errors="replace") as file:
            return read_document(path, file.read())


@contextlib.contextmanager
def changed(path: str) -> Iterator[Nodes]:
    """What the document says, to be changed: it is written in one step, and other runs wait meanwhile."""
    with _said(path):
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        nodes = known(path)
        yield nodes
        with _said(path):
            _write(path, write_document(nodes))
    finally:
        os.close(lock)


def _write(path: str, content: str) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


@contextlib.contextmanager
def _said(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise HardeningError(
            f"smtp_fleet_state: {path}: {problem.strerror}; name a file on the controller that whoever runs this may write."
        ) from None
