# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificate clients see that ask for a host by name: SNI (RFC 6066 section 3, tls_server_sni_maps).

The indexed table holds the chain files themselves, keys included (C(postmap -F), postmap(1)): it is
for root alone, and made anew whenever one of these certificates is.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterable, Iterator, Mapping, NamedTuple, Optional, Tuple

from .. import _files as files
from . import store
from .levels import Parameters
from .plan import NewFile, Shown
from .state import STORE, State, split_list, without
from .tables import parse_table, render_table

PARAMETER = "tls_server_sni_maps"
_OURS = rf"[a-z]+:(?P<path>/[^\s,]*/{STORE}/sni/\d+/table)"

Served = Dict[str, str]
"""Each host name and the chain file that it is served with."""


class SniPlan(NamedTuple):
    parameters: Parameters
    files: Tuple[NewFile, ...]
    shown: Tuple[Shown, ...]


def served(state: State) -> Served:
    """What the table that main.cf names was made from."""
    path = current(state)
    return parse_table(store.read(path)) if path and files.exists(path) else {}


def hosts_of(state: State, name: str) -> Tuple[str, ...]:
    """The host names for which clients see the stored certificate ``name``."""
    return tuple(host for host, path in served(state).items() if store.name_of(path) == name)


def keys(host: str) -> Iterator[str]:
    """What Postfix looks a name up by: itself, then the domains above it (postconf(5))."""
    host = host.lower()
    yield host
    while "." in host[1:]:
        host = host[host.index(".", 1) :]
        yield host


def plan_sni(state: State, name: str, hosts: Iterable[str], path: Optional[str], active: Optional[str]) -> SniPlan:
    """Serve ``hosts``, and no others, with the certificate ``name``, which lies, or will lie, at ``path``.

    Whoever asks for the node's own name is shown the ``active`` certificate, as who asks for no name: an entry for it, or for
    all names of its domain, leads there. ``None`` where the active one is not of the store, and so not ours to follow.
    """
    before = served(state)
    after = {host: file for host, file in before.items() if store.name_of(file) != name}
    after.update((host, path) for host in hosts if path is not None)
    own = state.effective["myhostname"].lower()
    if active is not None and any(key in after for key in keys(own)):
        after[own] = active
    if after == before and (not after or _is_intact(state)):
        return SniPlan({}, (), ())
    table = os.path.join(store.next_path(os.path.join(state.store, "sni")), "table")
    files = (NewFile(table, render_table("smtp_tls_cert", after), 0o600, embeds=True),) if after else ()
    ours = f"{state.table_type}:{table}" if after else ""
    others = without(state.explicit.get(PARAMETER, ""), _OURS)
    value = ", ".join(part for part in (ours, others) if part) or None
    return SniPlan({PARAMETER: value}, files, (Shown("certificates by host name", _text(before), _text(after)),))


def _text(entries: Mapping[str, str]) -> str:
    return "".join(f"{host}: {store.name_of(path)}\n" for host, path in sorted(entries.items()))


def _is_intact(state: State) -> bool:
    """Whether the index is there beside its source, of the type that new tables get."""
    path = current(state) or ""
    folder = os.path.dirname(path)
    if f"{state.table_type}:{path}" not in split_list(state.explicit[PARAMETER]):
        return False
    return any(entry.startswith("table.") for entry in files.names(folder))


def current(state: State) -> Optional[str]:
    """The table of ours that main.cf names."""
    found = re.search(_OURS, state.explicit.get(PARAMETER, ""))
    return found["path"] if found else None
