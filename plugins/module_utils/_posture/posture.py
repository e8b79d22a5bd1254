# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The posture: what protects mail in fact, for each server and each way out, whatever configuration it is read from.

server, smtp/inet ...          servers: main.cf, and each service of master.cf
client, relay/unix ...         clients: the same
domain bank.example ...        where mail for a domain goes, and what holds there
other mail, content_filter     the rest
domain bank.example.incoming   what mail from a domain must show
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from .._model import words
from .._model.domains import DomainPolicy
from .._model.incoming import Demand, Unlisted
from .._model.levels import ClientLevel
from .._postfix.incoming import read_unlisted
from .._postfix.ports import is_private, public_port
from . import clients, listeners
from .configuration import Configuration
from .failing import WHERE_TLS_FAILS
from .protections import AtLeast, Protection, Protections, Same, is_weaker
from .routing import patterns_of
from .ways import ABOUT, OTHER, SOURCES, Way, is_filter, read_destinations, read_ways

SERVER, CLIENT = "server", "client"


class Item(NamedTuple):
    """Something that protects less than before."""

    name: str
    before: str
    after: str

    @property
    def owner(self) -> str:
        """Whose it is: a side, a service, a destination."""
        return self.name.rpartition(".")[0]

    def __str__(self) -> str:
        return f"{self.name} from {self.before} to {self.after}"


@dataclass(frozen=True)
class Posture:
    """Read from a configuration; compares with another."""

    configuration: Configuration = field(repr=False)
    servers: Mapping[str, Protections]
    clients: Mapping[str, Protections]
    ways: Mapping[str, Protections]
    hops: Mapping[str, Way] = field(repr=False)
    records: Tuple[DomainPolicy, ...]
    """As they count today."""
    unlisted: Unlisted

    def weaker_than(self, before: Posture) -> List[Item]:
        """All that mail is protected by less than ``before``, each by a name that a person can look up."""
        found = [*_compare_services(SERVER, _asked(before.servers, self), self.servers)]
        found += _compare_services(CLIENT, before.clients, self.clients)
        found += _compare_ways(before, self)
        found += _compare_incoming(before, self)
        return list(dict.fromkeys(found))


def read_posture(configuration: Configuration, today: datetime.date) -> Posture:
    """What protects mail under a configuration. Nothing is written, and nobody is asked but this node."""
    state = configuration.state
    records = tuple(record.in_force(today) for record in configuration.records())
    ways = read_ways(configuration, read_destinations(configuration, records))
    return Posture(
        configuration=configuration,
        servers={
            SERVER: listeners.protections(configuration, None),
            **{s.key: listeners.protections(configuration, s) for s in state.services if s.is_server},
        },
        clients={
            CLIENT: {
                **clients.protections(configuration, None, clients.Policy()),
                "routes": Same(frozenset(patterns_of(configuration))),
            },
            **{s.key: clients.protections(configuration, s, clients.Policy()) for s in state.senders},
        },
        ways={name: way.protections for name, way in ways.items()},
        hops=ways,
        records=records,
        unlisted=read_unlisted(state),
    )


def _compare(owner: str, before: Protections, after: Protections) -> Iterator[Item]:
    fallen = {
        name: (_said(value), _said(after[name]))
        for name, value in before.items()
        if name in after and is_weaker(after[name], value)
    }
    if fallen.get("mandatory_protocol") == fallen.get("minimum_protocol"):
        fallen.pop("mandatory_protocol", None)
    if "level" in fallen:
        fallen.pop(WHERE_TLS_FAILS, None)
    level = after.get("level")
    if fallen.get(SOURCES) == fallen.get("policy") or (isinstance(level, ClientLevel) and level.is_strongest):
        fallen.pop(SOURCES, None)
    return (Item(f"{owner}.{name}", *values) for name, values in fallen.items())


def _said(value: Optional[Protection]) -> str:
    return "none" if value is None else str(value)


def _compare_services(
    default: str, before: Mapping[str, Protections], after: Mapping[str, Protections]
) -> Iterator[Item]:
    """main.cf, and each service that differs from it. One that was not there was as closed as the one that had its port, or as
    main.cf said."""
    fallen = list(_compare(default, before[default], after[default]))
    yield from fallen
    told = {item._replace(name=item.name.partition(".")[2]) for item in fallen}
    for name, values in after.items():
        if name == default or (name not in before and (default == CLIENT or is_private(name))):
            continue
        was = before.get(name) or _gone_from_its_port(name, before, after) or before[default]
        for item in _compare(name, was, values):
            if item._replace(name=item.name.rpartition(".")[2]) not in told:
                yield item


def _gone_from_its_port(
    name: str, before: Mapping[str, Protections], after: Mapping[str, Protections]
) -> Optional[Protections]:
    """What held at a port that has another name now (services(5)), or another address before it."""
    port = public_port(name)
    gone = (values for other, values in before.items() if other not in after and public_port(other) == port)
    return None if port is None else next(gone, None)


def _asked(servers: Mapping[str, Protections], after: Posture) -> Dict[str, Protections]:
    """Servers as they were, with those of their demands that anything still rests on.

    What records and unlisted senders demanded, and do not any more, is compared for each domain.
    """
    asked = {listeners.PINNED}
    if any(record.demand is not Demand.NOTHING for record in after.records):
        asked.add(listeners.OF_SENDERS)
    if after.unlisted is not Unlisted.ACCEPT:
        asked.add(listeners.LISTED)
    return {name: {**values, "demands": _part(values["demands"], asked)} for name, values in servers.items()}


def _part(demands: Optional[Protection], asked: Set[str]) -> AtLeast:
    return AtLeast(demands.items & asked if isinstance(demands, AtLeast) else frozenset())


def _compare_ways(before: Posture, after: Posture) -> Iterator[Item]:
    """Each destination that either speaks of, and filters, of which only one may."""
    other = dict(_pairs(before.clients[CLIENT], after.clients[CLIENT]))
    names = list(dict.fromkeys([*before.ways, *after.ways]))
    ways = [ways_to(posture, names) for posture in (before, after)]
    gone = _gone(*(found[OTHER].protections for found in ways))
    for name in names:
        was, will = (found[name].protections for found in ways)
        if was == will or _is_handed_to_a_store(before, after, name):
            continue
        label = name if name == OTHER or is_filter(name) else f"domain {name}"
        pairs = dict(_pairs(was, will))
        for item in _compare(label, was, will):
            part = item.name.rpartition(".")[2]
            told = part == SOURCES and name != OTHER and _gone(was, will) <= gone
            if not told and pairs[part] != other.get(part):
                yield item


def _gone(before: Protections, after: Protections) -> FrozenSet[str]:
    """The sources of policies that are not asked any more, whatever they were asked about."""
    was, will = before.get(SOURCES), after.get(SOURCES)
    lost = was.items - will.items if isinstance(was, AtLeast) and isinstance(will, AtLeast) else frozenset()
    return frozenset(item.partition(ABOUT)[0] for item in lost)


def ways_to(posture: Posture, names: Sequence[str]) -> Dict[str, Way]:
    """By name, those too of which only the other posture speaks; a filter that is not there leaves the mail to the rest."""
    missing = [name for name in names if name not in posture.hops]
    read = read_ways(posture.configuration, [name for name in missing if not is_filter(name)]) if missing else {}
    found = {name: read[name] if name in read else posture.hops[OTHER] for name in missing}
    return {**found, **posture.hops}


_STORES = ("transport_maps", "virtual_transport", "local_transport", "mailbox_transport", "fallback_transport")
"""Parameters that name where mail is delivered for good."""


def _is_handed_to_a_store(before: Posture, after: Posture, name: str) -> bool:
    """Whether mail goes by LMTP from now on that nothing had to protect: LMTP has levels of its own, which are none by default."""
    was, will = (posture.hops.get(name, posture.hops[OTHER]) for posture in (before, after))
    return (
        all(hop.by in _STORES for hop in will.hops)
        and name != OTHER
        and all(hop.service is None or hop.service.command == "lmtp" for hop in will.hops)
        and not any(hop.service and hop.service.command == "lmtp" for hop in was.hops)
        and was.protections.get("level") in (ClientLevel.NONE, ClientLevel.MAY)
    )


def _pairs(before: Protections, after: Protections) -> Iterator[Tuple[str, Tuple[str, str]]]:
    return ((name, (_said(value), _said(after[name]))) for name, value in before.items() if name in after)


def _compare_incoming(before: Posture, after: Posture) -> Iterator[Item]:
    """What mail from each domain must show. Who may not send at all any more has met with no less than any demand."""
    names = dict.fromkeys(record.name for posture in (before, after) for record in posture.records if record.incoming)
    shut_out = Demand.PINS if after.unlisted is Unlisted.REJECT else Demand.NOTHING
    for name in names:
        was, will = _demand(before.records, name, Demand.NOTHING), _demand(after.records, name, shut_out)
        if is_weaker(will, was):
            yield Item(f"domain {name}.incoming", str(was), str(will))
    if is_weaker(after.unlisted, before.unlisted):
        yield Item("unlisted_senders", before.unlisted.value, after.unlisted.value)


def _demand(records: Sequence[DomainPolicy], name: str, unlisted: Demand) -> Demand:
    """By a domain's own record or that of a domain above it."""
    by_domain = {record.name: record for record in records if record.incoming}
    found = (by_domain.get(domain) for domain in (name.lstrip("."), *words.domains_above(name)))
    nearest = next((record for record in found if record is not None), None)
    return unlisted if nearest is None else nearest.demand
