# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The digest of the policy: nodes with equal digests have the same policy, whatever certificates they show.

It is a SHA-256 of: what main.cf sets, but not who this host is (UNLIKE); the entries of master.cf; the tables and trust files
below smtp_hardening/ that they name. Numbers of files there, the configuration directory and the host's own name are taken out
of all of it. Certificates with their keys, passwords, and tables elsewhere, are not in it.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Iterator, List

from .. import _files
from .._bytes import to_bytes
from .._postfix import store
from .._postfix.state import STORE, State
from . import files

UNLIKE = ("myhostname", "proxy_interfaces", "smtp_bind_address", "smtp_bind_address6")
KINDS = ("domains", "sni", "pins", store.TRUST, store.TRUST_WITH_SYSTEM)
"""Of what the store holds."""
INDEXED = (".db", ".lmdb", ".cdb", ".dbm", ".dir", ".pag")
"""Tables that are made from their sources."""


def policy_digest(state: State) -> str:
    items = [_plain(state, line) for line in _told(state)]
    for path in _named_files(state):
        content = _plain(state, files.read(path).decode("utf-8", "replace"))
        items.append(f"{_plain(state, path)} {hashlib.sha256(content.encode()).hexdigest()}")
    return hashlib.sha256(to_bytes("\n".join(sorted(items)))).hexdigest()


def _told(state: State) -> Iterator[str]:
    yield from (f"main.cf {name} = {value}" for name, value in state.explicit.items() if name not in UNLIKE)
    yield from (f"master.cf {' '.join(service.entry.split())}" for service in state.services)


def _named_files(state: State) -> List[str]:
    """The sources of tables, and the trust files, that main.cf and master.cf name."""
    folders = {os.path.join(state.store, kind) for kind in KINDS}
    named = store.named(state.config_dir, to_bytes("\n".join(_told(state))))
    kept = [path for path in named if os.path.dirname(path) in folders]
    inside = [os.path.join(path, name) for path in kept for name in _files.names(path)]
    return sorted(path for path in [*kept, *inside] if not path.endswith(INDEXED) and _files.is_file(path))


def _plain(state: State, text: str) -> str:
    """Text without what may differ between two nodes with the same policy."""
    text = text.replace(state.config_dir, "$config_directory")
    text = re.sub(rf"(\$config_directory/{STORE}/[\w/.-]*?)/\d+(?=[/.\s,]|\Z)", r"\1/*", text)
    return re.sub(rf"(?<![\w.-]){re.escape(state.effective['myhostname'])}(?![\w-]|\.\w)", "$myhostname", text)
