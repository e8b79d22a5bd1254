# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup tables, asked as Postfix asks them: each map of a list in turn, the first answer counts (DATABASE_README).

Many keys are asked at once, for a process per key would take a second for each hundred of them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from .. import _given
from .._errors import HardeningError
from .._postfix.commands import Postfix
from .._postfix.tables import Table, parse_table

INDEXED = ("btree", "cdb", "dbm", "hash", "lmdb", "sdbm")
LISTABLE = (*INDEXED, "texthash", "inline")
"""Of which postmap(1) can list every entry."""
_IN_FILES = (*INDEXED, "texthash", "cidr", "pcre", "regexp")
_IN_PLACE = ("static", "inline", "fail")
_BY_PATTERN = ("cidr", "pcre", "regexp")
"""Asked for whole addresses alone: what is a part of one must not match a pattern (DICT_FLAG_FIXED, mail_addr_find.c)."""
INDEXES = ("", ".cdb", ".db", ".dir", ".lmdb")


class Answer(NamedTuple):
    """What a list of maps says of a key."""

    value: Optional[str]
    unknown: Tuple[str, ...] = ()
    """The maps before the one that answered which nobody could ask here: those behind a socket or a server."""


class Maps:
    """The tables of one configuration; those that are planned and not written yet answer too."""

    def __init__(self, postfix: Postfix, planned: Mapping[str, bytes]) -> None:
        self._postfix = postfix
        self._planned = planned
        self._answers: Dict[str, Optional[Dict[str, Optional[str]]]] = {}
        """By map: what it said of each key that it was asked for; ``None`` for a map that cannot be asked."""
        self._lists: Dict[str, Table] = {}

    def beside(self, planned: Mapping[str, bytes]) -> Maps:
        """The same with other tables that are planned."""
        return Maps(self._postfix, planned)

    def prepare(self, maps: str, keys: Iterable[str]) -> None:
        """Ask every map of the list for all these keys at once."""
        wanted = list(dict.fromkeys(keys))
        for item in split_maps(maps):
            self._ask(item, wanted)

    def find(self, maps: str, key: str, whole: bool = True) -> Answer:
        """What the list says of a key; ``whole`` is false for a part of an address."""
        unknown: List[str] = []
        for item in split_maps(maps):
            if not whole and kind_of(item) in _BY_PATTERN:
                continue
            self._ask(item, [key])
            known = self._answers[item]
            value = self._heard(item, key, unknown) if known is None else known[key]
            if value is not None:
                return Answer(value, tuple(unknown))
        return Answer(None, tuple(unknown))

    def _heard(self, item: str, key: str, unknown: List[str]) -> Optional[str]:
        """What somebody else has said of a key; where nobody has, the map is one of those that are ``unknown``."""
        heard = self._postfix.heard.get((item, key))
        if heard is None or not heard.answered:
            unknown.append(item)
            return None
        return heard.value

    def entries(self, maps: str) -> Table:
        """All that the indexed tables of a list hold; the first entry for a key counts."""
        found: Table = {}
        for item in split_maps(maps):
            for key, value in self._all(item).items():
                found.setdefault(key, value)
        return found

    def unlisted(self, maps: str) -> List[str]:
        """Those maps of a list whose entries nobody can list."""
        return [item for item in split_maps(maps) if path_of(item) not in self._planned and not _can_be_listed(item)]

    def _all(self, item: str) -> Table:
        if item not in self._lists:
            self._lists[item] = self._listed(item)
        return self._lists[item]

    def _listed(self, item: str) -> Table:
        kind, path = kind_of(item), path_of(item)
        if path in self._planned:
            return parse_table(self._planned[path])
        if not _can_be_listed(item):
            return {}
        try:
            return dict(self._postfix.list_table(path, kind))
        except HardeningError:
            return {}

    def _ask(self, item: str, keys: Iterable[str]) -> None:
        known = self._answers.setdefault(item, {})
        if known is None:
            return
        missing = [key for key in keys if key not in known]
        if not missing:
            return
        found = self._found(item, missing)
        if found is None:
            self._answers[item] = None
            return
        known.update({key: found.get(key) for key in missing})

    def _found(self, item: str, keys: List[str]) -> Optional[Table]:
        kind, path = kind_of(item), path_of(item)
        if path in self._planned:
            table = self._all(item)
            return {key: table[key.lower()] for key in keys if key.lower() in table}
        if not (_is_there(path) if is_a_file(item) else kind in (*_IN_PLACE, *_BY_PATTERN)):
            return None
        try:
            return dict(self._postfix.ask_table(path, kind, keys))
        except HardeningError:
            return None


@lru_cache(maxsize=256)
def split_maps(text: str) -> Tuple[str, ...]:
    """The maps of a list."""
    return tuple(item for item in split_words(text) if ":" in item)


@lru_cache(maxsize=256)
def split_words(text: str) -> Tuple[str, ...]:
    """The items of a list; what stands in braces is one word, blanks and commas included (mystrtokq in mystrtok.c)."""
    return tuple(re.findall(r"(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|[^\s,{}])+", text))


@lru_cache(maxsize=1024)
def kind_of(item: str) -> str:
    return _bare(item).partition(":")[0]


def path_of(item: str) -> str:
    return _bare(item).partition(":")[2]


def _bare(item: str) -> str:
    """Without the daemon that asks on behalf of processes in a chroot (proxymap(8))."""
    return re.sub(r"\A(?:proxy:)+", "", item)


def _can_be_listed(item: str) -> bool:
    return kind_of(item) in LISTABLE and (kind_of(item) == "inline" or _is_there(path_of(item)))


def is_kept_by_others(item: str) -> bool:
    """Whether Postfix asks somebody else, on this node or another one: who is asked before a change, and only of what it touches
    (sources.py)."""
    return kind_of(item) not in (*_IN_FILES, *_IN_PLACE)


def has_patterns(item: str) -> bool:
    """Whether what it answers cannot be listed, though it can be asked: it may stand for any key."""
    return is_by_pattern(item) or kind_of(item) == "static"


def is_by_pattern(item: str) -> bool:
    """Whether its entries are patterns."""
    return kind_of(item) in _BY_PATTERN


def is_a_file(item: str) -> bool:
    """Whether its entries lie in a file, and not in main.cf itself or behind a server."""
    kind, path = kind_of(item), path_of(item)
    return kind in _IN_FILES and not (kind in _BY_PATTERN and path.startswith("{"))


def _is_there(path: str) -> bool:
    return any(_given.exists(f"{path}{suffix}") for suffix in INDEXES)
