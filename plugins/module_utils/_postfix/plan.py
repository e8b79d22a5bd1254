# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would change: made before anything is written, shown by check and diff mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .levels import Parameters
from .state import READ_AT_START, STORE, Service, State, as_read

Diff = List[Dict[str, str]]
"""As Ansible prints it with ``--diff``."""


@dataclass(frozen=True)
class NewFile:
    """A file to put in place before main.cf names it."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    table: bool = False
    """Whether Postfix reads it as an indexed table: it is built and asked before it is used."""
    embeds: bool = False
    """Whether it is such a table whose values are files, which the index is to hold (C(postmap -F), postmap(1))."""


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
    gone: Tuple[str, ...] = ()
    """master.cf entries to take out (``service/type``)."""
    overrides: Parameters = field(default_factory=dict)
    """``-o`` overrides in master.cf (``service/type/name``); ``None`` takes one out."""
    files: Tuple[NewFile, ...] = ()
    obsolete: Tuple[str, ...] = ()
    """Paths in the store that are of no use once main.cf is swapped."""
    contents: Mapping[str, bytes] = field(default_factory=dict)
    """Whole files in place of main.cf and master.cf, where an old state comes back."""
    shown: Tuple[Shown, ...] = ()
    restores: Optional[int] = None
    """The number of the remembered state that comes back. What Postfix warned of then, it may warn of again."""

    @property
    def changed(self) -> bool:
        """Shown changes count: in check mode a new certificate is promised and not made."""
        return bool(
            self.set
            or self.unset
            or self.services
            or self.gone
            or self.overrides
            or self.files
            or self.contents
            or self.shown
        )

    def diff(self) -> Diff:
        return [
            {"before_header": s.title, "after_header": s.title, "before": s.before, "after": s.after}
            for s in self.shown
        ]

    def summary(self) -> Dict[str, object]:
        """Return values that a survey can put in a table."""
        return {
            "set": dict(self.set),
            "unset": list(self.unset),
            "services": list(self.services),
            "services_gone": list(self.gone),
            "overrides": dict(self.overrides),
            "contents": list(self.contents),
        }

    def summary_line(self) -> str:
        """What the history says of it."""
        parts = {
            "set": [*self.set, *(name for name, value in self.overrides.items() if value is not None)],
            "taken out": [*self.unset, *self.gone, *(name for name, value in self.overrides.items() if value is None)],
            "services": [entry.partition("=")[0] for entry in self.services],
            "files": [new.path.partition(f"/{STORE}/")[2] for new in self.files],
            "brought back": list(self.contents),
        }
        return "; ".join(f"{verb}: {', '.join(dict.fromkeys(names))}" for verb, names in parts.items() if names)

    @property
    def needs_restart(self) -> bool:
        """Whether Postfix must be stopped and started before all of this holds."""
        return bool(READ_AT_START & {*self.set, *self.unset})

    def effective_after(self, state: State) -> Dict[str, str]:
        """What will hold in main.cf."""
        return {
            **state.effective,
            **self.set,
            **{name: state.defaults[name] for name in self.unset if name in state.defaults},
        }

    def overrides_after(self, service: Service) -> Dict[str, str]:
        """The ``-o`` overrides that one service of master.cf will have."""
        prefix = f"{service.key}/"
        ours = {n[len(prefix) :]: value for n, value in self.overrides.items() if n.startswith(prefix)}
        return {name: value for name, value in {**service.overrides, **ours}.items() if value is not None}


def plan_parameters(
    state: State,
    wanted: Parameters,
    *,
    services: Tuple[str, ...] = (),
    gone: Tuple[str, ...] = (),
    overrides: Optional[Parameters] = None,
    files: Tuple[NewFile, ...] = (),
    obsolete: Tuple[str, ...] = (),
    shown: Tuple[Shown, ...] = (),
) -> Plan:
    """Compare parameters with main.cf and master.cf, and join them with the files that they will name."""
    to_set = {name: value for name, value in wanted.items() if value is not None and not _holds(state, name, value)}
    to_unset = tuple(name for name, value in wanted.items() if value is None and name in state.explicit)
    there = {f"{s.key}/{name}": value for s in state.services for name, value in s.overrides.items()}
    changed = {name: value for name, value in (overrides or {}).items() if there.get(name) != as_read(value)}
    main_cf = _shown(f"{state.config_dir}/main.cf", state.explicit, {**dict.fromkeys(to_unset), **to_set})
    master_cf = _shown(f"{state.config_dir}/master.cf", there, changed)
    master_cf = Shown(
        master_cf.title,
        _entries(state, [*(s.partition("=")[0] for s in services), *gone]) + master_cf.before,
        "".join(f"{_entry(s)}\n" for s in services) + master_cf.after,
    )
    changes = tuple(s for s in (main_cf, master_cf) if s.before != s.after)
    return Plan(to_set, to_unset, services, gone, changed, files, obsolete, shown=changes + shown)


def _shown(title: str, before: Mapping[str, str], changes: Parameters) -> Shown:
    return Shown(title, _lines({name: before.get(name) for name in changes}), _lines(changes))


def _holds(state: State, name: str, value: str) -> bool:
    """Whether main.cf says so, verbatim or by way of another parameter."""
    return name in state.explicit and as_read(value) in (state.explicit[name], state.effective.get(name))


def _lines(values: Mapping[str, Optional[str]]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in sorted(values.items()) if value is not None)


def _entries(state: State, keys: Sequence[str]) -> str:
    return "".join(f"{service.entry}\n" for service in state.services if service.key in keys)


def _entry(service: str) -> str:
    return service.partition("=")[2]
