# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this collection has set on a node, and what was there before: kept with each state, so that all can be given back.

What somebody changes by hand is theirs: where a task then sets it again, theirs is what was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, NamedTuple, Optional

from .state import State

Values = Mapping[str, str]
MAIN, MASTER = "main.cf", "master.cf"


class Entry(NamedTuple):
    """One parameter, or one service; ``None`` where there is none."""

    found: Optional[str]
    made: Optional[str]


@dataclass(frozen=True)
class Ledger:
    """By name what differs from what was found: parameters of main.cf, entries of master.cf."""

    parameters: Mapping[str, Entry] = field(default_factory=dict)
    services: Mapping[str, Entry] = field(default_factory=dict)
    edited: bool = False
    """Whether somebody else has edited the files since this collection came."""

    def after(self, before: State, after: State) -> Ledger:
        """With a change of ours."""
        return Ledger(
            _after(self.parameters, parameters_of(before), parameters_of(after)),
            _after(self.services, services_of(before), services_of(after)),
            self.edited,
        )

    def as_facts(self) -> Dict[str, object]:
        """For JSON."""
        return {"parameters": self.parameters, "services": self.services, "edited": self.edited}


def read_ledger(facts: Mapping[str, object]) -> Ledger:
    """The same back; a ``ValueError`` or ``TypeError`` where it is none."""
    parameters, services = (_read(facts.get(name)) for name in ("parameters", "services"))
    return Ledger(parameters, services, bool(facts.get("edited")))


def _read(rows: object) -> Dict[str, Entry]:
    if not isinstance(rows, Mapping):
        raise TypeError("no entries")
    return {str(name): Entry(*row) for name, row in rows.items()}


def parameters_of(state: State) -> Values:
    """What main.cf sets."""
    return state.explicit


def services_of(state: State) -> Values:
    """The entries of master.cf, each on one line."""
    return {service.key: service.entry for service in state.services}


def _after(rows: Mapping[str, Entry], before: Values, after: Values) -> Dict[str, Entry]:
    made = dict(rows)
    for name in {*before, *after}:
        was, is_ = before.get(name), after.get(name)
        if was == is_:
            continue
        known = made.pop(name, None)
        found = known.found if known and known.made == was else was
        if found != is_:
            made[name] = Entry(found, is_)
    return made


class Theirs(NamedTuple):
    """What somebody has changed since we set it, and what therefore stays."""

    file: str
    name: str
    value: Optional[str]
    made: Optional[str]
    found: Optional[str]

    def as_facts(self) -> Dict[str, Optional[str]]:
        return self._asdict()


@dataclass(frozen=True)
class Return:
    """How to give back what was found: values to set (``None``: to take out), and what is not ours any more."""

    parameters: Mapping[str, Optional[str]]
    services: Mapping[str, Optional[str]]
    theirs: List[Theirs]


def give_back(ledger: Ledger, now: State) -> Return:
    """What is as we made it becomes what was found."""
    theirs: List[Theirs] = []
    found = [
        _back(file, rows, values, theirs)
        for file, rows, values in (
            (MAIN, ledger.parameters, parameters_of(now)),
            (MASTER, ledger.services, services_of(now)),
        )
    ]
    return Return(found[0], found[1], theirs)


def _back(file: str, rows: Mapping[str, Entry], now: Values, theirs: List[Theirs]) -> Dict[str, Optional[str]]:
    back: Dict[str, Optional[str]] = {}
    for name, entry in sorted(rows.items()):
        if now.get(name) == entry.made:
            back[name] = entry.found
        elif now.get(name) != entry.found:
            theirs.append(Theirs(file, name, now.get(name), entry.made, entry.found))
    return back
