# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which transport and next hop Postfix chooses for a recipient, and by which parameter (resolve.c of trivial-rewrite(8)).

1. the class of the domain: mydestination, virtual_alias_domains, virtual_mailbox_domains, relay_domains, none of them;
2. its transport, which may name a next hop; for mail that leaves, else the sender's or the global relayhost;
3. transport_maps over all of that: a whole address, a domain, the domains above it, "*" (transport(5)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Iterable, List, NamedTuple, Tuple

from .._model.words import domains_above
from .._postfix.state import split_list
from .._postfix.tables import Table
from .configuration import Configuration
from .maps import Maps, is_by_pattern, split_maps

WILDCARD = "*"
"""transport(5): what no other entry of transport_maps matches."""
NOWHERE = "no-table-speaks-of-this.invalid"
"""A domain that stands for all of which no table speaks."""
NOT_SENT = ("error", "retry", "discard")
SENDERS = ("sender_dependent_default_transport_maps", "sender_dependent_relayhost_maps")
_KEPT = 64
"""What is asked of a configuration once, and not for each of thousands of domains."""
CLASSES = (
    ("virtual_alias_domains", ""),
    ("virtual_mailbox_domains", "virtual_transport"),
    ("relay_domains", "relay_transport"),
)
"""Lists of domains in the order in which they are asked, each with the parameter of its transport."""


@dataclass(frozen=True)
class Choice:
    """Where mail goes next."""

    transport: str
    next_hop: str
    by: str
    """The parameter that has chosen the next hop, or the transport where that names none."""
    unknown: Tuple[str, ...] = ()
    """What could choose otherwise and cannot be asked here."""


class _Sender(NamedTuple):
    """What tables by sender say, for some sender."""

    relay: str = ""
    transport: str = ""


def keys_for(configuration: Configuration, address: str) -> List[str]:
    """All that transport_maps may be asked for, and lists of domains."""
    domain = address.rpartition("@")[2]
    whole = _whole_keys(configuration, address)
    return [*whole, domain, *_above(configuration, "transport_maps", domain), WILDCARD]


def _whole_keys(configuration: Configuration, address: str) -> List[str]:
    """An address, and the same without its extension (transport(5))."""
    local, _at, domain = address.rpartition("@")
    delimiters = configuration.routed("recipient_delimiter")
    end = next((index for index, letter in enumerate(local) if letter in delimiters), 0)
    return [address, f"{local[:end]}@{domain}"] if end else [address]


def choices(configuration: Configuration, address: str) -> List[Choice]:
    """Every way that mail for an address may take, from whatever sender; the first is that of most senders."""
    found = [_choose(configuration, address, sender) for sender in _senders(configuration)]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=_KEPT)
def _senders(configuration: Configuration) -> Tuple[_Sender, ...]:
    """Those of whom no table speaks, and one for each answer of the tables by sender, as far as these can be listed."""
    transports, relays = (_stated(configuration.maps.entries(configuration.routed(name))) for name in SENDERS)
    by_transport, by_relay = (
        (_Sender(transport=value) for value in transports),
        (_Sender(relay=value) for value in relays),
    )
    return (_Sender(), *by_transport, *by_relay)


def _stated(table: Table) -> List[str]:
    """What a table says to somebody; DUNNO leaves it to the rest (postconf(5))."""
    return [value for value in dict.fromkeys(table.values()) if value.lower() != "dunno"]


def _choose(configuration: Configuration, address: str, sender: _Sender) -> Choice:
    """What tables and parameters choose; the domain itself where they name no next hop."""
    domain = address.rpartition("@")[2]
    parameter = class_transport(configuration, domain)
    if parameter == "":
        return Choice("error", "User unknown in virtual alias table", "virtual_alias_domains")
    default = _default(configuration, parameter, sender)
    return _by_table(configuration, address, default if default.next_hop else replace(default, next_hop=domain))


@lru_cache(maxsize=_KEPT)
def _default(configuration: Configuration, parameter: str, sender: _Sender) -> Choice:
    """Where mail goes of whose domain no table speaks, by the parameter that names its transport."""
    leaves = parameter in ("relay_transport", "default_transport")
    value, by = configuration.routed(parameter), parameter
    if parameter == "default_transport" and sender.transport:
        value, by = sender.transport, SENDERS[0]
    transport, _colon, next_hop = value.partition(":")
    if not next_hop and leaves and (sender.relay or configuration.routed("relayhost")):
        next_hop, by = (sender.relay, SENDERS[1]) if sender.relay else (configuration.routed("relayhost"), "relayhost")
    unknown = (*(_unanswered(configuration, parameter) if leaves else ()), *_unanswered_lists(configuration))
    return Choice(transport, next_hop, by, unknown)


@lru_cache(maxsize=_KEPT)
def _unanswered(configuration: Configuration, parameter: str) -> Tuple[str, ...]:
    """The tables by sender that cannot be listed."""
    asked = SENDERS if parameter == "default_transport" else SENDERS[1:]
    return tuple(
        f"{name} = {item}" for name in asked for item in configuration.maps.unlisted(configuration.routed(name))
    )


@lru_cache(maxsize=_KEPT)
def _unanswered_lists(configuration: Configuration) -> Tuple[str, ...]:
    """The tables in lists of domains that nobody can ask here: any domain could be in one."""
    parameters = ("mydestination", *(name for name, _transport in CLASSES))
    return tuple(
        f"{name} = {item}"
        for name in parameters
        for item in _patterns(configuration, name)
        if _is_table(item) and configuration.maps.find(item.lstrip("!"), "localhost").unknown
    )


def _by_table(configuration: Configuration, address: str, default: Choice) -> Choice:
    """What transport_maps makes of it: no transport leaves the transport, no next hop means the domain itself."""
    maps, tables, domain = configuration.routed("transport_maps"), configuration.maps, address.rpartition("@")[2]
    unknown: List[str] = []
    for key in keys_for(configuration, address) if maps else ():
        answer = tables.find(maps, key, whole="@" in key or key == WILDCARD)
        unknown.extend(f"transport_maps = {item}" for item in answer.unknown)
        if answer.value is not None:
            transport, _colon, next_hop = answer.value.partition(":")
            if not transport and not next_hop:
                break
            if transport and not next_hop:
                next_hop = "Address is undeliverable" if transport in NOT_SENT[:2] else domain
            unanswered = tuple(dict.fromkeys(unknown))
            return Choice(
                transport or default.transport, next_hop, "transport_maps", unanswered or _left(default, transport)
            )
    return replace(default, unknown=tuple(dict.fromkeys([*default.unknown, *unknown]))) if unknown else default


def _left(default: Choice, transport: str) -> Tuple[str, ...]:
    """An entry without a transport keeps the one that a table by sender may have chosen."""
    return () if transport else default.unknown


def class_transport(configuration: Configuration, domain: str) -> str:
    """The parameter that names the transport for the domain's class; empty where such mail is never delivered as it is."""
    if is_listed(configuration, "mydestination", domain):
        return "local_transport"
    for parameter, transport in CLASSES:
        if is_listed(configuration, parameter, domain):
            return transport
    return "default_transport"


def is_listed(configuration: Configuration, parameter: str, domain: str) -> bool:
    """Whether a list of domains holds one (match_list(3)): names, files, tables; ``!`` turns a match round. Only in
    relay_domains a name may stand for those below it."""
    patterns = _patterns(configuration, parameter)
    domain = domain.lower()
    above = _above(configuration, parameter, domain) if patterns and parameter == "relay_domains" else []
    for item in patterns:
        pattern = item.lstrip("!")
        if _matches(configuration.maps, pattern, domain, above):
            return (len(item) - len(pattern)) % 2 == 0
    return False


def listed_domains(configuration: Configuration) -> List[str]:
    """What the lists of domains hold that have a transport of their own, so far as that can be listed. Addresses, where the
    tables of mailboxes are the list, are in a domain that stands there too."""
    items = [
        i.lstrip("!") for parameter, transport in CLASSES if transport for i in _patterns(configuration, parameter)
    ]
    found = (name for item in items for name in (configuration.maps.entries(item) if _is_table(item) else (item,)))
    return [name for name in found if "@" not in name]


def patterns_of(configuration: Configuration) -> List[str]:
    """The tables of patterns that choose transports. Which domains they mean, nobody can list."""
    lists = {name: _patterns(configuration, name) for name in ("mydestination", *dict(CLASSES))}
    named = {"transport_maps": split_maps(configuration.routed("transport_maps")), **lists}
    return [f"{name} = {item}" for name, items in named.items() for item in items if is_by_pattern(item.lstrip("!"))]


def prepare_lists(configuration: Configuration, domains: Iterable[str]) -> None:
    """Ask the tables in lists of domains for all domains at once."""
    domains = list(domains)
    for parameter in ("mydestination", *(name for name, _transport in CLASSES)):
        for item in _patterns(configuration, parameter):
            if _is_table(item.lstrip("!")):
                above = (_above(configuration, parameter, d) for d in domains) if parameter == "relay_domains" else ()
                configuration.maps.prepare(item.lstrip("!"), [*domains, *(key for keys in above for key in keys)])


@lru_cache(maxsize=_KEPT)
def _patterns(configuration: Configuration, parameter: str) -> Tuple[str, ...]:
    """The list of domains, read once."""
    return tuple(configuration.patterns(configuration.routed(parameter)))


def _matches(maps: Maps, pattern: str, domain: str, above: List[str]) -> bool:
    """A table is asked for what stands above the domain too, unless its keys are patterns (match_ops.c)."""
    if _is_table(pattern):
        keys = [(domain, True), *((parent, False) for parent in above)]
        return any(maps.find(pattern, key, whole).value is not None for key, whole in keys)
    return pattern.lower() in (domain, *above)


def _is_table(pattern: str) -> bool:
    return ":" in pattern and not pattern.startswith("[")


def _above(configuration: Configuration, parameter: str, domain: str) -> List[str]:
    """The keys for the domains above one: with a dot before, unless parent_domain_matches_subdomains lists the parameter."""
    dot = "" if _stands_for_those_below(configuration, parameter) else "."
    return [f"{dot}{parent}" for parent in domains_above(domain)]


@lru_cache(maxsize=_KEPT)
def _stands_for_those_below(configuration: Configuration, parameter: str) -> bool:
    return parameter in split_list(configuration.routed("parent_domain_matches_subdomains"))
