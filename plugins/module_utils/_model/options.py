# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that are fields of a dataclass: each field says how a task writes it, and which parameter of Postfix it is."""

from __future__ import annotations

from dataclasses import fields
from typing import Callable, Iterator, Mapping, NamedTuple, Optional, Tuple, Type

from .._edge import Arguments, Options
from .levels import Ordered


class Kind(NamedTuple):
    """What may be written, and what is made of it."""

    argument: Arguments
    """What Ansible checks."""
    read: Callable[[str, object], object]
    """From the option's name and what is written there."""
    parameter: str = ""
    """The parameter that has the same value, behind C(smtp_) or C(smtpd_); empty where there is more to it."""
    words: Optional[Type[Ordered]] = None
    """The list that it is one of; ``None`` for yes and no, lists and paths."""


Field = Mapping[str, Kind]
"""Metadata of a dataclass's field."""


def word(words: Type[Ordered], parameter: str = "") -> Field:
    """One of a closed list."""
    return {"kind": Kind({"type": "str", "choices": words.words()}, words.read, parameter, words)}


def switch(parameter: str = "") -> Field:
    """Yes or no, which protects nothing by itself."""
    return {"kind": Kind({"type": "bool"}, lambda _option, value: bool(value), parameter)}


def path(read: Callable[[str, object], str]) -> Field:
    return {"kind": Kind({"type": "path"}, read)}


def items(read: Callable[[str, object], str]) -> Field:
    """A list, of which each item is read by itself."""

    def read_all(option: str, value: object) -> Tuple[str, ...]:
        return tuple(read(option, item) for item in (value if isinstance(value, (list, tuple)) else [value]))

    return {"kind": Kind({"type": "list", "elements": "str"}, read_all)}


def arguments(wish: type) -> Arguments:
    """The suboptions that a task may write, for an argument_spec."""
    return {name: kind.argument for name, kind in kinds(wish)}


def read_options(wish: type, option: str, given: Optional[Options]) -> Options:
    """What a task has written, by field."""
    found = given or {}
    return {
        name: kind.read(f"{option}.{name}", found[name]) for name, kind in kinds(wish) if found.get(name) is not None
    }


def kinds(wish: type) -> Iterator[Tuple[str, Kind]]:
    """The fields of a dataclass that are options."""
    return ((item.name, item.metadata["kind"]) for item in fields(wish) if "kind" in item.metadata)
