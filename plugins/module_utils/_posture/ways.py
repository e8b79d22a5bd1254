# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ways out: for each destination that the configuration speaks of, every hop that its mail may take next."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from .._model.domains import DomainPolicy
from .._model.levels import ClientLevel
from .._postfix.state import Service, split_list
from . import clients
from .configuration import Configuration
from .failing import WHERE_TLS_FAILS, after_failure, where_tls_fails
from .filters import ACTION, CONTENT_FILTER, PROXY_FILTER, content_filters, proxy_filters
from .maps import is_kept_by_others
from .protections import AtLeast, Instead, Protections, Unknown, weakest
from .routing import NOWHERE, Choice, choices, keys_for, listed_domains, prepare_lists

OTHER = "other mail"
"""Mail for domains of which no table speaks."""
SOURCES = "policy_sources"
"""Those who may ask for more protection than is known here."""
ABOUT = " for "
"""Between a source and the next hop that it is asked about, where that is not the recipient's domain."""
_DESTINATION = re.compile(r"(?:[^@\s]+@)?\.?[^\W_](?:[\w.-]*\w)?\Z")
"""A domain, what is below one, or an address."""
_RECIPIENTS = "the recipient's domain"
"""Of next hops, where a transport names none and mail of all domains may come (FILTER_README)."""
_LOCAL_TRANSPORTS = ("mailbox_transport", "fallback_transport", "virtual_transport", "local_transport")
"""Parameters that hand local mail to another transport (local(8), postconf(5))."""
_LOOPBACK = re.compile(r"\[?(?:inet:)?\[?(?:127\.[\d.]+|::1|localhost)\]?(?::\w+)?\Z|unix:|/")


BEST_MX = "best_mx_transport"
"""Where mail goes of which DNS says that this host is to take it (postconf(5))."""
_PROXY = Service("smtpd", "inet", "-", "smtpd", {}, "")
_NOTHING: Protections = {"level": ClientLevel.NONE}
"""smtpd(8) as a client, which has no TLS of its own."""


@dataclass(frozen=True)
class Hop:
    """One place to which mail may go next."""

    service: Optional[Service]
    """The client that brings it there; ``None`` where that is no SMTP or LMTP."""
    transport: str
    next_hop: str
    by: str
    """The parameter that has chosen the hop."""
    policy: clients.Policy
    values: Protections = field(default_factory=dict, compare=False, repr=False)
    """What protects mail on it."""
    unknown: Tuple[str, ...] = ()

    @property
    def crosses_network(self) -> bool:
        """Whether anybody could listen. What Postfix cannot send, or may not, stays in its queue."""
        return self.service is not None and self.policy.valid and not is_loopback(self.next_hop)


@dataclass(frozen=True)
class Way:
    """All that may become of mail for one destination. The first hop is what becomes of most of it."""

    hops: Tuple[Hop, ...]

    @property
    def protections(self) -> Protections:
        """What is guaranteed whichever hop is taken; nothing is said where mail crosses no network."""
        found = [hop.values for hop in self.hops if hop.crosses_network]
        return reduce(weakest, found) if found else {}


def is_loopback(next_hop: str) -> bool:
    """Whether the next hop is this host itself."""
    return bool(_LOOPBACK.match(next_hop))


def read_ways(configuration: Configuration, destinations: Iterable[str]) -> Dict[str, Way]:
    """By destination: these domains and addresses, and the rest."""
    addresses = {name: recipient(name) for name in (OTHER, *destinations)}
    transport_maps = configuration.routed("transport_maps")
    if transport_maps:
        keys = [key for address in addresses.values() for key in keys_for(configuration, address)]
        configuration.maps.prepare(transport_maps, keys)
    prepare_lists(configuration, dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses.values()))
    chosen = {name: choices(configuration, address) for name, address in addresses.items()}
    chosen.update(_others(configuration, dict.fromkeys(a.rpartition("@")[2] for a in addresses.values())))
    _prepare_policies(configuration, (choice for found in chosen.values() for choice in found))
    hops = _Hops(configuration)
    domains = {name: address.rpartition("@")[2].lower() for name, address in addresses.items()}
    return {
        name: Way(tuple(_asked_about(domains.get(name), hop) for choice in found for hop in hops.after(choice)))
        for name, found in chosen.items()
    }


def _asked_about(domain: Optional[str], hop: Hop) -> Hop:
    """Of another next hop than the recipient's domain, others are asked something else: what they ask for the domain is lost."""
    if not hop.policy.unknown or hop.next_hop.lower() == domain:
        return hop
    asked = frozenset(f"{item}{ABOUT}{hop.next_hop}" for item in hop.policy.unknown if is_kept_by_others(item))
    return replace(hop, values={**hop.values, SOURCES: AtLeast(asked)})


def read_destinations(configuration: Configuration, records: Iterable[DomainPolicy]) -> List[str]:
    """The domains of records, and what tables and lists of domains hold, as they spell them, so far as that is no next hop."""
    tables = [configuration.routed("transport_maps"), *_policy_maps(configuration)]
    listed = [key for maps in tables for key in configuration.maps.entries(maps)] + listed_domains(configuration)
    found = [key for key in dict.fromkeys(listed) if _DESTINATION.match(key)]
    return list(dict.fromkeys([*(name for record in records for name in record.names), *found]))


def is_filter(name: str) -> bool:
    """Whether a way is none to a destination, but what a parameter names."""
    return name.partition(" ")[0] in (CONTENT_FILTER, ACTION, PROXY_FILTER, *_LOCAL_TRANSPORTS)


def recipient(destination: str) -> str:
    """An address whose mail goes where that of the destination goes."""
    if "@" in destination:
        return destination
    if destination == OTHER:
        return f"somebody@{NOWHERE}"
    return f"somebody@any{destination}" if destination.startswith(".") else f"somebody@{destination}"


def _others(configuration: Configuration, domains: Iterable[str]) -> Dict[str, List[Choice]]:
    """Ways that no recipient's domain chooses: content filters, and transports behind local delivery. A filter without a next
    hop is a transport alone, for mail to each domain (postconf(5), default_filter_nexthop)."""
    found: Dict[str, List[Choice]] = {}
    default = configuration.parameter("default_filter_nexthop")
    for name, text in content_filters(configuration).items():
        stated = [_stated(text, name.partition(" ")[0], next_hop) for next_hop in ([default] if default else domains)]
        found[name] = list(dict.fromkeys(stated))
    for name, text in proxy_filters(configuration).items():
        found[name] = [Choice(PROXY_FILTER, text, PROXY_FILTER)]
    senders = [service.name for service in configuration.state.senders]
    for name in _LOCAL_TRANSPORTS:
        text = configuration.parameter(name)
        if ":" in text or text in senders:
            found[name] = [_stated(text, name, "")]
    return found


def _stated(text: str, by: str, default: str) -> Choice:
    transport, _colon, next_hop = text.partition(":")
    return Choice(transport, next_hop or default or _RECIPIENTS, by)


def _prepare_policies(configuration: Configuration, chosen: Iterable[Choice]) -> None:
    """Ask the policy tables for all next hops at once."""
    keys = list(dict.fromkeys(key for choice in chosen for key in clients.policy_keys(choice.next_hop)))
    for maps in _policy_maps(configuration):
        configuration.maps.prepare(maps, keys)


def _policy_maps(configuration: Configuration) -> List[str]:
    """Those of main.cf, and of each client with others."""
    found = [configuration.parameter(f"{s.command}_tls_policy_maps", s) for s in configuration.state.senders]
    return list(dict.fromkeys([configuration.parameter("smtp_tls_policy_maps"), *found]))


class _Hops:
    """From choices to hops, each choice once, and each policy judged once."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.services: Mapping[str, Service] = {
            service.name: service for service in configuration.state.services if service.kind == "unix"
        }
        self.known: Dict[Choice, Tuple[Hop, ...]] = {}
        self.judged: Dict[Tuple[object, ...], Protections] = {}

    def after(self, choice: Choice) -> Tuple[Hop, ...]:
        if choice not in self.known:
            self.known[choice] = ()  # for transports that hand mail on to each other
            self.known[choice] = tuple(self._made(choice))
        return self.known[choice]

    def _made(self, choice: Choice) -> Iterator[Hop]:
        service = self.services.get(choice.transport)
        if choice.transport == PROXY_FILTER:
            yield Hop(_PROXY, PROXY_FILTER, choice.next_hop, PROXY_FILTER, clients.Policy(), _NOTHING)
            return
        if service is not None and service.command == "local":
            yield from self._behind(service)
        if service is None or not service.is_sender:
            yield Hop(None, choice.transport, choice.next_hop, choice.by, clients.Policy(), {}, choice.unknown)
            return
        named = () if choice.next_hop == _RECIPIENTS else split_list(choice.next_hop)
        own = [self._hop(service, next_hop, choice.by, choice.unknown) for next_hop in named or (choice.next_hop,)]
        fallbacks = list(self._fallbacks(service, choice))
        others = [hop for hop in (*own, *fallbacks)[1:] if hop.policy.valid]
        instead = after_failure(hop.values if hop.crosses_network else None for hop in others)
        yield from (self._or_else(hop, instead) for hop in own)
        best = self.configuration.parameter(BEST_MX, service)
        if best and service.command == "smtp" and not choice.next_hop.startswith("["):
            yield from self.after(_stated(best, BEST_MX, choice.next_hop))
        yield from (self._or_else(hop, instead) for hop in fallbacks)

    def _fallbacks(self, service: Service, choice: Choice) -> Iterator[Hop]:
        """Where mail goes once no next hop has taken it (postconf(5), smtp_fallback_relay)."""
        fallback = f"{service.command}_fallback_relay"
        for next_hop in split_list(self.configuration.parameter(fallback, service)):
            if service.command == "smtp" or not choice.next_hop.startswith("unix:"):
                yield self._hop(service, next_hop, fallback, ())

    def _behind(self, local: Service) -> Iterator[Hop]:
        """Where local(8) may hand mail on to: everything, or what has no mailbox, or by recipient."""
        for name in ("mailbox_transport", "fallback_transport"):
            maps = self.configuration.parameter(f"{name}_maps", local)
            stated = [self.configuration.parameter(name, local), *self.configuration.maps.entries(maps).values()]
            for text in dict.fromkeys(stated):
                if text and text.partition(":")[0] != local.name:
                    yield from self.after(_stated(text, name, ""))
            for item in self.configuration.maps.unlisted(maps):
                unknown = (f"{name}_maps = {item}",)
                yield Hop(None, local.name, "", f"{name}_maps", clients.Policy(), {}, unknown)

    def _hop(self, service: Service, next_hop: str, by: str, unknown: Tuple[str, ...]) -> Hop:
        policy = clients.find_policy(self.configuration, service, next_hop)
        alike = (service.key, policy.said, unknown)
        if alike not in self.judged:
            self.judged[alike] = self._protections(service, policy, unknown)
        return Hop(service, service.name, next_hop, by, policy, self.judged[alike], unknown)

    def _or_else(self, hop: Hop, instead: Instead) -> Hop:
        """The same hop, with what mail has where TLS fails on it; without TLS nothing fails."""
        if hop.service is None or hop.values["level"] is ClientLevel.NONE:
            return hop
        alike = (hop.service.key, hop.policy.said, hop.unknown, instead)
        if alike not in self.judged:
            self.judged[alike] = {**hop.values, WHERE_TLS_FAILS: where_tls_fails(hop.values, instead)}
        return replace(hop, values=self.judged[alike])

    def _protections(self, service: Service, policy: clients.Policy, unknown: Tuple[str, ...]) -> Protections:
        values = clients.protections(self.configuration, service, policy)
        if unknown or values["level"] is not ClientLevel.NONE:
            values["next_hop"] = Unknown(frozenset(unknown))
        values[SOURCES] = AtLeast(frozenset(filter(is_kept_by_others, policy.unknown)))
        return values
