# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How mail for, and from, one domain is routed and protected: pure data, checked."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, replace
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from .._edge import Options
from .._errors import InvalidValue
from . import words
from .incoming import Demand, Incoming, read_incoming
from .levels import CipherGrade, ClientLevel, Ordered, Protocol, read_given
from .policies import read_match
from .routes import Route, read_route


class RequireTls(Ordered):
    """What becomes of messages whose senders ask for REQUIRETLS (RFC 8689); postconf(5), smtp_requiretls_policy."""

    DISABLE = "disable"
    OPPORTUNISTIC = "opportunistic"
    OPPORTUNISTIC_STARTTLS = "opportunistic+starttls"
    ENFORCE = "enforce"


class Mode(Ordered):
    """Whether what a record demands holds mail back, or is only reported (RFC 8461 section 5 has the same words)."""

    TESTING = "testing"
    ENFORCE = "enforce"


@dataclass(frozen=True)
class DomainPolicy:
    """One record: a domain (or ``.domain`` for all names below it) and everything that is said of it."""

    name: str
    subdomains: bool = False
    level: Optional[ClientLevel] = None
    match: Tuple[str, ...] = ()
    minimum_protocol: Optional[Protocol] = None
    ciphers: Optional[CipherGrade] = None
    servername: Optional[str] = None
    """What the client asks to be shown a certificate for (SNI, RFC 6066 section 3); C(hostname) and C(nexthop) stand for these."""
    requiretls: Optional[RequireTls] = None
    route: Optional[Route] = None
    local: bool = False
    incoming: Optional[Incoming] = None
    mode: Mode = Mode.ENFORCE
    expires: Optional[datetime.date] = None
    """The last day, in UTC, on which the record's protection holds."""
    owner: Optional[str] = None
    reason: Optional[str] = None

    @property
    def names(self) -> Tuple[str, ...]:
        """The domains that it covers, ``.domain`` for all names below one."""
        return (self.name, f".{self.name}") if self.subdomains else (self.name,)

    @property
    def next_hops(self) -> Tuple[str, ...]:
        """What Postfix looks a policy up by for mail to this domain."""
        return self.names if self.route is None else (self.route.policy_key,)

    @property
    def protection(self) -> Optional[str]:
        """How mail to it is protected, in one line; ``None`` where the default level holds."""
        if self.level is None:
            return None
        protocols = [f"minimum_protocol={self.minimum_protocol}"] if self.minimum_protocol else []
        ciphers = [f"ciphers={self.ciphers}"] if self.ciphers else []
        servername = [f"servername={self.servername}"] if self.servername else []
        match = (f"match={name}" for name in self.match)
        return " ".join([self.level.value, *match, *protocols, *ciphers, *servername])

    @property
    def destinations(self) -> Tuple[str, ...]:
        """The next hops without brackets and port, which smtp_requiretls_policy is asked for."""
        return self.names if self.route is None else (self.route.host,)

    @property
    def demand(self) -> Demand:
        """What mail from it must show, or be refused."""
        return self.incoming.demand if self.incoming and self.mode is Mode.ENFORCE else Demand.NOTHING

    def has_expired(self, today: datetime.date) -> bool:
        return self.expires is not None and self.expires < today

    def in_force(self, today: datetime.date) -> DomainPolicy:
        """What of it counts today. Mail goes the same way at any time: only its protection differs.

        An expired record leaves the protection to the profile. A record in testing holds no mail back.
        """
        if self.has_expired(today):
            return replace(self._at(self._least if self._has_implicit_tls else None, None), incoming=None)
        if self.mode is Mode.TESTING:
            open_level = self.level if self.level in (None, ClientLevel.NONE) else self._least
            requiretls = self.requiretls and min(
                self.requiretls, RequireTls.OPPORTUNISTIC, key=lambda asked: asked.rank
            )
            return self._at(open_level, requiretls)
        return self

    @property
    def _has_implicit_tls(self) -> bool:
        return self.route is not None and self.route.implicit_tls

    @property
    def _least(self) -> ClientLevel:
        """What holds no mail back: where TLS comes first, Postfix sends nothing at less than encrypt (postconf(5),
        smtp_tls_wrappermode)."""
        return ClientLevel.ENCRYPT if self._has_implicit_tls else ClientLevel.MAY

    def _at(self, level: Optional[ClientLevel], requiretls: Optional[RequireTls]) -> DomainPolicy:
        """The same with nothing that goes along with another level."""
        servername = self.servername if level else None
        kept = replace(self, match=(), minimum_protocol=None, ciphers=None)
        return replace(kept, level=level, requiretls=requiretls, servername=servername)

    def as_facts(self) -> Dict[str, object]:
        return {
            "name": self.name,
            "subdomains": self.subdomains,
            "level": _word(self.level),
            "match": list(self.match),
            "minimum_protocol": _word(self.minimum_protocol),
            "ciphers": _word(self.ciphers),
            "servername": self.servername,
            "requiretls": _word(self.requiretls),
            "route": _word(self.route),
            "implicit_tls": self.route.implicit_tls if self.route else None,
            "local": self.local,
            "incoming": self.incoming.as_facts() if self.incoming else None,
            "mode": self.mode.value,
            "expires": _word(self.expires),
            "owner": self.owner,
            "reason": self.reason,
        }


def _word(value: object) -> Optional[str]:
    return None if value is None else str(value)


def read_domains(items: Iterable[Options]) -> Tuple[List[DomainPolicy], List[str]]:
    """The option ``domains`` as (wanted records, names to remove); each name may occur once."""
    present: List[DomainPolicy] = []
    absent: List[str] = []
    seen: Set[str] = set()
    for index, item in enumerate(items):
        name = words.domain_or_below(f"domains[{index}].name", item["name"])
        if name in seen:
            raise InvalidValue("domains", name, "is listed twice", "keep one record per domain")
        seen.add(name)
        if item.get("state") == "absent":
            absent.append(name)
        else:
            present.append(read_domain(f"domains[{name}]", item))
    return present, absent


def read_domain(option: str, item: Options) -> DomainPolicy:
    """One item of ``domains``, which errors call ``option``."""
    route = _read_route(option, item)
    level = read_given(ClientLevel, option, "level", item)
    if level is None and route is not None and route.implicit_tls:
        level = ClientLevel.ENCRYPT
    policy = DomainPolicy(
        name=words.domain_or_below(f"{option}.name", item["name"]),
        subdomains=bool(item.get("subdomains")),
        level=level,
        match=read_match(f"{option}.match", level, item.get("match") or ()),
        minimum_protocol=read_given(Protocol, option, "minimum_protocol", item),
        ciphers=read_given(CipherGrade, option, "ciphers", item),
        servername=_servername(f"{option}.servername", item.get("servername")),
        requiretls=read_given(RequireTls, option, "requiretls", item),
        route=route,
        local=bool(item.get("local")),
        incoming=read_incoming(f"{option}.incoming", item["incoming"]) if item.get("incoming") is not None else None,
        mode=read_given(Mode, option, "mode", item) or Mode.ENFORCE,
        expires=_date(f"{option}.expires", item.get("expires")),
        owner=_line(f"{option}.owner", item.get("owner")),
        reason=_line(f"{option}.reason", item.get("reason")),
    )
    _check_outgoing(option, policy)
    _check_whole(option, policy)
    return policy


_OF_THE_PEER = ("hostname", "nexthop")
"""Words of Postfix for names that it knows when it connects (postconf(5), smtp_tls_servername)."""


def _read_route(option: str, item: Options) -> Optional[Route]:
    implicit_tls = item.get("implicit_tls")
    if item.get("route"):
        return read_route(f"{option}.route", item["route"], implicit_tls)
    if implicit_tls:
        raise InvalidValue(
            f"{option}.implicit_tls",
            implicit_tls,
            "has no route",
            "give the host where TLS comes first, as route: '[host]:465'",
        )
    return None


def _servername(option: str, value: object) -> Optional[str]:
    if not value:
        return None
    text = str(value).lower()
    return text if text in _OF_THE_PEER else words.domain_name(option, text)


def check_coverage(records: Sequence[DomainPolicy]) -> None:
    """Refuse domains that are covered twice, or whose route a record above them decides."""
    by_name: Dict[str, DomainPolicy] = {}
    for record in records:
        for name in record.names:
            other = by_name.setdefault(name, record)
            if other is not record:
                raise InvalidValue(
                    "domains",
                    record.name,
                    f"covers {name}, and so does {other.name}",
                    "set subdomains: false, or keep one of them",
                )
    for record in records:
        above = _routed_by(record, by_name)
        if above is not None and (record.level or record.requiretls):
            raise InvalidValue(
                "domains",
                record.name,
                f"has a level or requiretls and no route, and its mail goes where {above.name} is routed ({above.route}), so that "
                "would never be looked up",
                "give it a route of its own",
            )


def _routed_by(record: DomainPolicy, by_name: Mapping[str, DomainPolicy]) -> Optional[DomainPolicy]:
    """The nearest record for the names below a domain above, where that has a route and this one has none (transport(5))."""
    if record.route is not None:
        return None
    above = (by_name.get(f".{domain}") for domain in words.domains_above(record.name.lstrip(".")))
    return next((found for found in above if found is not None and found.route), None)


def check_agreement(records: Sequence[DomainPolicy]) -> None:
    """Refuse records that share a next hop and speak differently of it: Postfix asks by next hop."""
    by_next_hop: Dict[str, DomainPolicy] = {}
    by_destination: Dict[str, DomainPolicy] = {}
    for record in records:
        for next_hop in record.next_hops:
            other = by_next_hop.setdefault(next_hop, record)
            if other.protection != record.protection:
                raise InvalidValue(
                    "domains",
                    record.name,
                    f"shares the next hop {next_hop} with {other.name} but protects it differently "
                    f"({record.protection or 'no level'} against {other.protection or 'no level'})",
                    "give both the same level and match: Postfix looks policies up by next hop",
                )
        for destination in record.destinations:
            other = by_destination.setdefault(destination, record)
            if other.requiretls is not record.requiretls:
                raise InvalidValue(
                    "domains",
                    record.name,
                    f"shares the next hop {destination} with {other.name} but says something else of requiretls",
                    "give both the same: Postfix looks it up by next hop",
                )


def _check_outgoing(option: str, policy: DomainPolicy) -> None:
    level = policy.level
    if level is ClientLevel.FINGERPRINT and not policy.match:
        raise InvalidValue(
            f"{option}.match",
            [],
            "lists no fingerprint for level 'fingerprint'",
            "list the SHA-256 fingerprints of the peer's certificate or public key",
        )
    if policy.match and not (level and level.looks_at_match):
        raise InvalidValue(
            f"{option}.match",
            list(policy.match),
            f"is not looked at when the level is {level.value if level else 'not given'!r}",
            "set level: secure, verify or fingerprint, or leave match out",
        )
    for name in ("minimum_protocol", "ciphers", "servername"):
        if getattr(policy, name) is not None and level in (None, ClientLevel.NONE):
            raise InvalidValue(
                f"{option}.{name}",
                str(getattr(policy, name)),
                f"is not looked at when the level is {level.value if level else 'not given'!r}",
                "set a level that uses TLS beside it, or leave it out",
            )
    if policy.servername and level in (ClientLevel.DANE, ClientLevel.DANE_ONLY):
        raise InvalidValue(
            f"{option}.servername",
            policy.servername,
            f"is not looked at when the level is {level.value!r}: DANE's own name is asked for (RFC 7672 section 8.1)",
            "leave it out",
        )
    _check_route(option, policy)


def _check_route(option: str, policy: DomainPolicy) -> None:
    """What cannot be where the route goes."""
    route, level = policy.route, policy.level
    if route is not None and route.implicit_tls and level is not None and not level.demands_tls:
        raise InvalidValue(
            f"{option}.level",
            level.value,
            f"is too little where TLS comes first, as for {route}: Postfix sends nothing there below encrypt (postconf(5), "
            "smtp_tls_wrappermode)",
            "set level: encrypt or a stricter one, or implicit_tls: false where that host speaks STARTTLS",
        )
    if policy.requiretls is not None and route is not None and route.transport == "lmtp":
        raise InvalidValue(
            f"{option}.requiretls",
            str(policy.requiretls),
            "is not looked up for an LMTP route (postconf(5), smtp_requiretls_policy)",
            "leave requiretls out, or route the domain by SMTP",
        )


def _check_whole(option: str, policy: DomainPolicy) -> None:
    says = (policy.level, policy.route, policy.local or None, policy.incoming, policy.requiretls)
    if says == (None,) * len(says):
        raise InvalidValue(
            option,
            policy.name,
            "says nothing about the domain",
            "give it a level, a route, incoming, requiretls or local: true",
        )
    for name in ("local", "subdomains", "incoming"):
        if policy.name.startswith(".") and getattr(policy, name):
            raise InvalidValue(
                f"{option}.{name}",
                policy.name,
                "cannot be said of '.domain'",
                "name the domain itself, with subdomains: true where names below it are meant as well",
            )
    if policy.mode is Mode.TESTING and (policy.level, policy.incoming, policy.requiretls) == (None, None, None):
        raise InvalidValue(
            f"{option}.mode", policy.mode.value, "has nothing to test", "give it a level, incoming or requiretls"
        )


def _date(option: str, value: object) -> Optional[datetime.date]:
    if value is None:
        return None
    try:
        return datetime.datetime.strptime(str(value), "%Y-%m-%d").date()
    except ValueError:
        raise InvalidValue(option, value, "is not a date", "write year, month and day, as in 2027-03-31") from None


def _line(option: str, value: object) -> Optional[str]:
    if value is None:
        return None
    text = str(value)
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise InvalidValue(option, value, "holds a control character", "write one line of text")
    return text
