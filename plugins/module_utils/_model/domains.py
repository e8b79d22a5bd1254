# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How mail for one domain is routed and protected: pure data, checked."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from .._errors import InvalidValue
from . import words
from .levels import ClientLevel
from .policies import read_match

_ROUTE = re.compile(
    r"(?:(?P<transport>smtp|lmtp):)?(?:\[(?P<literal>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?\Z"
)


@dataclass(frozen=True)
class Route:
    """Where mail for a domain goes, instead of where DNS says (transport(5))."""

    transport: str
    next_hop: str
    """``host``, ``[host]`` or ``[host]:port``, verbatim: the key of smtp_tls_policy_maps."""

    def __str__(self) -> str:
        return f"{self.transport}:{self.next_hop}"


@dataclass(frozen=True)
class DomainPolicy:
    """One record: a domain (or ``.domain`` for all names below it), its level, names and route."""

    name: str
    level: Optional[ClientLevel] = None
    match: Tuple[str, ...] = ()
    route: Optional[Route] = None
    local: bool = False

    @property
    def next_hop(self) -> str:
        """What Postfix looks up in smtp_tls_policy_maps for mail to this domain."""
        return self.route.next_hop if self.route else self.name

    @property
    def protection(self) -> Optional[str]:
        """The right side of the smtp_tls_policy_maps entry; ``None`` where the default level holds."""
        if self.level is None:
            return None
        return " ".join([self.level.value, *(f"match={name}" for name in self.match)])

    def as_facts(self) -> Dict[str, Any]:
        return {
            "name": self.name,
            "level": self.level.value if self.level else None,
            "match": list(self.match),
            "route": str(self.route) if self.route else None,
            "local": self.local,
        }


def read_domains(items: Iterable[Mapping[str, Any]]) -> Tuple[List[DomainPolicy], List[str]]:
    """The option ``domains`` as (wanted records, names to remove); each name may occur once."""
    present: List[DomainPolicy] = []
    absent: List[str] = []
    seen: Dict[str, int] = {}
    for index, item in enumerate(items):
        option = f"domains[{index}]"
        name = words.domain_or_below(f"{option}.name", item["name"])
        if name in seen:
            raise InvalidValue(
                f"{option}.name", name, f"stands in domains[{seen[name]}] too", "keep one record per domain"
            )
        seen[name] = index
        if item.get("state") == "absent":
            absent.append(name)
        else:
            present.append(read_domain(option, item))
    return present, absent


def read_domain(option: str, item: Mapping[str, Any]) -> DomainPolicy:
    """One item of ``domains``; errors name the item by its place in the list."""
    level = ClientLevel.read(f"{option}.level", item["level"]) if item.get("level") is not None else None
    match = read_match(f"{option}.match", level, item.get("match") or ())
    policy = DomainPolicy(
        name=words.domain_or_below(f"{option}.name", item["name"]),
        level=level,
        match=match,
        route=read_route(f"{option}.route", item["route"]) if item.get("route") else None,
        local=bool(item.get("local")),
    )
    _check(option, policy)
    return policy


def read_route(option: str, value: Any) -> Route:
    """``host``, ``host:port``, ``[host]`` or ``[host]:port``, after an optional ``smtp:`` or ``lmtp:``."""
    found = _ROUTE.match(str(value))
    if not found:
        raise InvalidValue(
            option,
            value,
            "is not a next hop",
            "write [host]:port, [host], or a domain whose MX to ask, as in [mx.partner.example]:25",
        )
    port = found["port"]
    if port is not None and not 0 < int(port) < 65536:
        raise InvalidValue(option, value, f"has the port {port}", "use a port from 1 to 65535")
    host = f"[{_address(option, found['literal'])}]" if found["literal"] else words.domain_name(option, found["name"])
    return Route(found["transport"] or "smtp", host + (f":{port}" if port else ""))


def check_agreement(records: Iterable[DomainPolicy]) -> None:
    """Refuse two records that share a next hop and protect it differently.

    smtp_tls_policy_maps is asked by next hop, so Postfix could honour only one of them.
    """
    by_next_hop: Dict[str, DomainPolicy] = {}
    for record in records:
        other = by_next_hop.setdefault(record.next_hop, record)
        if other.protection != record.protection:
            raise InvalidValue(
                "domains",
                record.name,
                f"shares the next hop {record.next_hop} with {other.name} but protects it differently "
                f"({record.protection or 'no level'} against {other.protection or 'no level'})",
                "give both the same level and match: Postfix looks policies up by next hop",
            )


def _check(option: str, policy: DomainPolicy) -> None:
    if policy.level is ClientLevel.FINGERPRINT and not policy.match:
        raise InvalidValue(
            f"{option}.match",
            [],
            "lists no fingerprint for level 'fingerprint'",
            "list the SHA-256 fingerprints of the peer's certificate or public key",
        )
    if policy.match and not (policy.level and policy.level.looks_at_match):
        raise InvalidValue(
            f"{option}.match",
            list(policy.match),
            f"is not looked at when the level is {policy.level.value if policy.level else 'not given'!r}",
            "set level: secure, verify or fingerprint, or leave match out",
        )
    if policy.level is not None and policy.route is not None and policy.route.transport == "lmtp":
        raise InvalidValue(
            f"{option}.level",
            policy.level.value,
            "is not looked up for an LMTP route: that client has policy maps of its own (postconf(5), lmtp_tls_policy_maps)",
            "leave level out, or route the domain by SMTP",
        )
    if policy.level is None and policy.route is None and not policy.local:
        raise InvalidValue(
            option, policy.name, "says nothing about the domain", "give it a level, a route or local: true"
        )
    if policy.name.startswith(".") and policy.local:
        raise InvalidValue(
            f"{option}.local",
            policy.name,
            "cannot be local as '.domain'",
            "name the domain itself: relay_domains covers the names below it",
        )


def _address(option: str, text: str) -> str:
    literal = text[5:] if text.lower().startswith("ipv6:") else text
    try:
        address = ipaddress.ip_address(literal)
    except ValueError:
        return words.domain_name(option, text)
    return f"ipv6:{address}" if address.version == 6 else str(address)
