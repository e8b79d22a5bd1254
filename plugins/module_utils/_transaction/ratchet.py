# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ratchet: no change, by whichever module, lets mail be protected less than before unless somebody says so.

The posture before is compared with that of the configuration as Postfix would read it with the plan applied. Nothing is
written beside a copy of main.cf and master.cf that root alone sees, so check mode refuses what a run would refuse.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Iterator, List, Mapping, Optional, Tuple

from .. import _files as files
from .._certificates.validity import utc_now
from .._errors import HardeningError, PostfixError
from .._model.allowance import Allowance
from .._postfix.commands import Postfix
from .._postfix.plan import Plan
from .._postfix.records import current_folder
from .._postfix.state import CONFIGURATION, State, Unreadable, read_state, recalled, remembered
from .._posture.configuration import Configuration
from .._posture.in_force import broken
from .._posture.maps import Maps
from .._posture.posture import Item, Posture, read_posture
from .._posture.sources import Unheard, questions
from .lock import place_of


@dataclass(frozen=True)
class Compared:
    """The posture on both sides of a change, and what falls with somebody's leave."""

    before: Posture
    after: Posture
    then: State
    """The state as it will be."""
    lowered: List[Item]
    broken: Optional[str]
    """The first record that will not hold any more, in a sentence."""


def check(postfix: Postfix, state: State, plan: Plan, allowance: Allowance) -> Compared:
    """Refuse a plan that lowers protection; what else there is to say of it. ``Unheard`` where others must be asked first."""
    today = utc_now().date()
    planned = {new.path: new.content for new in plan.files}
    with staged(postfix, state, plan) as then:
        pair = _comparable(postfix, state, then, planned, allowance)
        before, after = (read_posture(one, today) for one in pair)
    if not allowance.everything:
        unheard = [question for question in questions(before, after) if question not in postfix.heard]
        if unheard:
            raise Unheard(unheard)
    lost = broken(before, after)
    told = {f"domain {name}" for name in lost}
    fallen = [item for item in after.weaker_than(before) if item.owner not in told]
    refused = [item for item in fallen if not allowance.covers(item.name)]
    if refused:
        names = ", ".join(dict.fromkeys(item.name for item in refused))
        broken_too = "".join(f"{problem} " for problem in list(lost.values())[:1])
        raise HardeningError(
            f"{broken_too}This would lower protection: {'; '.join(map(str, refused))}; {allowance.remedy(names)}"
        )
    return Compared(before, after, then, fallen, next(iter(lost.values()), None))


def posture(postfix: Postfix, state: State) -> Posture:
    """What protects mail under a configuration, as of today; by its tables alone where its records cannot be read."""
    try:
        found = configuration(postfix, state, {})
    except PostfixError:
        found = configuration(postfix, state, {}, without_records=True)
    return read_posture(found, utc_now().date())


def configuration(
    postfix: Postfix, state: State, planned: Mapping[str, bytes], without_records: bool = False
) -> Configuration:
    """A configuration to be judged. What has expired by today protects nothing, in whichever tables it still stands."""
    return Configuration(state, Maps(postfix, planned), planned, without_records).renewed(utc_now().date())


def _comparable(
    postfix: Postfix, state: State, then: State, planned: Mapping[str, bytes], allowance: Allowance
) -> Tuple[Configuration, Configuration]:
    """Before and after. Records that nobody can read are no reason to refuse a change that leaves them as they are."""
    folder = current_folder(state)
    alone = folder == current_folder(then) and not any(os.path.dirname(path) == folder for path in planned)
    try:
        live = configuration(postfix, state, {})
    except PostfixError:
        if not alone and not allowance.everything:
            raise
        live = configuration(postfix, state, {}, without_records=True)
    return live, configuration(postfix, then, planned, without_records=alone and live.without_records)


@contextmanager
def staged(postfix: Postfix, state: State, plan: Plan) -> Iterator[State]:
    """The state as it will be, read from a copy of main.cf and master.cf with the plan applied."""
    with own_folder(state.config_dir) as folder:
        put_staged(postfix, folder, state, plan)
        try:
            then = in_its_place(postfix, folder, state.config_dir)
        except Unreadable as problem:
            said = problem.said.replace(folder, state.config_dir)
            raise PostfixError(f"Postfix could not read what is asked for: {said} Nothing was changed.") from None
        yield then


@contextmanager
def own_folder(config_dir: str) -> Iterator[str]:
    """A folder for copies of an instance's configuration, which root alone sees, and only for now."""
    folder = os.path.join(files.own_place(), f"{place_of(config_dir)}.staged")
    files.remove(folder)
    files.make_folder(folder, 0o700)
    try:
        yield folder
    finally:
        files.remove(folder)


def put_staged(postfix: Postfix, folder: str, state: State, plan: Plan) -> None:
    """main.cf and master.cf with the plan applied, which look settled: Postfix's commands wait for files that are new."""
    for name in CONFIGURATION:
        files.write(os.path.join(folder, name), plan.contents.get(name, state.contents[name]), 0o600)
        files.age(os.path.join(folder, name))
    postfix.at(folder).edit(plan.set, plan.unset, plan.services, plan.overrides, plan.gone)
    for name in CONFIGURATION:
        files.age(os.path.join(folder, name))


def in_its_place(postfix: Postfix, folder: str, config_dir: str) -> State:
    """What a copy in ``folder`` says, as it reads where Postfix will find it."""
    copy = postfix.at(folder)
    return recalled(copy, config_dir) or remembered(postfix, relocated(read_state(copy), folder, config_dir))


def relocated(state: State, folder: str, config_dir: str) -> State:
    """A state that was read elsewhere, as it reads in its place: ``$config_directory`` is where Postfix finds main.cf."""

    def moved(values: Mapping[str, str]) -> Mapping[str, str]:
        return {name: value.replace(folder, config_dir) for name, value in values.items()}

    services = tuple(replace(service, overrides=moved(service.overrides)) for service in state.services)
    return replace(
        state,
        config_dir=config_dir,
        effective=moved(state.effective),
        services=services,
        expanded={key: moved(values) for key, values in state.expanded.items()},
    )
