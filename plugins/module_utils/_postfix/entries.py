# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entries of master.cf that come, change or go (master(5))."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from .._errors import InvalidValue
from .._model.entries import EntryWish
from .levels import Parameters
from .state import Service, State

_CHROOT, _LIMIT, _COMMAND = 4, 6, 7

_LIMITS = {
    **dict.fromkeys(("anvil", "pickup", "postlogd", "postscreen", "qmgr", "scache", "tlsmgr", "verify"), "1"),
    **dict.fromkeys(("bounce", "cleanup", "dnsblog", "flush", "tlsproxy"), "0"),
}
"""Daemons that end at once under any other process limit (CA_MAIL_SERVER_SOLITARY and CA_MAIL_SERVER_UNLIMITED in each one's
main function). Nothing but the log says so: without tlsproxy, for one, mail waits."""


class EntryChanges(NamedTuple):
    """As a plan takes them."""

    services: Tuple[str, ...]
    overrides: Parameters
    gone: Tuple[str, ...]


def entry_changes(state: State, wanted: Sequence[EntryWish]) -> EntryChanges:
    """What differs of the entries that a task names. An entry keeps the overrides that the task does not name."""
    services: List[str] = []
    overrides: Parameters = {}
    gone: List[str] = []
    for wish in wanted:
        service = state.service(*wish.name.rsplit("/", 1))
        if not wish.wanted:
            gone += [wish.name] if service else []
            continue
        entry = _entry(f"services[{wish.name}]", state, service, wish)
        if service is None or entry != service.entry:
            services.append(f"{wish.name}={entry}")
        overrides.update((f"{wish.name}/{parameter}", value) for parameter, value in wish.overrides.items())
    return EntryChanges(tuple(services), overrides, tuple(gone))


def _entry(option: str, state: State, service: Optional[Service], wish: EntryWish) -> str:
    columns = _columns(option, state, service, wish)
    if wish.chroot is not None:
        columns[_CHROOT] = "y" if wish.chroot else "n"
    columns[_LIMIT] = _limit(option, columns, wish)
    return " ".join(columns)


def _limit(option: str, columns: Sequence[str], wish: EntryWish) -> str:
    daemon = columns[_COMMAND].split()[0]
    needed = _LIMITS.get(daemon)
    if needed and wish.process_limit not in (None, needed):
        said = "default" if wish.process_limit == "-" else wish.process_limit
        raise InvalidValue(
            f"{option}.process_limit", said, f"is not what {daemon} runs with", f"leave it out, or say {needed}"
        )
    return needed or wish.process_limit or columns[_LIMIT]


def _columns(option: str, state: State, service: Optional[Service], wish: EntryWish) -> List[str]:
    """The eight columns of the entry as it is, or of a new one: private unless it is of the network, chrooted as the
    SMTP client is."""
    if service is None:
        if wish.command is None:
            raise InvalidValue("services", wish.name, "is not in master.cf", "give its command, or its right name")
        smtp = state.service("smtp", "unix")
        private = "n" if wish.kind == "inet" else "-"
        return [*wish.name.rsplit("/", 1), private, "-", smtp.chroot if smtp else "-", "-", "-", wish.command]
    columns = service.entry.split(None, _COMMAND)
    if wish.command is not None and wish.command != service.command:
        _check_nothing_left(option, service, wish)
        stated = [f"-o {name}={value}" for name, value in wish.overrides.items() if value is not None]
        columns[_COMMAND] = " ".join([wish.command, *stated])  # postconf -Me replaces the whole entry
    return columns


def _check_nothing_left(option: str, service: Service, wish: EntryWish) -> None:
    """Another program knows nothing of what the present one was told."""
    left = [name for name in service.overrides if name not in wish.overrides]
    if left:
        raise InvalidValue(
            f"{option}.command",
            wish.command,
            f"would lose what master.cf overrides for {service.command}: {', '.join(left)}",
            "name these parameters in the task (none takes one out), or take them out of master.cf",
        )
