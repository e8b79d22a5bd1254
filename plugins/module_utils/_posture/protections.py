# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can protect less than before: each kind of value knows when, and how a person reads it.

Levels, floors and grades are ``Ordered`` (levels.py). These are the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Mapping, Optional, Union

from .._model.levels import ClientLevel, Ordered


@dataclass(frozen=True)
class AtLeast:
    """A set of which nothing may go: ciphers that are excluded, what is demanded of clients."""

    items: FrozenSet[str] = frozenset()

    def is_weaker_than(self, other: object) -> bool:
        return isinstance(other, AtLeast) and not self.items >= other.items

    def __str__(self) -> str:
        return ", ".join(sorted(self.items)) or "nothing"


@dataclass(frozen=True)
class AtMost:
    """A set to which nothing may come: names that a certificate may have, CAs that are trusted, networks that may relay."""

    items: FrozenSet[str] = frozenset()

    def is_weaker_than(self, other: object) -> bool:
        return isinstance(other, AtMost) and not self.items <= other.items

    def __str__(self) -> str:
        shown = sorted(self.items)
        return ", ".join(shown[:_MOST]) + (f" and {len(shown) - _MOST} more" if len(shown) > _MOST else "") or "nothing"


_MOST = 5


@dataclass(frozen=True)
class Names(AtMost):
    """Names that a server's certificate may have. The host's own, which DNS chooses, promises no more than the domain's does."""

    def is_weaker_than(self, other: object) -> bool:
        if not isinstance(other, AtMost):
            return False
        implied = {"nexthop", "dot-nexthop"} if "hostname" in other.items else set()
        return not self.items <= other.items | implied


@dataclass(frozen=True)
class Covering(AtMost):
    """Lists of which each entry covers what is below it. One that is empty, now or before, covers nothing that it did not."""

    empty: FrozenSet[str] = frozenset()

    def is_weaker_than(self, other: object) -> bool:
        return isinstance(other, Covering) and not self.items - self.empty - other.empty <= other.items


@dataclass(frozen=True)
class Same(AtLeast):
    """A set of which nothing may go, nor may anything come: what patterns say of domains that nobody can list."""

    def is_weaker_than(self, other: object) -> bool:
        return isinstance(other, Same) and self.items != other.items


@dataclass(frozen=True)
class Switch:
    """One parameter of which one value protects."""

    protects: bool
    value: str

    def is_weaker_than(self, other: object) -> bool:
        return isinstance(other, Switch) and other.protects and not self.protects

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Unknown:
    """What only somebody else can answer, such as a table behind a socket: the same question is the same answer."""

    sources: FrozenSet[str] = frozenset()

    def is_weaker_than(self, other: object) -> bool:
        return isinstance(other, Unknown) and not self.sources <= other.sources

    def __str__(self) -> str:
        return " and ".join(sorted(self.sources)) or "nothing"


@dataclass(frozen=True)
class Instead:
    """What mail has that did not get what was tried first: the level of another next hop, or, for ``None``, a place in the queue."""

    level: Optional[ClientLevel] = None

    def is_weaker_than(self, other: object) -> bool:
        if not isinstance(other, Instead) or self.level is None:
            return False
        return other.level is None or self.level.is_weaker_than(other.level)

    def __str__(self) -> str:
        if self.level is None:
            return "kept"
        return "plaintext" if self.level is ClientLevel.NONE else str(self.level)


Protection = Union[Ordered, AtLeast, AtMost, Switch, Unknown, Instead]
Protections = Mapping[str, Optional[Protection]]
"""By what they are called; ``None`` for what protects nothing at all."""


def is_weaker(after: Optional[Protection], before: Optional[Protection]) -> bool:
    """Whether something that ``before`` guarantees is lost."""
    if before is None:
        return False
    if isinstance(before, Ordered):
        return not isinstance(after, Ordered) or after.is_weaker_than(before)
    return after is None or isinstance(after, Ordered) or after.is_weaker_than(before)


def weakest(one: Protections, other: Protections) -> Dict[str, Optional[Protection]]:
    """What holds where mail may go either way."""
    return {name: _common(value, other[name]) for name, value in one.items() if name in other}


def _common(one: Optional[Protection], other: Optional[Protection]) -> Optional[Protection]:
    """What both guarantee. Of two that each guarantee something that the other does not, that is less than either."""
    if isinstance(one, Ordered) and isinstance(other, Ordered):
        return one.common(other)
    if isinstance(one, AtLeast) and isinstance(other, AtLeast):
        return AtLeast(one.items & other.items)
    if isinstance(one, AtMost) and isinstance(other, AtMost):
        return type(one)(one.items | other.items)
    if isinstance(one, Unknown) and isinstance(other, Unknown):
        return Unknown(one.sources | other.sources)
    return other if is_weaker(other, one) else one
