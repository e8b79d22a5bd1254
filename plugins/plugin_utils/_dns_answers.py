# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What DNS answers now, beside what is to be published."""

from __future__ import annotations

import concurrent.futures
import ipaddress
import re
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_records import Record, read_number

try:
    import dns.exception
    import dns.flags
    import dns.rdata
    import dns.rdtypes.ANY.TLSA
    import dns.rdtypes.ANY.TXT
    import dns.resolver

    HAS_DNSPYTHON = True
except ImportError:  # pragma: no cover
    HAS_DNSPYTHON = False

AT_ONCE = 16
"""Questions under way at the same time, so that a large fleet does not wait for one answer after the other."""
MAX_TIMEOUT = 60

Question = Tuple[str, str]
"""Name and type."""


class Answer(NamedTuple):
    values: Tuple[str, ...] = ()
    authenticated: bool = False
    """Whether the resolver vouches for it by DNSSEC (RFC 4035 section 3.2.3, the bit AD)."""
    failure: Optional[str] = None
    """Why there is no answer; that a name or record is not there is one."""


class Difference(NamedTuple):
    """What DNS says otherwise at one name, and what to do."""

    name: str
    type: str
    problem: str
    """C(missing); C(stale), a TLSA record of no key; C(outdated), a TXT record that says something else; C(several)
    where there may be one; C(unknown), since DNS did not answer."""
    values: List[str]
    """The records that are missing, or those that are published."""
    advice: str


def ask(questions: Iterable[Question], resolvers: Sequence[object], timeout: object) -> Dict[Question, Answer]:
    """Every question once; each is answered, or has failed, after ``timeout`` seconds."""
    if not HAS_DNSPYTHON:
        raise HardeningError(
            "compare: true needs the Python library dnspython on the controller; pip install dnspython there, or leave "
            "compare out."
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
    values = tuple(_text(data) for data in found.rrset or ())
    return Answer(values, bool(found.response.flags & dns.flags.AD))


def _text(data: dns.rdata.Rdata) -> str:
    if isinstance(data, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(data.strings).decode("utf-8", "replace")
    if isinstance(data, dns.rdtypes.ANY.TLSA.TLSA):
        return f"{data.usage} {data.selector} {data.mtype} {data.cert.hex().upper()}"
    return data.to_text()


def is_published(record: Record, answer: Answer) -> Optional[bool]:
    """Whether senders find the record; ``None`` where DNS did not answer."""
    if answer.failure:
        return None
    if record.type == "TLSA":
        return record.value in answer.values
    return list(map(_fields, _of_version(record, answer))) == [_fields(record.value)]


def differences(
    wanted: Sequence[Record], also_right: Mapping[str, Sequence[str]], answers: Mapping[Question, Answer]
) -> List[Difference]:
    """Question by question. ``also_right`` are TLSA records, by name, that need not be published and do no harm."""
    by_question: Dict[Question, List[Record]] = {}
    for record in wanted:
        by_question.setdefault((record.name, record.type), []).append(record)
    found: List[Difference] = []
    for (name, kind), answer in answers.items():
        records = by_question.get((name, kind), [])
        if answer.failure:
            found.append(_unknown(name, kind, answer.failure))
        elif kind == "TLSA":
            found += _tlsa(name, records, also_right.get(name, ()), answer.values)
        else:
            found += _txt(records[0], answer)
    return found


def _unknown(name: str, kind: str, reason: str) -> Difference:
    held = "; while it lasts, senders with DANE hold their mail (RFC 7672 section 2.1.1)" if kind == "TLSA" else ""
    advice = f"DNS gave no answer ({reason}){held}. Mend the zone or the resolver, then compare again."
    return Difference(name, kind, "unknown", [], advice)


def _tlsa(
    name: str, wanted: Sequence[Record], also_right: Sequence[str], published: Sequence[str]
) -> Iterator[Difference]:
    """New records come before new keys, and old records go last (RFC 7671 section 8.1)."""
    missing = [record for record in wanted if record.value not in published]
    now = [record.value for record in missing if not record.announced]
    later = [record.value for record in missing if record.announced]
    right = {*also_right, *(record.value for record in wanted)}
    stale = [value for value in published if value not in right]
    if now:
        unmatched = bool(published) and not set(published) & set(also_right)
        yield Difference(name, "TLSA", "missing", now, _publish_now(unmatched))
    if later:
        ttl = missing[-1].ttl
        advice = (
            "Publish it beside the present records before the key is used, wait until the old answer has left all "
            f"caches (its TTL; here {ttl} seconds), then list it in published_tlsa of smtp_tls_cert, which puts the "
            "key in use."
        )
        yield Difference(name, "TLSA", "missing", later, advice)
    if stale:
        first = (
            "Publish what is missing at this name first, and wait until the old answer has left all caches (its TTL). "
            "Then remove"
            if missing
            else "Remove"
        )
        yield Difference(name, "TLSA", "stale", stale, f"{first} what is of no key that a node serves or announces.")


def _publish_now(unmatched: bool) -> str:
    if unmatched:
        return (
            "Publish it at once, before anything is removed: senders with DANE that are shown this key find only other "
            "records and hold their mail (RFC 7672 section 2.2)."
        )
    return "Publish it; it protects once the zone is signed (DNSSEC, RFC 7672 section 2.2)."


def _txt(wanted: Record, answer: Answer) -> Iterator[Difference]:
    """Other versions are as if not there; so are several of this one (RFC 8461 section 3.1, RFC 8460 section 3)."""
    said = _of_version(wanted, answer)
    if is_published(wanted, answer):
        return
    if not said:
        problem, advice = "missing", "Publish it."
    elif len(said) > 1:
        problem, advice = "several", f"Leave {wanted.value!r} alone there: senders take several as if there were none."
    else:
        problem, advice = "outdated", f"Publish {wanted.value!r} in its place."
    yield Difference(wanted.name, "TXT", problem, said or [wanted.value], _policy_first(wanted.name) + advice)


def _policy_first(name: str) -> str:
    """Senders fetch the policy when they see a new id, so the file comes before the record (RFC 8461 section 8.1)."""
    prefix = "_mta-sts."
    if not name.startswith(prefix):
        return ""
    return f"First serve the policy at https://mta-sts.{name[len(prefix) : -1]}/.well-known/mta-sts.txt. "


def _of_version(wanted: Record, answer: Answer) -> List[str]:
    version = wanted.value.partition(";")[0]
    return [value for value in answer.values if re.match(rf"{version}[ \t]*;", value)]


def _fields(value: str) -> Dict[str, List[str]]:
    """Fields without the blanks between them; the order of addresses means nothing."""
    pairs = (part.partition("=") for part in value.split(";") if part.strip())
    return {key.strip(): sorted(one.strip() for one in text.split(",")) for key, _equals, text in pairs}
