# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What DNS answers now: many questions at a time, each with what its signatures say."""

from __future__ import annotations

import concurrent.futures
import ipaddress
from typing import Dict, Iterable, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_records import read_number

try:
    import dns.exception
    import dns.flags
    import dns.rdata
    import dns.rdatatype
    import dns.rdtypes.ANY.MX
    import dns.rdtypes.ANY.RRSIG
    import dns.rdtypes.ANY.TLSA
    import dns.rdtypes.ANY.TXT
    import dns.resolver
    import dns.rrset

    HAS_DNSPYTHON = True
except ImportError:  # pragma: no cover
    HAS_DNSPYTHON = False

AT_ONCE = 16
"""Questions under way at the same time, so that a large fleet does not wait for one answer after the other."""
MAX_TIMEOUT = 60
_PAYLOAD = 1232
"""Octets of an answer by UDP that no path has to part (RFC 9715)."""

Question = Tuple[str, str]
"""Name and type."""


class Signature(NamedTuple):
    """Of one record set (RFC 4034 section 3.1), in seconds since 1970."""

    begins: int
    ends: int


class Answer(NamedTuple):
    values: Tuple[str, ...] = ()
    authenticated: bool = False
    """Whether the resolver vouches for it by DNSSEC (RFC 4035 section 3.2.3, the bit AD)."""
    failure: Optional[str] = None
    """Why there is no answer; that a name or record is not there is one."""
    authoritative: bool = False
    """Whether the zone's own name server has answered, which vouches for nothing (the bit AA)."""
    ttl: Optional[int] = None
    """What the zone says, where its name server or a signature tells; from a cache without signatures, what was left of it."""
    signature: Optional[Signature] = None
    """The one that ends first; C(None) for a set without."""


def ask(questions: Iterable[Question], resolvers: Sequence[object], timeout: object) -> Dict[Question, Answer]:
    """Every question once; each is answered, or has failed, after ``timeout`` seconds."""
    if not HAS_DNSPYTHON:
        raise HardeningError(
            "compare: true needs the Python library dnspython on the controller; pip install dnspython in Ansible's environment "
            "there (execution environments of this collection have it), or leave compare out."
        )
    resolver = _resolver(resolvers, read_number("timeout", timeout, 1, MAX_TIMEOUT))
    distinct = list(dict.fromkeys(questions))
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return dict(zip(distinct, pool.map(lambda question: _answer(resolver, *question), distinct)))


def _resolver(given: Sequence[object], timeout: int) -> dns.resolver.Resolver:
    try:
        resolver = dns.resolver.Resolver(configure=not given)
    except dns.exception.DNSException as problem:
        raise HardeningError(
            f"resolvers: the controller's own cannot be used ({problem}); list the addresses of others."
        ) from None
    if given:
        resolver.nameserver_ports = _places(given)
        resolver.nameservers = list(resolver.nameserver_ports)
    resolver.timeout, resolver.lifetime = timeout / 2, timeout  # a datagram may be lost, and is then sent again
    resolver.flags = dns.flags.RD | dns.flags.AD
    resolver.use_edns(0, dns.flags.DO, _PAYLOAD)  # for the signatures
    return resolver


def _places(given: Sequence[object]) -> Dict[str, int]:
    places: Dict[str, int] = {}
    for value in given:
        address, port = _place(value)
        if places.setdefault(address, port) != port:
            raise InvalidValue("resolvers", value, "is the second port of one address", "list one of the two")
    return places


def _place(value: object) -> Tuple[str, int]:
    """As Unbound and NSD write it, since a colon stands in IPv6 addresses too."""
    address, at, port = str(value).partition("@")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise InvalidValue(
            "resolvers", value, "is no address", "write ADDRESS or ADDRESS@PORT, as in 127.0.0.1@5353 or 2001:db8::53"
        ) from None
    return address, read_number("resolvers", port, 1, 65535) if at else 53


def _answer(resolver: dns.resolver.Resolver, name: str, kind: str) -> Answer:
    try:
        found = resolver.resolve(name, kind, search=False, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return Answer()
    except dns.exception.DNSException as problem:
        return Answer(failure=str(problem).rstrip("."))
    flags, signature = found.response.flags, None
    ttl = found.rrset.ttl if found.rrset else None
    for one in _signatures(found):
        seen = Signature(one.inception, one.expiration)
        signature, ttl = min(signature or seen, seen, key=lambda each: each.ends), one.original_ttl
    return Answer(
        values=tuple(_text(data) for data in found.rrset or ()),
        authenticated=bool(flags & dns.flags.AD),
        authoritative=bool(flags & dns.flags.AA),
        ttl=ttl,
        signature=signature,
    )


def _signatures(found: dns.resolver.Answer) -> Iterable[dns.rdtypes.ANY.RRSIG.RRSIG]:
    """Of the set that was asked for, under the name that aliases lead to."""
    for one in found.response.answer:
        if one.rdtype == dns.rdatatype.RRSIG and (one.name, one.covers) == (found.canonical_name, found.rdtype):
            yield from one


def _text(data: dns.rdata.Rdata) -> str:
    if isinstance(data, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(data.strings).decode("utf-8", "replace")
    if isinstance(data, dns.rdtypes.ANY.TLSA.TLSA):
        return f"{data.usage} {data.selector} {data.mtype} {data.cert.hex().upper()}"
    if isinstance(data, dns.rdtypes.ANY.MX.MX):
        return f"{data.preference} {data.exchange.to_text().lower()}"
    return data.to_text()
