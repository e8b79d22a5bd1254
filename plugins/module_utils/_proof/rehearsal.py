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
from .._postfix.levels import protocol_list
from .._postfix.state import State

_ESTABLISHED = re.compile(r"posttls-finger: (\w+) TLS connection established to ")
_NOISE = re.compile(r"dnssec_probe|DNSSEC validation may be|subject_CN=|fingerprint=|TLS connection established")
_TLSA = "DANE RR"
"""posttls-finger names each TLSA record that it compares with."""


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
    delivered = _suffices(record, tls, any(_TLSA in line for line in said))
    return Rehearsal(
        domain=record.name,
        level=str(record.level),
        next_hop=record.next_hops[0],
        delivered=delivered,
        tls=tls,
        reason=None if delivered else _reason(said),
    )


def report(postfix: Postfix, rehearsal: Rehearsal) -> None:
    """Put what enforcement would have held back into Postfix's own log (postlog(1))."""
    text = f"testing: mail for {rehearsal.domain} would wait at level {rehearsal.level}: {rehearsal.reason}"
    postfix.run(["postlog", "-c", postfix.config_dir, "-t", "smtp_hardening", "-p", "warn", text])


def _finger(postfix: Postfix, state: State, record: DomainPolicy) -> List[str]:
    effective = state.effective
    argv = ["posttls-finger", "-c", "-t", "10", "-T", "10", "-l", str(record.level), "-d", "sha256"]
    argv += ["-h", effective["smtp_host_lookup"].replace(" ", "")]
    for option, name in (("-F", "smtp_tls_CAfile"), ("-P", "smtp_tls_CApath")):
        argv += [option, effective[name]] if effective.get(name) else []
    own = store.own_client_chain(state)
    argv += ["-k", own, "-K", own] if own else []
    if record.minimum_protocol is not None:
        argv += ["-p", protocol_list(record.minimum_protocol, state.version)]
    argv += ["-g", str(record.ciphers)] if record.ciphers else []
    return [*argv, record.next_hops[0].lstrip("."), *record.match]


def _suffices(record: DomainPolicy, tls: Optional[str], compared: bool) -> bool:
    if record.level is ClientLevel.ENCRYPT:
        return tls is not None
    if record.level is ClientLevel.DANE and not compared:
        return True
    return tls == "Verified"


def _reason(said: List[str]) -> str:
    lines = [line.replace("posttls-finger: ", "").replace("warning: ", "") for line in said if not _NOISE.search(line)]
    return lines[0] if lines else "no STARTTLS is offered"
