# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of entries of master.cf themselves: pure data, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Optional, Tuple

from .._edge import Options
from .._errors import InvalidValue
from .networks import check_networks
from .services import check_listed_once, read_service_name
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
    process_limit: Optional[str] = None
    """As master.cf spells it: C(-) is C(default_process_limit)."""
    overrides: Overrides = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.name.rpartition("/")[2]


def read_entries(items: Optional[Iterable[Options]], public: Iterable[object] = ()) -> Tuple[EntryWish, ...]:
    """The option ``services`` of C(smtp_settings); ``public`` are the public ranges that may relay."""
    read = tuple(_entry(index, item) for index, item in enumerate(items or ()))
    for entry in read:
        check_networks(f"services[{entry.name}].parameters.mynetworks", entry.overrides.get("mynetworks"), public)
    check_listed_once([entry.name for entry in read])
    return read


def _entry(index: int, item: Options) -> EntryWish:
    name = read_service_name(f"services[{index}].name", item["name"])
    option = f"services[{name}]"
    command = item.get("command")
    if command is not None and not re.match(r"[a-z][a-z-]*\Z", command):
        raise InvalidValue(
            f"{option}.command", command, "is no daemon of Postfix", "name a program, such as smtpd, without arguments"
        )
    limit = item.get("process_limit")
    if limit is not None and not re.match(r"(\d+|default)\Z", limit):
        raise InvalidValue(f"{option}.process_limit", limit, "is no number", "give one, 0 for no limit, or default")
    overrides = {
        _parameter(option, key): _override(f"{option}.parameters.{key}", value)
        for key, value in (item.get("parameters") or {}).items()
    }
    return EntryWish(
        name,
        item.get("state") != "absent",
        command,
        item.get("chroot"),
        "-" if limit == "default" else limit,
        overrides,
    )


def _override(option: str, value: object) -> Optional[str]:
    """postconf -Pe takes no blanks (postconf(1)); in lists, commas do as well."""
    text = read_value(option, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value)
    if text and re.search(r"\s", text):
        raise InvalidValue(
            option,
            value,
            "holds a blank, which an override in master.cf cannot",
            "separate by commas, or set a parameter of your own in main.cf and name it here as $name",
        )
    return text


def _parameter(option: str, name: object) -> str:
    if not re.match(r"\w+\Z", str(name)):
        raise InvalidValue(f"{option}.parameters", name, "is no name of a parameter", "write it as in postconf(5)")
    return str(name)
