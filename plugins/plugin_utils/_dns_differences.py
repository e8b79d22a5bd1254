# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What DNS says beside what is to be published, what that means for senders, and what to do in which order."""

from __future__ import annotations

import re
import time
from typing import AbstractSet, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.fitness import covers
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_answers import Answer, Question
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_records import Domain, Record
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._dns_tlsa import hides, looked_at, said

_LAST_PART = 0.1
"""Of the time that a signature holds: whoever signs in time does it before, by the defaults of BIND, Knot, PowerDNS, OpenDNSSEC."""


class Difference(NamedTuple):
    """What DNS says otherwise at one name, and what to do."""

    name: str
    type: str
    problem: str
    """C(missing); C(stale), a TLSA record of no key; C(hidden), one that senders pass over; C(outdated), a TXT record that says
    something else; C(several) where there may be one; C(unlisted), an MX host that the policy does not name; C(unauthenticated);
    C(expiring), a signature that ends soon; C(ttl), longer than what is waited for; C(unknown), since DNS did not answer."""
    values: List[str]
    """The records that are missing or hidden, or those that are published."""
    advice: str


def is_published(record: Record, answer: Answer) -> Optional[bool]:
    """Whether senders find the record, or another that says the same; ``None`` where DNS did not answer."""
    if answer.failure:
        return None
    if record.type == "TLSA":
        return record.is_said_by(looked_at(answer.values))
    return list(map(_fields, _of_version(record, answer))) == [_fields(record.value)]


def differences(
    wanted: Sequence[Record],
    right: Mapping[str, AbstractSet[str]],
    domains: Sequence[Domain],
    ttl: int,
    answers: Mapping[Question, Answer],
) -> List[Difference]:
    """Question by question. ``right`` are all TLSA records, by name, that match what is served there or will be; ``ttl`` is
    what the records are to have."""
    by_question: Dict[Question, List[Record]] = {}
    for record in wanted:
        by_question.setdefault((record.name, record.type), []).append(record)
    by_name = {f"{domain.name}.": domain for domain in domains}
    found: List[Difference] = []
    for (name, kind), answer in answers.items():
        if answer.failure:
            found.append(_unknown(name, kind, answer.failure))
            continue
        records = by_question.get((name, kind), [])
        if kind == "TLSA":
            found += _tlsa(name, records, right.get(name, frozenset()), answer)
        elif kind == "MX":
            found += _mx(by_name[name], answer)
        else:
            found += _txt(records[0], answer)
        found += _around(name, kind, ttl, answer)
    return found


def unvouched(answers: Mapping[Question, Answer]) -> List[str]:
    """Where the zone's own name servers have answered, whether others believe them cannot be known from that."""
    names = [name for (name, kind), answer in answers.items() if kind in _BY_DANE and _is_signed_by_hand(answer)]
    if not names:
        return []
    return [
        f"{names[0]}: the zone's own name server vouches for nothing, so whether DNSSEC holds down to its signatures is not known; "
        "compare with a validating resolver as well (resolvers)."
    ]


_BY_DANE = ("TLSA", "MX")
"""What must be secure for DANE to hold (RFC 7672 sections 2.2.1 and 2.2.3)."""


def _is_signed_by_hand(answer: Answer) -> bool:
    return answer.authoritative and answer.signature is not None and not answer.authenticated


def _unknown(name: str, kind: str, reason: str) -> Difference:
    held = "; while it lasts, senders with DANE hold their mail (RFC 7672 section 2.1.1)" if kind == "TLSA" else ""
    advice = f"DNS gave no answer ({reason}){held}. Mend the zone or the resolver, then compare again."
    return Difference(name, kind, "unknown", [], advice)


def _tlsa(name: str, wanted: Sequence[Record], right: AbstractSet[str], answer: Answer) -> Iterator[Difference]:
    """New records come before new keys, and old records go last (RFC 7671 section 8.1)."""
    there, seen = frozenset(map(said, answer.values)), looked_at(answer.values)
    missing = [record for record in wanted if not record.is_said_by(there)]
    now = [record for record in missing if not record.announced]
    later = [record for record in missing if record.announced]
    hidden = [record for record in wanted if record not in missing and not record.is_said_by(seen)]
    stale = [value for value in answer.values if said(value) not in right]
    if now:
        unmatched = bool(answer.values) and not all(record.is_taken_by(seen) for record in now)
        yield Difference(name, "TLSA", "missing", [record.value for record in now], _publish_now(unmatched))
    if later:
        seconds = max(later[-1].ttl, answer.ttl or 0)
        advice = (
            "Publish it beside the present records before the key is used, wait until the old answer has left all "
            f"caches (its TTL; here {seconds} seconds), then list it in published_tlsa of smtp_tls_cert, which puts the "
            "key in use."
        )
        yield Difference(name, "TLSA", "missing", [record.value for record in later], advice)
    if hidden:
        held = [record for record in hidden if not record.announced and not record.is_taken_by(seen)]
        values = [record.value for record in held or hidden]
        yield Difference(name, "TLSA", "hidden", values, _uncover(list(filter(hides, answer.values)), bool(held)))
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


def _uncover(hiding: Sequence[str], held: bool) -> str:
    cause = f"of one usage and selector senders look at the strongest digest alone (RFC 7671 section 9), here {', '.join(hiding)}"
    if held:
        return (
            f"Publish the record with matching type 2 of what is served beside it, or remove what hides it, at once: {cause}, so "
            "that they hold their mail."
        )
    return (
        "Publish the record with matching type 2 of this key beside it, or remove what hides it, before the key is used: "
        f"{cause}."
    )


def _mx(domain: Domain, answer: Answer) -> Iterator[Difference]:
    """The hosts that mail goes to are those of the policy (RFC 8461 section 4.1) and of this fleet."""
    name, hosts = f"{domain.name}.", [value.split(" ", 1)[1].rstrip(".") for value in answer.values]
    missing = [host for host in domain.mx if not host.startswith("*.") and host not in hosts]
    unlisted = [value for value, host in zip(answer.values, hosts) if not covers(domain.mx, host)]
    if missing:
        without = (
            ""
            if hosts
            else "Without any MX record, mail goes to the addresses of the domain itself (RFC 5321 section 5.1). "
        )
        yield Difference(
            name, "MX", "missing", missing, f"{without}Publish one for it, or leave the host out of the domain (mx)."
        )
    if unlisted and domain.mx:
        advice = (
            "No host that is listed for the domain (mx): its key is not known here, and senders that honour MTA-STS deliver nothing "
            "to it in mode enforce (RFC 8461 section 4.1). List it, and serve the policy anew first, or take the MX record out."
        )
        yield Difference(name, "MX", "unlisted", unlisted, advice)


def _around(name: str, kind: str, ttl: int, answer: Answer) -> Iterator[Difference]:
    """What holds for any record set: who vouches for it, for how long, and how long others keep it."""
    values = list(answer.values)
    if not values:
        return
    if kind in _BY_DANE and not answer.authenticated and not _is_signed_by_hand(answer):
        yield Difference(name, kind, "unauthenticated", values, _sign(kind, answer.signature is not None))
    if answer.signature is not None:
        begins, ends = answer.signature
        left = ends - int(time.time())
        if left < _LAST_PART * (ends - begins):
            advice = (
                f"The signature {'ended' if left < 0 else 'ends'} on {_day(ends)}; after that no validating resolver gives an answer, and "
                "senders with DANE hold their mail. See to it that the zone is signed anew in time."
            )
            yield Difference(name, kind, "expiring", values, advice)
    if answer.ttl is not None and answer.ttl > ttl:
        advice = (
            f"DNS lets caches keep it for {answer.ttl} seconds; wait so long between the steps of a change, or publish it with the TTL "
            f"{ttl} (ttl)."
        )
        yield Difference(name, kind, "ttl", values, advice)


def _sign(kind: str, signed: bool) -> str:
    lost = (
        "Senders with DANE look at no TLSA record that DNSSEC does not vouch for (RFC 7672 section 2.2)"
        if kind == "TLSA"
        else "Where DNSSEC does not vouch for the MX records, whoever forges them chooses the host (RFC 7672 section 2.2.1)"
    )
    if signed:
        return (
            f"{lost}. The answer is signed, but the resolver does not vouch for it: publish the zone's DS record in the zone above, or "
            "ask a resolver that validates (resolvers)."
        )
    return f"{lost}. Sign the zone, and publish its DS record in the zone above; or ask a resolver that validates (resolvers)."


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _txt(wanted: Record, answer: Answer) -> Iterator[Difference]:
    """Other versions are as if not there; so are several of this one (RFC 8461 section 3.1, RFC 8460 section 3)."""
    found = _of_version(wanted, answer)
    if is_published(wanted, answer):
        return
    if not found:
        problem, advice = "missing", "Publish it."
    elif len(found) > 1:
        problem, advice = "several", f"Leave {wanted.value!r} alone there: senders take several as if there were none."
    else:
        problem, advice = "outdated", f"Publish {wanted.value!r} in its place."
    yield Difference(wanted.name, "TXT", problem, found or [wanted.value], _policy_first(wanted.name) + advice)


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
