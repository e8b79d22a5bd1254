# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup tables whose entries are secrets, such as passwords for other servers: root's alone, and shown nowhere.

Postfix's SMTP client opens them as root before it enters its chroot (SASL_README, "Configuring SASL authentication in
the Postfix SMTP/LMTP client").
"""

from __future__ import annotations

import os
import re
from typing import List, Mapping, NamedTuple, Optional, Tuple

from .. import _files as files
from . import store
from .levels import Parameters
from .plan import NewFile, Shown
from .state import State
from .tables import Table, parse_table, render_table


class SecretChanges(NamedTuple):
    """As a plan takes them."""

    parameters: Parameters
    files: Tuple[NewFile, ...]
    shown: Tuple[Shown, ...]


def secret_changes(state: State, wanted: Mapping[str, Table]) -> SecretChanges:
    """What differs of the tables that a task names; one without entries goes."""
    parameters: Parameters = {}
    files: List[NewFile] = []
    shown: List[Shown] = []
    for name, table in wanted.items():
        here = current(state, name)
        content = render_table("smtp_settings", table)
        if not table:
            parameters.update({name: None} if here else {})
        elif here is None or state.explicit[name] != f"{state.table_type}:{here}" or _content(here) != content:
            path = os.path.join(store.next_path(os.path.join(state.store, "secrets")), name)
            files.append(NewFile(path, content, mode=0o600, table=True))
            shown.append(Shown(f"secrets for {name}", _summary(here), f"{len(table)} entries, not shown, changed\n"))
            parameters[name] = f"{state.table_type}:{path}"
    return SecretChanges(parameters, tuple(files), tuple(shown))


def current(state: State, name: str) -> Optional[str]:
    """The file that main.cf names, where it is ours."""
    ours = rf"\w+:({re.escape(os.path.join(state.store, 'secrets'))}/\d+/{name})\Z"
    found = re.match(ours, state.explicit.get(name, ""))
    return found[1] if found else None


def stored(state: State, name: str = "smtp_sasl_password_maps") -> Table:
    """The entries that the node has already, in a table of ours."""
    path = current(state, name)
    return parse_table(_content(path)) if path else {}


def _content(path: str) -> bytes:
    return store.read(path) if files.exists(path) else b""


def _summary(path: Optional[str]) -> str:
    return "entries, not shown\n" if path else ""
