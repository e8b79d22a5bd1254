# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node's own next hops are asked before they are held to more or to something else: smarthosts, routes, content filters that a
configuration names.

Each is asked with Postfix's own client at the level that is to hold. Strangers' hosts, which DNS names, are not.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import AbstractSet, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .._errors import HardeningError, present
from .._model.levels import ClientLevel
from .._postfix.commands import Postfix
from .._postfix.state import State, split_list
from .._postfix.values import is_yes
from .._posture.filters import ACTION, CONTENT_FILTER
from .._posture.passwords import shown_by
from .._posture.posture import Posture
from .._posture.protections import is_weaker
from .._posture.ways import Hop, is_loopback, recipient
from .login import log_in
from .rehearsal import Question, ask, make_question

AT_ONCE = 8
MOST = 64
"""Next hops that are asked at most; a node that names more has a fleet's worth of routes."""


_SILENT = re.compile("Connection refused|timed out|No route|unreachable|not found")
_SHARED = ("smtp/unix", "relay/unix", "lmtp/unix")
"""Clients of master.cf as it comes, which send to everybody."""


@dataclass(frozen=True)
class NextHop:
    """One next hop at the level that is to hold, and what was seen."""

    service: str
    next_hop: str
    by: str
    level: str
    delivered: bool
    tls: Optional[str]
    reason: Optional[str]
    login: Optional[bool] = None
    """Whether name and password were taken; ``None`` where there are none, or nobody knows."""

    def as_facts(self) -> Dict[str, object]:
        return asdict(self)


def to_ask(before: Posture, after: Posture, passwords: Mapping[str, str]) -> List[Hop]:
    """Those that are held to more or to something else, and those that are logged in to with passwords that are new."""
    found = {_key(hop): hop for hop in rising(before, after)}
    for key, hop in _client_hops(after).items():
        if hop.next_hop in passwords and _is_demanding(hop):
            found.setdefault(key, hop)
    return list(found.values())


def _client_hops(posture: Posture) -> Dict[Tuple[str, str], Hop]:
    """All that clients of master.cf send to, each once."""
    found: Dict[Tuple[str, str], Hop] = {}
    for way in posture.hops.values():
        for hop in way.hops:
            if hop.service is not None:
                found.setdefault(_key(hop), hop)
    return found


def _key(hop: Hop) -> Tuple[str, str]:
    return present(hop.service).key, hop.next_hop


def rising(before: Posture, after: Posture) -> List[Hop]:
    """The hops that are named, not looked up by a domain, and must do more than they had to, or something else."""
    had = _client_hops(before)
    domains = {recipient(name).rpartition("@")[2] for name in after.hops}
    found: List[Hop] = []
    for key, hop in _client_hops(after).items():
        if _is_named(hop, domains) and hop.policy.valid and _is_demanding(hop):
            if key not in had or _is_held_to_more((before, had[key]), (after, hop)):
                found.append(hop)
    return found


def _is_held_to_more(before: Tuple[Posture, Hop], after: Tuple[Posture, Hop]) -> bool:
    """Whether a host could fail now that did not: at a stricter level, or for another reason at the same."""
    was, will = before[1].values.get("level"), after[1].values.get("level")
    if was != will:
        return is_weaker(was, will)
    return _asked_of(*before) != _asked_of(*after)


def _asked_of(posture: Posture, hop: Hop) -> Tuple[object, ...]:
    """What a host must show, but for the level."""
    asked = _question(posture.configuration.state, hop)
    trusted = [asked.parameters.get(f"{asked.side}_tls_{name}") for name in ("CAfile", "CApath")]
    return (asked.protocols, asked.ciphers, asked.implicit_tls, tuple(asked.match), asked.servername, *trusted)


def misled(before: Posture, after: Posture) -> Iterator[str]:
    """A sentence for each next hop that the change brings in at a port where TLS comes first, by a client that waits for STARTTLS.

    A record says so on purpose (implicit_tls).
    """
    known = _client_hops(before)
    for key, hop in _client_hops(after).items():
        service = present(hop.service)
        if key in known or service.command != "smtp" or hop.by == "transport_maps" or not hop.next_hop.endswith(":465"):
            continue
        if not is_yes(after.configuration.parameter("smtp_tls_wrappermode", service)):
            yield (
                f"Mail for {hop.next_hop} ({hop.by}) would wait: hosts speak TLS first at port 465, and {service.key} waits for "
                "STARTTLS. Let it go by the transport smtps, which a route to that port brings (smtp_domain_policy; role relay, "
                "relay_smarthost)."
            )


def kept_back(after: Posture, logins: AbstractSet[str]) -> Iterator[str]:
    """A sentence for each next hop that no password is shown to, since its level verifies too little (SASL_README)."""
    for hop in _client_hops(after).values():
        service, level = present(hop.service), hop.values.get("level")
        if hop.next_hop not in logins or not isinstance(level, ClientLevel):
            continue
        parameter = shown_by(service.command, level)
        if "noplaintext" in split_list(after.configuration.parameter(parameter, service)):
            yield (
                f"Mail for {hop.next_hop} ({hop.by}, {service.key}) would wait, unless that server takes a login that shows no "
                f"password: none is shown at level {level} ({parameter}). Give that next hop a record with level: secure "
                "(smtp_domain_policy), and show passwords to verified servers (smtp_sasl_tls_verified_security_options: noanonymous)."
            )


def unused(after: Posture, logins: AbstractSet[str]) -> Iterator[str]:
    """A sentence for each key of a table of passwords that is no sender's, and spells no next hop."""
    hops = {hop.next_hop for hop in _client_hops(after).values()}
    known = hops | {hop.partition("]")[0].lstrip("[") for hop in hops}
    for key in sorted(key for key in logins if "@" not in key and key not in known):
        yield (
            f"smtp_sasl_password_maps: no mail goes to {key}, as far as main.cf and its tables say; spell a next hop as its route "
            "does, as in [smtp.example]:587, or all of a sender's domain as @shop.example."
        )


def ask_all(
    postfix: Postfix, state: State, hops: Sequence[Hop], passwords: Mapping[str, str] = MappingProxyType({})
) -> List[NextHop]:
    """Ask them side by side; ``state`` is the configuration that is to hold. Nothing is sent."""
    questions = [_question(state, hop) for hop in hops]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda hop, question: _asked(postfix, state, hop, question), hops, questions))
    return [_logged_in(one, question, passwords.get(one.next_hop)) for one, question in zip(seen, questions)]


def refuse_cut_off(hops: Sequence[NextHop]) -> None:
    """Refuse what would cut this host off from itself: a content filter, or a program behind a loopback address.

    One that does not even answer is no matter of TLS.
    """
    for hop in hops:
        local = is_loopback(hop.next_hop) or hop.by in (CONTENT_FILTER, ACTION)
        if local and not hop.delivered and not _SILENT.search(hop.reason or ""):
            option, exception = _exception(hop)
            raise HardeningError(
                f"{option}: {hop.level} would hold back all mail for {hop.next_hop} ({hop.by}), to which {hop.service} "
                f"sends: {hop.reason}; {exception}."
            )


def _exception(hop: NextHop) -> Tuple[str, str]:
    """The option that has the level, and where to state another."""
    if hop.by == "transport_maps":
        return "level", "give the record that has this route level: may"
    exception = f"state the exception in services, as {{name: {hop.service}, level: may}}"
    if hop.service in _SHARED:
        exception = (
            f"give it a client service of its own, since {hop.service} sends other mail too, and {exception} for that"
        )
    return "client.level", exception


def refuse_wrong_passwords(hops: Sequence[NextHop]) -> None:
    """Refuse a name and a password that a server has refused for good: all mail for it would wait."""
    for hop in hops:
        if hop.login is False:
            raise HardeningError(
                f"smtp_sasl_password_maps: {hop.next_hop} refuses the name or the password that stands for it "
                f"({hop.reason}), so all mail for it would wait; give the right ones. Nothing was changed."
            )


def not_asked(hops: Sequence[Hop]) -> Iterator[str]:
    """A sentence about those that are too many to be asked."""
    if hops:
        yield (
            f"Of the next hops that are held to more, {MOST} were asked. How these answer is not known: "
            f"{', '.join(dict.fromkeys(hop.next_hop for hop in hops))}."
        )


_ADVICE = {
    "timeout while reading server greeting": "; if TLS comes first there, say so by implicit_tls (role relay: "
    "relay_smarthost_implicit_tls)",
    "SSL_connect error": "; if TLS does not come first there, name the port where STARTTLS is spoken, as 587, or set implicit_tls: false",
}
"""By what Postfix's client says that waits for the other kind of TLS."""


def warnings(hops: Sequence[NextHop]) -> Iterator[str]:
    for hop in hops:
        if not hop.delivered:
            advice = next((text for said, text in _ADVICE.items() if (hop.reason or "").startswith(said)), "")
            yield f"Mail for {hop.next_hop} ({hop.by}, {hop.service}) would wait at level {hop.level}: {hop.reason}{advice}."
        elif hop.reason:
            yield f"Whether {hop.next_hop} ({hop.by}, {hop.service}) takes name and password is not known: {hop.reason}."


def _is_named(hop: Hop, domains: AbstractSet[str]) -> bool:
    """Whether the configuration names the next hop, rather than leaving it to the recipient's domain."""
    return hop.next_hop not in domains and not hop.next_hop.startswith(("unix:", "/"))


def _is_demanding(hop: Hop) -> bool:
    return hop.values.get("level") not in (ClientLevel.NONE, ClientLevel.MAY)


def _asked(postfix: Postfix, state: State, hop: Hop, question: Question) -> NextHop:
    seen = NextHop(present(hop.service).key, hop.next_hop, hop.by, str(question.level), False, None, None)
    try:
        answer = ask(postfix, state, question)
    except HardeningError as problem:
        return replace(seen, reason=str(problem))
    return replace(seen, **answer._asdict())


def _logged_in(seen: NextHop, question: Question, credentials: Optional[str]) -> NextHop:
    """One after the other: each has its deadline, which threads have not."""
    if credentials is None or not seen.delivered:
        return seen
    login = log_in(question, credentials)
    return replace(seen, login=login.accepted, reason=login.reason)


def _question(state: State, hop: Hop) -> Question:
    service, level = present(hop.service), ClientLevel(str(hop.values["level"]))
    return make_question(service.command, state.found(service), level, hop.next_hop, hop.policy.attributes)
