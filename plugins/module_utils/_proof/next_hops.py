# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node's own next hops are asked before a level rises: smarthosts, routes, content filters that a configuration names.

Each is asked with Postfix's own client at the level that is to hold. Strangers' hosts, which DNS names, are not.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import AbstractSet, Dict, Iterator, List, Optional, Sequence

from .._errors import HardeningError, present
from .._model.levels import ClientLevel
from .._postfix.commands import Postfix
from .._postfix.levels import MATCH_PARAMETER
from .._postfix.state import Service, State, split_list
from .._postfix.values import colon_list
from .._posture.filters import ACTION, CONTENT_FILTER
from .._posture.posture import Posture
from .._posture.protections import is_weaker
from .._posture.ways import Hop, is_loopback, recipient
from .rehearsal import Question, ask

AT_ONCE = 8
MOST = 64
"""Next hops that are asked; a node that names more has a fleet's worth of routes."""


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

    def as_facts(self) -> Dict[str, object]:
        return asdict(self)


def rising(before: Posture, after: Posture) -> List[Hop]:
    """The hops that are named, not looked up by a domain, and must do more than they had to."""
    had = {(hop.service.key, hop.next_hop): hop for way in before.hops.values() for hop in way.hops if hop.service}
    found: Dict[object, Hop] = {}
    domains = {recipient(name).rpartition("@")[2] for name in after.hops}
    for way in after.hops.values():
        for hop in way.hops:
            if hop.service is not None and _is_named(hop, domains) and hop.policy.valid:
                key = (hop.service.key, hop.next_hop)
                old = had.get(key)
                level, was = hop.values.get("level"), old.values.get("level") if old else ClientLevel.NONE
                if _is_demanding(hop) and is_weaker(was, level):
                    found.setdefault(key, hop)
    return list(found.values())[:MOST]


def ask_all(postfix: Postfix, state: State, hops: Sequence[Hop]) -> List[NextHop]:
    """Ask them side by side; ``state`` is the configuration that is to hold. Nothing is sent."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda hop: _asked(postfix, state, hop), hops))


def refuse_cut_off(hops: Sequence[NextHop]) -> None:
    """Refuse what would cut this host off from itself: a content filter, or a program behind a loopback address.

    One that does not even answer is no matter of TLS.
    """
    for hop in hops:
        local = is_loopback(hop.next_hop) or hop.by in (CONTENT_FILTER, ACTION)
        if local and not hop.delivered and not _SILENT.search(hop.reason or ""):
            exception = f"state the exception in services, as {{name: {hop.service}, level: may}}"
            if hop.service in _SHARED:
                exception = f"give it a client service of its own, since {hop.service} sends other mail too, and {exception} for that"
            raise HardeningError(
                f"client.level: {hop.level} would hold back all mail for {hop.next_hop} ({hop.by}), to which {hop.service} "
                f"sends: {hop.reason}; {exception}."
            )


def warnings(hops: Sequence[NextHop]) -> Iterator[str]:
    for hop in hops:
        if not hop.delivered:
            yield f"Mail for {hop.next_hop} ({hop.by}, {hop.service}) would wait at level {hop.level}: {hop.reason}."


def _is_named(hop: Hop, domains: AbstractSet[str]) -> bool:
    """Whether the configuration names the next hop, rather than leaving it to the recipient's domain."""
    return hop.next_hop not in domains and not hop.next_hop.startswith(("unix:", "/"))


def _is_demanding(hop: Hop) -> bool:
    return hop.values.get("level") not in (ClientLevel.NONE, ClientLevel.MAY)


def _asked(postfix: Postfix, state: State, hop: Hop) -> NextHop:
    service = present(hop.service)
    question = _question(state, service, hop)
    try:
        answer = ask(postfix, state, question)
    except HardeningError as problem:
        return NextHop(service.key, hop.next_hop, hop.by, str(question.level), False, None, str(problem))
    return NextHop(service.key, hop.next_hop, hop.by, str(question.level), *answer)


def _question(state: State, service: Service, hop: Hop) -> Question:
    found, side, policy = state.found(service), service.command, hop.policy.attributes
    level = ClientLevel(str(hop.values["level"]))
    names = policy.get("match") or found.get(MATCH_PARAMETER.get(level, "").replace("smtp_", f"{side}_", 1), "")
    return Question(
        level=level,
        next_hop=hop.next_hop,
        parameters=found,
        protocols=policy.get("protocols", found.get(f"{side}_tls_mandatory_protocols", "")),
        ciphers=policy.get("ciphers", found.get(f"{side}_tls_mandatory_ciphers", "")),
        match=colon_list(names) if level.trusts_a_ca else split_list(names.replace("|", " ")),
        lmtp=side == "lmtp",
    )
