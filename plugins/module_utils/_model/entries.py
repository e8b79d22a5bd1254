# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of entries of master.cf themselves: pure data, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Tuple

from .._errors import InvalidValue
from .services import read_service_name
from .settings import read_value

Overrides = Mapping[str, Optional[str]]


@dataclass(frozen=True)
class EntryWish:
    """One entry. ``None`` means: not asked for, left alone."""

    name: str
    """``name/type``, as postconf -M takes it."""
    wanted: bool = True
    command: Optional[str] = None
    chroot: Optional[bool] = None
    process_limit: Optional[int] = None
    overrides: Overrides = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.name.rpartition("/")[2]


def read_entries(items: Optional[Iterable[Mapping[str, Any]]]) -> Tuple[EntryWish, ...]:
    """The option ``services`` of C(smtp_settings)."""
    read = tuple(_entry(f"services[{index}]", item) for index, item in enumerate(items or ()))
    names = [entry.name for entry in read]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidValue("services", twice[0], "is listed twice", "keep one entry per service")
    return read


def _entry(option: str, item: Mapping[str, Any]) -> EntryWish:
    name = read_service_name(f"{option}.name", item["name"])
    command = item.get("command")
    if command is not None and not re.match(r"[a-z][a-z-]*\Z", command):
        raise InvalidValue(
            f"{option}.command", command, "is no daemon of Postfix", "name a program, such as smtpd, without arguments"
        )
    limit = item.get("process_limit")
    if limit is not None and limit < 0:
        raise InvalidValue(f"{option}.process_limit", limit, "is negative", "give 0 for no limit, or a number")
    overrides = {
        _parameter(option, key): read_value(f"{option}.parameters.{key}", value)
        for key, value in (item.get("parameters") or {}).items()
    }
    return EntryWish(name, item.get("state") != "absent", command, item.get("chroot"), limit, overrides)


def _parameter(option: str, name: Any) -> str:
    if not re.match(r"\w+\Z", str(name)):
        raise InvalidValue(f"{option}.parameters", name, "is no name of a parameter", "write it as in postconf(5)")
    return str(name)
