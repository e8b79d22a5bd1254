# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that a configuration names and Postfix cannot do without: certificates, keys, CAs, tables."""

from __future__ import annotations

import re
from typing import Iterator, Mapping, Set

from .. import _given
from .state import State

_TABLE = re.compile(r"(?:\A|[\s,{])(?:proxy:)*(?:btree|cdb|dbm|hash|lmdb|sdbm|texthash|cidr|pcre|regexp):(/[^\s,{}]+)")
_PATH = re.compile(r"(?:\A|[\s,])(/[^\s,]+)")
_TLS = re.compile(r"_tls_\w*(?:file|files|CAfile|CApath)\Z")
_MADE_BY_POSTFIX = re.compile(r"_cache_database\Z|_cache_map\Z|\Aaddress_verify_map\Z")
"""Tables that a daemon makes where they are missing (postconf(5))."""
_INDEXES = ("", ".cdb", ".db", ".dir", ".lmdb")


def files_of(name: str, value: str) -> Iterator[str]:
    """The files that the value of a parameter names, ``$name`` filled in."""
    if _MADE_BY_POSTFIX.search(name):
        return
    yield from _TABLE.findall(value)
    if _TLS.search(name):
        yield from _PATH.findall(value)


def is_there(path: str) -> bool:
    """Also where only the index of a table is."""
    return any(_given.exists(f"{path}{suffix}") for suffix in _INDEXES)


def missing(state: State) -> Set[str]:
    """What main.cf and master.cf name, and is not there."""
    named = {path for values in _all(state) for name, value in values.items() for path in files_of(name, value)}
    return {path for path in named if not is_there(path)}


def _all(state: State) -> Iterator[Mapping[str, str]]:
    yield {name: state.effective.get(name, value) for name, value in state.explicit.items()}
    yield from (service.overrides for service in state.services)
