# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would change: made before anything is written, shown by check and diff mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .levels import Parameters
from .state import State


@dataclass(frozen=True)
class NewFile:
    """A file to put in place before main.cf names it."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    table: bool = False
    """Whether Postfix reads it as an indexed table: it is built and asked before it is used."""


@dataclass(frozen=True)
class Shown:
    """One thing before and after, as ``--diff`` prints it."""

    title: str
    before: str
    after: str


@dataclass(frozen=True)
class Plan:
    """Parameters, services and files that differ from what is wanted. Empty: nothing to do."""

    set: Mapping[str, str] = field(default_factory=dict)
    unset: Tuple[str, ...] = ()
    services: Tuple[str, ...] = ()
    """master.cf entries to add or replace, as ``postconf -Me`` takes them."""
    files: Tuple[NewFile, ...] = ()
    obsolete: Tuple[str, ...] = ()
    """Paths in the store that nothing names any more once main.cf is swapped."""
    shown: Tuple[Shown, ...] = ()

    @property
    def changed(self) -> bool:
        """Shown changes count: in check mode a new certificate is promised and not made."""
        return bool(self.set or self.unset or self.services or self.files or self.shown)

    def diff(self) -> List[Dict[str, str]]:
        return [
            {"before_header": s.title, "after_header": s.title, "before": s.before, "after": s.after}
            for s in self.shown
        ]

    def summary(self) -> Dict[str, Any]:
        """Return values that a survey can put in a table."""
        return {"set": dict(self.set), "unset": list(self.unset), "services": list(self.services)}


def plan_parameters(
    state: State,
    wanted: Parameters,
    *,
    services: Tuple[str, ...] = (),
    files: Tuple[NewFile, ...] = (),
    obsolete: Tuple[str, ...] = (),
    shown: Tuple[Shown, ...] = (),
) -> Plan:
    """Compare parameters with main.cf and join them with the files that they will name."""
    to_set = {name: value for name, value in wanted.items() if value is not None and not _holds(state, name, value)}
    to_unset = tuple(name for name, value in wanted.items() if value is None and name in state.explicit)
    names = [*to_set, *to_unset]
    parameters = Shown(
        title=f"{state.config_dir}/main.cf",
        before=_lines({name: state.explicit.get(name) for name in names}),
        after=_lines({name: to_set.get(name) for name in names}),
    )
    entries = Shown(f"{state.config_dir}/master.cf", "", "".join(f"{_entry(s)}\n" for s in services))
    changes = tuple(s for s in (parameters, entries) if s.before != s.after)
    return Plan(to_set, to_unset, services, files, obsolete, changes + shown)


def _holds(state: State, name: str, value: str) -> bool:
    """Whether main.cf says so, verbatim or by way of another parameter."""
    return name in state.explicit and value in (state.explicit[name], state.effective.get(name))


def _lines(values: Mapping[str, Optional[str]]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in sorted(values.items()) if value is not None)


def _entry(service: str) -> str:
    return service.partition("=")[2]
