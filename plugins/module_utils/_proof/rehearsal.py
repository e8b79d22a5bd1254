# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a domain's record would do to mail if it were enforced: Postfix's own client is asked, no message is sent."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional

from .._model.domains import DomainPolicy
from .._model.levels import ClientLevel
from .._postfix import store
from .._postfix.commands import Postfix
from .._postfix.levels import DANE, protocol_list
from .._postfix.state import State

_ESTABLISHED = re.compile(r"posttls-finger: (\w+) TLS connection established to ")
_REASON = re.compile(
    r"posttls-finger: (?:warning: )?(.*(?:certificate verification failed|SSL_connect error|TLSA lookup problem|"
    r"address lookup failed|Failed to establish session|unsupported .*usage|unsupported matching type|unusable TLSA RR).*)"
)
_USABLE = re.compile("DNSSEC-signed TLSA record|using DANE RR")
_UNUSABLE = re.compile("unsupported (?:TLSA )?certificate usage|unsupported matching type|all TLSA records unusable")
"""What posttls-finger says of TLSA records (RFC 7672 section 2.2: unusable ones still demand TLS), since 3.6 and before."""


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

    def as_facts(self) -> Dict[str, Any]:
        return asdict(self)


def rehearse(postfix: Postfix, state: State, record: DomainPolicy) -> Rehearsal:
    """Make a TLS session with the record's next hop at its level, whatever its mode."""
    done = postfix.run(_finger(postfix, state, record))
    said = (done.stdout + done.stderr).splitlines()
    found = next(filter(None, map(_ESTABLISHED.search, said)), None)
    tls = found[1] if found else None
    delivered = _suffices(record, tls, done.stdout + done.stderr)
    return Rehearsal(
        domain=record.name,
        level=str(record.level),
        next_hop=record.next_hops[0],
        delivered=delivered,
        tls=tls,
        reason=None if delivered else _reason(said, tls),
    )


def report(postfix: Postfix, rehearsal: Rehearsal) -> None:
    """Put what enforcement would have held back into Postfix's own log (postlog(1))."""
    text = f"testing: mail for {rehearsal.domain} would wait at level {rehearsal.level}: {rehearsal.reason}"
    postfix.run(["postlog", "-c", postfix.config_dir, "-t", "smtp_hardening", "-p", "warn", text])


def _finger(postfix: Postfix, state: State, record: DomainPolicy) -> List[str]:
    effective = state.effective
    floor, grade = effective["smtp_tls_mandatory_protocols"], effective["smtp_tls_mandatory_ciphers"]
    if record.minimum_protocol is not None:
        floor = protocol_list(record.minimum_protocol, state.version)
    argv = [
        "posttls-finger",
        "-c",
        "-L",
        "summary,verbose",
        "-t",
        "10",
        "-T",
        "10",
        "-l",
        str(record.level),
        "-d",
        "sha256",
    ]
    argv += ["-p", floor, "-g", str(record.ciphers or grade)]
    argv += ["-h", effective["smtp_host_lookup"].replace(" ", "")]
    for option, name in (("-F", "smtp_tls_CAfile"), ("-P", "smtp_tls_CApath")):
        # DANE knows no other CAs than those of TLSA records; posttls-finger below 3.6 would believe ours.
        argv += [option, effective[name]] if effective.get(name) and record.level not in DANE else []
    own = store.own_client_chain(state)
    argv += ["-k", own, "-K", own] if own else []
    return [*argv, record.next_hops[0].lstrip("."), *record.match]


def _suffices(record: DomainPolicy, tls: Optional[str], said: str) -> bool:
    if record.level is not ClientLevel.DANE:
        return tls is not None if record.level is ClientLevel.ENCRYPT else tls == "Verified"
    if _USABLE.search(said) and "all TLSA records unusable" not in said:
        return tls == "Verified"
    if _UNUSABLE.search(said):
        return tls is not None
    return not re.search("TLSA lookup|Failed to establish|address lookup failed", said)


def _reason(said: List[str], tls: Optional[str]) -> str:
    found = filter(None, map(_REASON.match, said))
    return next((line[1] for line in found), "no STARTTLS is offered" if tls is None else "nothing matches")
