# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Postfix runs with now, read once."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Dict, Iterator, Mapping, Optional, Sequence, Tuple

from .. import _files as files
from .._errors import InvalidValue, PostfixError
from .commands import Postfix

CONFIGURATION = ("main.cf", "master.cf")

STORE = "smtp_hardening"
"""The folder below the configuration directory that holds what this collection brings."""

READ_AT_START = frozenset(["inet_interfaces", "inet_protocols"])
"""postconf(5): stop and start Postfix when one of these changes."""


class Unreadable(PostfixError):
    """main.cf or master.cf is such that Postfix's own commands refuse it: a Postfix that runs still has what it read before."""

    def __init__(self, said: str, config_dir: str) -> None:
        super().__init__(
            f"{said} It was so before: put main.cf and master.cf in {config_dir} right, or bring a state back that this "
            "node remembers (smtp_rollback)."
        )
        self.said = said


@dataclass(frozen=True)
class Service:
    """One entry of master.cf, with the ``-o`` overrides that win over main.cf (master(5))."""

    name: str
    kind: str
    chroot: str
    command: str
    overrides: Mapping[str, str]
    entry: str
    """The whole entry on one line."""

    @property
    def key(self) -> str:
        return f"{self.name}/{self.kind}"

    @property
    def is_server(self) -> bool:
        """Whether it receives mail by SMTP: its ``smtpd_*`` parameters count."""
        return self.command in ("smtpd", "postscreen")

    @property
    def is_sender(self) -> bool:
        """Whether it sends by SMTP or LMTP."""
        return self.command in ("smtp", "lmtp")

    @property
    def is_listener(self) -> bool:
        """Whether SMTP clients of the network talk to it."""
        return self.kind == "inet" and self.is_server

    def at(self, name: str) -> Service:
        """The same under another name, which for ``inet`` is an address."""
        return replace(self, name=name, entry=f"{name} {self.entry.split(None, 1)[1]}")


@dataclass(frozen=True)
class State:
    """Parameters and services of one instance, as Postfix itself sees them."""

    config_dir: str
    explicit: Mapping[str, str]
    """What main.cf sets, verbatim."""
    effective: Mapping[str, str]
    """What holds, defaults included, with ``$name`` expanded."""
    services: Tuple[Service, ...]
    defaults: Mapping[str, str]
    """What would hold if main.cf were empty."""
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """main.cf and master.cf themselves, of which all this was read."""

    expanded: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """The same as ``effective`` for services of which an override stands in other values, as ``$name``."""

    def found(self, service: Optional[Service] = None) -> Mapping[str, str]:
        """What holds for a service, with its overrides; without one, for none of which master.cf says anything."""
        if service is None or not service.overrides:
            return self.effective
        return {**self.expanded.get(service.key, self.effective), **service.overrides}

    def value(self, name: str, service: Optional[Service] = None) -> str:
        """One parameter of these; empty where Postfix does not know it."""
        if service is None or not service.overrides:
            return self.effective.get(name, "")
        found = service.overrides if name in service.overrides else self.expanded.get(service.key, self.effective)
        return found.get(name, "")

    def seen_by(self, service: Optional[Service]) -> State:
        """The state as one service has it; without one, as main.cf says."""
        if service is None:
            return self
        return replace(self, effective=self.found(service), explicit={**self.explicit, **service.overrides})

    @property
    def store(self) -> str:
        return os.path.join(self.config_dir, STORE)

    @property
    def version(self) -> Tuple[int, int]:
        return read_version(self.effective["mail_version"])

    @property
    def started_with(self) -> Dict[str, str]:
        """What a running Postfix keeps until it is stopped, whatever main.cf says from now on."""
        return {name: self.effective[name] for name in READ_AT_START}

    @property
    def table_type(self) -> str:
        return self.effective["default_database_type"]

    @property
    def senders(self) -> Tuple[Service, ...]:
        """The services that mail leaves by."""
        return tuple(service for service in self.services if service.is_sender)

    def service(self, name: str, kind: str) -> Optional[Service]:
        return next((s for s in self.services if (s.name, s.kind) == (name, kind)), None)


def read_state(postfix: Postfix) -> State:
    """Everything that the rooms above need to know, before anything is written. Postfix is asked once for files that say
    the same."""
    check_instance(postfix.config_dir)
    for _attempt in range(_ATTEMPTS):
        known = recalled(postfix, postfix.config_dir)
        if known is not None:
            return known
        try:
            state = _read(postfix)
        except PostfixError as problem:
            raise _unreadable(postfix, problem) from None
        if state.contents == read_contents(postfix.config_dir):
            break
    else:
        raise PostfixError(
            f"main.cf or master.cf in {postfix.config_dir} changes while it is read; wait until nobody else edits it, "
            "then run the task again."
        )
    if "mail_version" not in state.effective:
        raise PostfixError(f"postconf -c {postfix.config_dir} shows no mail_version; is this Postfix?")
    return remembered(postfix, state)


def recalled(postfix: Postfix, place: str) -> Optional[State]:
    """What is known of the files in the instance's folder, would they lie in ``place``."""
    return postfix.known.get(_key(place, read_contents(postfix.config_dir)))


def remembered(postfix: Postfix, state: State) -> State:
    """The state, which is not read again in this run while its files say the same."""
    return postfix.known.setdefault(_key(state.config_dir, state.contents), state)


def _key(place: str, contents: Mapping[str, bytes]) -> Tuple[str, ...]:
    return (place, *(hashlib.sha256(contents[name]).hexdigest() for name in CONFIGURATION))


_ATTEMPTS = 3


def _unreadable(postfix: Postfix, problem: PostfixError) -> PostfixError:
    """postconf(1) says what it cannot read, and ends."""
    if "fatal: " not in str(problem):
        return problem
    return Unreadable(str(problem), postfix.config_dir)


def is_readable(postfix: Postfix) -> bool:
    """Whether Postfix's own commands take main.cf and master.cf."""
    try:
        return bool(read_state(postfix))
    except Unreadable:
        return False


def read_contents(config_dir: str) -> Dict[str, bytes]:
    """main.cf and master.cf, byte for byte."""
    return {name: files.read(os.path.join(config_dir, name)) for name in CONFIGURATION}


def _read(postfix: Postfix) -> State:
    explicit = _assignments(postfix.postconf("-n"))
    explicit.pop("config_directory", None)  # postconf -c adds where it reads, which is no setting
    services = _services(postfix.postconf("-M"), postfix.postconf("-Px"))
    return State(
        contents=read_contents(postfix.config_dir),
        config_dir=postfix.config_dir,
        explicit=explicit,
        effective=_assignments(postfix.postconf("-x")),
        services=services,
        defaults=_assignments(postfix.postconf("-dx")),
        expanded=dict(_expanded(postfix, services, explicit)),
    )


def _expanded(
    postfix: Postfix, services: Sequence[Service], explicit: Mapping[str, str]
) -> Iterator[Tuple[str, Mapping[str, str]]]:
    """Postfix expands ``$name`` in a daemon, after its overrides (master(5)); postconf(1) is asked for each that this concerns."""
    if not any(service.overrides for service in services):
        return
    unexpanded = {**_assignments(postfix.postconf("-d")), **explicit}
    named = set(re.findall(r"\$[({]?(\w+)", " ".join(unexpanded.values())))
    for service in services:
        if named & set(service.overrides):
            words = [word for name, value in service.overrides.items() for word in ("-o", f"{name}={value}")]
            yield service.key, _assignments(postfix.postconf("-x", *words))


def check_instance(config_dir: str) -> None:
    """Refuse a directory that no Postfix instance has."""
    if not files.exists(os.path.join(config_dir, "main.cf")):
        raise InvalidValue(
            "config_dir",
            config_dir,
            "holds no main.cf",
            "install Postfix first (role relay does), or name the instance's directory",
        )


@lru_cache(maxsize=4096)
def split_list(text: str) -> Tuple[str, ...]:
    """The items of a list in main.cf, which blanks or commas part (postconf(5))."""
    return tuple(text.replace(",", " ").split())


def without(text: str, pattern: str) -> str:
    """A list in main.cf without the items that a pattern describes."""
    return re.sub(rf"(?:{pattern})[,\s]*", "", text).strip(" ,")


def as_read(value: Optional[str]) -> Optional[str]:
    """A value as postconf(1) shows it: of blanks in a row it shows one, at either end none. So no two values that differ in
    no more can be told apart."""
    return None if value is None else " ".join(value.split())


def read_version(text: str) -> Tuple[int, int]:
    """``3.10.13`` and ``3.11-20250115`` as (3, 10) and (3, 11)."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise PostfixError(f"mail_version = {text} is not a version of Postfix.")
    return int(found[1]), int(found[2])


def _assignments(text: str) -> Dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line)
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def _services(entries: str, overrides: str) -> Tuple[Service, ...]:
    """Of two entries with one name and type Postfix uses the last (master(8)), while postconf(1) tells the overrides of both
    together."""
    told: Dict[str, Dict[str, str]] = {}
    for name, value in _assignments(overrides).items():
        service, _slash, parameter = name.rpartition("/")
        told.setdefault(service, {})[parameter] = value
    rows = [row for row in (line.split(None, 7) for line in entries.split("\n")) if len(row) == 8]
    keys = [f"{row[0]}/{row[1]}" for row in rows]
    return tuple(
        Service(
            name=row[0],
            kind=row[1],
            chroot=row[4],
            command=row[7].split()[0],
            overrides={n: v for n, v in told.get(key, {}).items() if keys.count(key) == 1 or _is_set(n, row[7])},
            entry=" ".join(row),
        )
        for key, row in dict(zip(keys, rows)).items()
    )


def _is_set(name: str, command: str) -> bool:
    """Whether an entry sets this parameter, as postconf(1) writes it: C(-o name=value), or in braces where there are blanks."""
    return re.search(rf" -o (?:\{{ ?)?{re.escape(name)} ?=", command) is not None
