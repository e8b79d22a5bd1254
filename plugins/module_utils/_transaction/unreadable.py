# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands for a configuration that Postfix's own commands refuse to read: it can be told of, and be brought back."""

from __future__ import annotations

import os
from dataclasses import replace

from .. import _files as files
from .._postfix.commands import Postfix
from .._postfix.state import CONFIGURATION, State, Unreadable, read_contents, read_state
from . import history
from .history import Past
from .ratchet import in_its_place, own_folder, relocated


def remembered(postfix: Postfix, past: Past) -> State:
    """A state that the node remembers, as it would read now."""
    return in_its_place(postfix, past.folder, postfix.config_dir)


def now_or_remembered(postfix: Postfix) -> State:
    """What is now; where nobody can read that, the newest state that is remembered, which a Postfix that still runs has read."""
    try:
        return read_state(postfix)
    except Unreadable:
        known = history.past(postfix.config_dir)
        if not known:
            raise
        return replace(remembered(postfix, known[-1]), contents=read_contents(postfix.config_dir))


def main_cf_alone(postfix: Postfix, problem: Unreadable) -> State:
    """What main.cf says, without services; ``problem`` is raised again where it is main.cf that cannot be read."""
    contents = read_contents(postfix.config_dir)
    with own_folder(postfix.config_dir) as folder:
        for name in CONFIGURATION:
            files.write(os.path.join(folder, name), contents[name] if name == "main.cf" else b"", 0o600)
            files.age(os.path.join(folder, name))
        try:
            alone = read_state(postfix.at(folder))
        except Unreadable:
            raise problem from None
        return replace(relocated(alone, folder, postfix.config_dir), contents=contents)
