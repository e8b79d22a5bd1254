# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a state of the past to a plan that brings it back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import AbstractSet, Dict, Iterator, List, Mapping, Optional, Tuple

from . import store
from .ledger import Ledger, Return, Theirs, give_back
from .named import files_of, is_there
from .plan import Plan, Shown, plan_parameters
from .state import READ_AT_START, State

Contents = Mapping[str, Tuple[bytes, bytes]]
"""main.cf and master.cf, each as (what is, what was)."""


@dataclass(frozen=True)
class Kept:
    """What stays as it is now, since what it named then is gone."""

    parameters: Mapping[str, Optional[str]] = field(default_factory=dict)
    services: Mapping[str, Optional[str]] = field(default_factory=dict)
    sentences: Tuple[str, ...] = ()


def plan_rollback(now: State, contents: Contents, number: Optional[int] = None) -> Plan:
    """The state with this number, byte for byte. Writes nothing."""
    back = {name: was for name, (is_, was) in contents.items() if is_ != was}
    shown = tuple(
        Shown(f"{now.config_dir}/{name}", *(text.decode("utf-8", "replace") for text in contents[name]))
        for name in back
    )
    return Plan(contents=back, shown=shown, restores=number)


def keeping(plan: Plan, kept: Kept) -> Plan:
    """The same but for what is kept, which is put back as it is now."""
    values = {**plan.set, **dict.fromkeys(plan.unset), **kept.parameters}
    entries = {service.partition("=")[0]: service for service in plan.services}
    entries.update({key: f"{key}={entry}" for key, entry in kept.services.items() if entry is not None})
    absent = [key for key, entry in kept.services.items() if entry is None]
    return replace(
        plan,
        set={name: value for name, value in values.items() if value is not None},
        unset=tuple(name for name, value in values.items() if value is None),
        services=tuple(service for key, service in entries.items() if key not in absent),
        gone=(*(key for key in plan.gone if key not in kept.services), *absent),
    )


def keep_what_is_gone(now: State, then: State, missing_then: AbstractSet[str]) -> Kept:
    """Parameters and services of ``then`` that name files which were there and are gone. The certificates of one side stay
    together. What names the same now is no loss of this change."""
    parameters: Dict[str, Optional[str]] = {}
    services: Dict[str, Optional[str]] = {}
    sentences: List[str] = []
    for name, path in _gone(then, missing_then):
        together = [n for n in store.certificate_parameters(name) if then.explicit.get(n) != now.explicit.get(n)]
        if then.explicit.get(name) != now.explicit.get(name):
            parameters.update((n, now.explicit.get(n)) for n in together or [name])
            value = now.explicit.get(name)
            sentences.append(f"{path}, which {name} named then, is gone; it stays as it is now ({value or 'not set'}).")
    entries = {service.key: service.entry for service in now.services}
    for service in then.services:
        lost = [path for n, value in service.overrides.items() for path in _lost(n, value, missing_then)]
        if lost and entries.get(service.key) != service.entry:
            services[service.key] = entries.get(service.key)
            stays = "stays as it is now" if service.key in entries else "stays out"
            sentences.append(f"{lost[0]}, which {service.key} in master.cf named then, is gone; the service {stays}.")
    return Kept(parameters, services, tuple(sentences))


def _gone(then: State, missing_then: AbstractSet[str]) -> Iterator[Tuple[str, str]]:
    for name, value in then.explicit.items():
        yield from ((name, path) for path in _lost(name, then.effective.get(name, value), missing_then))


def _lost(name: str, value: str, missing_then: AbstractSet[str]) -> List[str]:
    return [path for path in files_of(name, value) if path not in missing_then and not is_there(path)][:1]


def needs_restart(now: State, then: State) -> bool:
    return any(now.effective[name] != then.effective[name] for name in READ_AT_START)


def plan_return(now: State, ledger: Ledger, contents: Contents, first: int) -> Tuple[Plan, List[Theirs]]:
    """What this collection has set, as it was found: byte for byte where nobody else has edited anything since."""
    back: Return = give_back(ledger, now)
    if not ledger.edited and not back.theirs:
        return plan_rollback(now, contents, first), []
    entries = {key: entry for key, entry in back.services.items() if entry is not None}
    plan = plan_parameters(
        now,
        dict(back.parameters),
        services=tuple(f"{key}={entry}" for key, entry in entries.items()),
        gone=tuple(key for key, entry in back.services.items() if entry is None),
    )
    return replace(plan, restores=first), back.theirs
