# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a domain's record would do to mail if it were enforced: Postfix's own client is asked, no message is sent."""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict, dataclass
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .._errors import present
from .._memory import lent
from .._model.domains import DomainPolicy
from .._model.levels import ClientLevel
from .._model.routes import STARTTLS, Route
from .._postfix import store
from .._postfix.commands import Postfix
from .._postfix.levels import DANE, MATCH_PARAMETER, protocol_list
from .._postfix.state import State, split_list
from .._postfix.values import colon_list, is_yes

# Anchored: a certificate's names stand in these lines too, and its owner chooses them.
_SAYS = r"posttls-finger: (?:warning: )?"
_ESTABLISHED = re.compile(_SAYS + r"(\w+) TLS connection established to ")
_USABLE = re.compile(_SAYS + r"(?:DNSSEC-signed TLSA record|using DANE RR): ")
_UNUSABLE = re.compile(_SAYS + r"(?:\S+ )?(?:unsupported (?:TLSA )?certificate usage|unsupported matching type)")
_ALL_UNUSABLE = re.compile(_SAYS + r"\S+: all TLSA records unusable")
"""What posttls-finger says of TLSA records, since 3.6 and before (RFC 7672 section 2.2: unusable ones still demand TLS)."""
_FAILURES = (
    "fatal: |SMTP service not available|Failed to establish session|Destination address lookup failed|lost connection|"
    "timeout while |DANE TLSA lookup problem"
)
_NO_SESSION = re.compile(f"{_SAYS}(?:{_FAILURES})")
_REASON = re.compile(
    f"{_SAYS}((?:{_FAILURES}|STARTTLS rejected|SSL_connect error|(?:server )?certificate verification failed|"
    r"\S* ?unsupported |\S+ unusable TLSA RR).*)"
)


@dataclass(frozen=True)
class Rehearsal:
    """One domain: what enforcement would do, and what was seen that says so."""

    domain: str
    level: str
    next_hop: str
    delivered: bool
    """Whether mail would go out; where not, it would wait in the queue (status C(deferred))."""
    tls: Optional[str]
    """C(Verified), C(Trusted), C(Untrusted) or C(Anonymous); ``None`` where no TLS session was made."""
    reason: Optional[str]
    """Why it would wait, in posttls-finger's words."""

    def as_facts(self) -> Dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Question:
    """What Postfix's own client is asked: a level, with which next hop, and what goes along with it."""

    level: ClientLevel
    next_hop: str
    parameters: Mapping[str, str]
    """Those of the client that will send: main.cf, with the overrides of its service."""
    protocols: str
    ciphers: str
    match: Sequence[str]
    servername: str = ""
    """As smtp_tls_servername has it."""
    lmtp: bool = False

    @property
    def side(self) -> str:
        return "lmtp" if self.lmtp else "smtp"

    @property
    def implicit_tls(self) -> bool:
        return is_yes(self.parameters.get(f"{self.side}_tls_wrappermode", ""))


class Answer(NamedTuple):
    """What was seen."""

    delivered: bool
    tls: Optional[str]
    reason: Optional[str]


def rehearse(postfix: Postfix, state: State, record: DomainPolicy) -> Rehearsal:
    """Make a TLS session with the record's next hop at its level, whatever its mode."""
    question = _question(state, record)
    return Rehearsal(record.name, str(record.level), question.next_hop, *ask(postfix, state, question))


def ask(postfix: Postfix, state: State, question: Question) -> Answer:
    """Make one TLS session as Postfix would."""
    own_pem = store.own_client_pem(state)
    with contextlib.nullcontext(None) if own_pem is None else lent(own_pem) as own_file:
        done = postfix.run(_finger(postfix, question, own_file))
    said = (done.stdout + done.stderr).split("\n")
    found = next(filter(None, map(_ESTABLISHED.match, said)), None)
    tls = found[1] if found else None
    delivered = done.rc == 0 and _suffices(question.level, tls, said)
    return Answer(delivered, tls, None if delivered else _reason(said, tls))


def make_question(
    side: str, found: Mapping[str, str], level: ClientLevel, next_hop: str, policy: Mapping[str, str]
) -> Question:
    """A level at a next hop, with what a policy says otherwise than the client's parameters."""
    parameter = MATCH_PARAMETER.get(level, "").replace("smtp_", f"{side}_", 1)
    names = policy.get("match") or found.get(parameter, "")
    return Question(
        level=level,
        next_hop=next_hop,
        parameters=found,
        protocols=policy.get("protocols", found.get(f"{side}_tls_mandatory_protocols", "")),
        ciphers=policy.get("ciphers", found.get(f"{side}_tls_mandatory_ciphers", "")),
        match=colon_list(names) if level.trusts_a_ca else split_list(names.replace("|", " ")),
        servername=policy.get("servername", found.get(f"{side}_tls_servername", "")),
        lmtp=side == "lmtp",
    )


def _question(state: State, record: DomainPolicy) -> Question:
    floor = record.minimum_protocol
    stated = {
        "match": " ".join(record.match),
        "protocols": protocol_list(floor, state.version) if floor is not None else "",
        "ciphers": str(record.ciphers or ""),
        "servername": record.servername or "",
    }
    policy = {name: value for name, value in stated.items() if value}
    next_hop = record.next_hops[0] if record.route is None else record.route.next_hop
    return make_question(*_client(state, record.route), present(record.level), next_hop, policy)


def _client(state: State, route: Optional[Route]) -> Tuple[str, Mapping[str, str]]:
    """The side, and what holds for it, of the service that brings mail there; for one that is still to come, as it will be."""
    service = state.service(route.transport if route else STARTTLS, "unix")
    if service is not None:
        return service.command, state.found(service)
    first = {"smtp_tls_wrappermode": "yes"} if route and route.implicit_tls else {}
    return "smtp", {**state.effective, **first}


def report(postfix: Postfix, rehearsal: Rehearsal) -> None:
    """Put what enforcement would have held back into Postfix's own log (postlog(1))."""
    text = f"testing: mail for {rehearsal.domain} would wait at level {rehearsal.level}: {rehearsal.reason}"
    postfix.run(["postlog", "-c", postfix.config_dir, "-t", "smtp_hardening", "-p", "warn", text])


def _finger(postfix: Postfix, question: Question, own_file: Optional[str]) -> List[str]:
    """``own_file`` holds the node's own certificate, chain and key, as servers are shown them."""
    found, side = question.parameters, question.side
    options = {
        "-L": "summary,verbose",
        "-t": "10",
        "-T": "10",
        "-l": str(question.level),
        "-d": "sha256",
        "-p": question.protocols,
        "-g": question.ciphers,
        "-h": ",".join(split_list(found.get(f"{side}_host_lookup", "dns"))),
    }
    if question.level not in DANE:
        # DANE knows no other CAs than those of TLSA records; posttls-finger below 3.6 would believe ours.
        options.update({"-F": found.get(f"{side}_tls_CAfile", ""), "-P": found.get(f"{side}_tls_CApath", "")})
    if own_file is not None:
        options.update({"-k": own_file, "-K": own_file})
    if question.level not in DANE:
        options["-s"] = servername(question)
    words = [word for option, value in options.items() if value for word in (option, value)]
    if question.lmtp:
        words.append("-S")
    if question.implicit_tls:
        words.append("-w")
    environment = f"MAIL_CONFIG={postfix.config_dir}"
    return ["env", environment, "posttls-finger", "-c", *words, question.next_hop, *question.match]


def servername(question: Question) -> str:
    """The name to send, for which posttls-finger(1) takes none of Postfix's words: the host that is named, where none is looked
    up in DNS."""
    if question.servername not in ("hostname", "nexthop"):
        return question.servername
    literal = re.match(r"\[([^\]]+)\]", question.next_hop)
    if literal is None and question.servername == "hostname":
        return ""
    return literal[1] if literal else question.next_hop.partition(":")[0]


def _suffices(level: ClientLevel, tls: Optional[str], said: List[str]) -> bool:
    if level is not ClientLevel.DANE:
        return tls is not None if level is ClientLevel.ENCRYPT else tls == "Verified"
    if any(map(_USABLE.match, said)) and not any(map(_ALL_UNUSABLE.match, said)):
        return tls == "Verified"
    if any(map(_UNUSABLE.match, said)) or any(map(_ALL_UNUSABLE.match, said)):
        return tls is not None
    return tls is not None or not any(map(_NO_SESSION.match, said))


def _reason(said: List[str], tls: Optional[str]) -> str:
    found = filter(None, map(_REASON.match, said))
    return next((line[1] for line in found), "no TLS session was made" if tls is None else "nothing matches")
