# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof: what the node's own listeners show, held against what they must show."""

from __future__ import annotations

import smtplib
import time
from dataclasses import replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from .._certificates.chain import read_certificates
from .._certificates.describe import certificate_fingerprint
from .._certificates.keys import describe_public_key, public_key_of
from .._deadline import DeadlinePassed, within
from .._errors import ProofFailed
from .._model.levels import ClientCertificates, Protocol, ServerLevel
from .._model.policies import ServerPolicy
from .._postfix import sni, store
from .._postfix.commands import Postfix, Run
from .._postfix.processes import daemons
from .._postfix.state import State, read_state
from .addresses import taken
from .conversation import Conversation
from .listeners import Listener, own_listeners
from .master import gone_services, may_signal
from .observe import Observation, answer_to_recipient, observe

PATIENCE = 15.0
"""Seconds in which a reload must have reached every listener: processes that serve a client or
wait for one may answer once more with the old configuration (master(8))."""

RECEIVING = ("smtpd", "postscreen", "tlsproxy")
"""The programs that listeners are served by."""

STALL = 45.0
"""Seconds that a listener may be silent, or old processes may answer, after a reload under load. An smtpd that takes a connection while master(8) handles
the reload is still counted as free, so that nobody is asked to take the next ones before its session ends (master_avail.c,
master_status.c); what comes meanwhile waits in the listen queue, and is not lost. A silent client ends the session after
smtpd_timeout, which role relay sets to 30."""

FIRST_WORDS = 2.0
"""Seconds that a Postfix which has just been started may take until it answers."""


def prove(postfix: Postfix, started_with: Mapping[str, str]) -> List[Dict[str, object]]:
    """Observe every live listener until all show what the configuration says, or fail."""
    state = read_state(postfix)
    state = replace(state, effective={**state.effective, **started_with})
    listeners = own_listeners(state)
    late = _Late(postfix.master_pid(state.effective["queue_directory"]))
    for listener in listeners:
        _let_it_greet(listener)
    complaint = "The wire shows something else than what was asked"
    return _prove(postfix.run, state, listeners, PATIENCE, complaint, late=late)


def prove_twin(twin: Postfix, services: Sequence[str]) -> List[Dict[str, object]]:
    """The same of a twin, whose listeners stand for ``services``, and that its rules for recipients work."""
    state = read_state(twin)
    listeners = [found._replace(service=name) for found, name in zip(own_listeners(state), services)]
    facts = _prove(
        twin.run, state, listeners, FIRST_WORDS, "A twin with the new configuration does not do what was asked"
    )
    for listener in listeners:
        reply = answer_to_recipient(listener.target, store.own_client_chain(state))
        if reply is not None and reply.startswith("451 4.3."):
            raise ProofFailed(
                f"A twin with the new configuration cannot take mail: {listener.service} answers {reply!r} to RCPT TO. "
                "The configuration is as it was before.",
                proof=facts,
            )
    return facts


def check_master(postfix: Postfix, staged: State) -> None:
    """Refuse what the live master would not survive: it ends at a reload when another program has the address of a
    listener, and hangs when a service goes whose processes it may not end."""
    master = postfix.master_pid(staged.effective["queue_directory"])
    held = list(taken(staged, master))
    if held:
        raise ProofFailed(
            f"Another program listens where master.cf wants {'; '.join(held)}. Postfix would end at the reload: stop that "
            "program, or take the service out of master.cf."
        )
    gone = gone_services(read_state(postfix), staged)
    if gone and not may_signal(master):
        raise ProofFailed(
            f"Postfix would hang at the reload, until {', '.join(gone)} has no process any more: its master may not end "
            "processes of other users. Add CAP_KILL to the CapabilityBoundingSet of its systemd unit (role relay does) and "
            "restart it, or stop it, take the service out of master.cf and start it."
        )


def _let_it_greet(listener: Listener) -> None:
    """Wait until the listener speaks; whether it says the right thing is for others to see."""
    try:
        with within(STALL, ""), Conversation(listener.target, timeout=STALL):
            pass
    except (OSError, smtplib.SMTPException, DeadlinePassed):
        pass


class _Late:
    """Whether what is seen may still be from before a reload, which a machine under load handles late."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.end = time.monotonic() + STALL + PATIENCE
        self.earlier = set(daemons(master, *RECEIVING))

    def may_be(self, seen: Sequence[Tuple[Listener, Observation]]) -> bool:
        """A listener is only silent, or processes that were there at the reload still are."""
        if time.monotonic() > self.end:
            return False
        silent = any(o.error and ("timed out" in o.error or "has not answered" in o.error) for _listener, o in seen)
        return silent or bool(self.earlier & set(daemons(self.master, *RECEIVING)))


def _prove(
    run: Run,
    state: State,
    listeners: Sequence[Listener],
    patience: float,
    complaint: str,
    *,
    late: Optional[_Late] = None,
) -> List[Dict[str, object]]:
    """Look until nothing falls short, for as long as ``patience`` or what comes late may need."""
    deadline = time.monotonic() + patience
    while True:
        seen = _look(run, state, listeners)
        broken = [
            f"{listener.service} at {listener.target} {p}"
            for listener, o in seen
            for p in shortcomings(state, listener, o)
        ]
        facts = [{"service": listener.service, **observation.as_facts()} for listener, observation in seen]
        if not broken:
            return facts
        if time.monotonic() > deadline and not (late and late.may_be(seen)):
            raise ProofFailed(f"{complaint}: {'; '.join(broken)}. The configuration is as it was before.", proof=facts)
        time.sleep(0.25)


def _look(run: Run, state: State, listeners: Sequence[Listener]) -> List[Tuple[Listener, Observation]]:
    """Every listener with what was seen there."""
    own_chain = store.own_client_chain(state)
    types, names = _active_key_types(state), list(_names(state))
    return [
        (listener, observe(run, listener.target, own_chain=own_chain, key_types=types, names=names))
        for listener in listeners
    ]


def shortcomings(state: State, listener: Listener, seen: Observation) -> Iterator[str]:
    """Every way in which a listener falls short of its configuration."""
    if seen.error is not None:
        yield f"cannot be talked to: {seen.error}"
        return
    if not seen.implicit_tls:
        yield from _level_shortcomings(listener.policy, seen)
    if seen.certificate is None:
        return
    if seen.certificate["certificate_sha256"] not in _active_fingerprints(state):
        yield f"shows the certificate {seen.certificate['certificate_sha256']}, which is not the active one"
    yield from _certificate_shortcomings(state, seen)
    yield from _protocol_shortcomings(listener.policy, seen)
    yield from _client_certificate_shortcomings(listener.policy, seen)


def _certificate_shortcomings(state: State, seen: Observation) -> Iterator[str]:
    """Of certificates beside the first: for other types of key, for other names."""
    for kind, shown in seen.by_key_type.items():
        if shown not in _active_fingerprints(state):
            yield f"shows clients that know {kind} alone {shown or 'no certificate'}, which is not the active one"
    for name, path in _names(state).items():
        wanted = [certificate_fingerprint(c) for c in read_certificates(path, store.read(path))]
        if name in seen.by_name and seen.by_name[name] not in wanted:
            yield f"shows clients that ask for {name} {seen.by_name[name] or 'no certificate'}, which is not the one in {path}"


def _active_key_types(state: State) -> Tuple[str, ...]:
    """The types of key that are served, where there are several (`ecdsa` and `rsa` are told apart)."""
    chains = store.active_chains(state, "server")
    found = {describe_public_key(public_key_of(chain.leaf))[0] for _path, chain in chains} & {"ecdsa", "rsa"}
    return tuple(sorted(found)) if len(found) > 1 else ()


def _names(state: State) -> Mapping[str, str]:
    """One host name for each certificate that is served by name, and its chain file."""
    one_each = {path: host for host, path in sni.served(state).items()}
    return {f"any{host}" if host.startswith(".") else host: path for path, host in one_each.items()}


def _level_shortcomings(policy: ServerPolicy, seen: Observation) -> Iterator[str]:
    if policy.level is ServerLevel.NONE:
        if seen.starttls:
            yield "offers STARTTLS at server level none"
        return
    if not seen.starttls:
        yield f"does not offer STARTTLS at server level {policy.level}"
    if policy.level is ServerLevel.ENCRYPT and seen.plaintext != "refused":
        yield f"takes plaintext mail at server level encrypt ({seen.plaintext_reply})"
    if policy.level is ServerLevel.MAY and (seen.plaintext_reply or "").startswith("530"):
        yield f"refuses plaintext mail at server level may ({seen.plaintext_reply})"


def _protocol_shortcomings(policy: ServerPolicy, seen: Observation) -> Iterator[str]:
    floor = policy.minimum_protocol
    if floor is None:
        return
    for protocol in Protocol:
        answer = seen.protocols.get(protocol.value)
        if protocol.rank < floor.rank and answer == "accepted":
            yield f"speaks {protocol} below the floor of {floor}"
    if not any(seen.protocols.get(p.value) == "accepted" for p in Protocol if p.rank >= floor.rank):
        yield f"speaks no TLS from {floor} on"


def _client_certificate_shortcomings(policy: ServerPolicy, seen: Observation) -> Iterator[str]:
    asked: Optional[ClientCertificates] = policy.client_certificates
    if asked is None or policy.level is ServerLevel.NONE:
        return
    if seen.client_certificate != asked.value:
        yield f"treats client certificates as {seen.client_certificate!r} instead of {asked.value!r}"
    if seen.with_own_certificate is False:
        yield "refuses this node's own client certificate, so its neighbours' will not do either"


def _active_fingerprints(state: State) -> Set[str]:
    chains = store.active_certificates(state, "server")
    return {certificate_fingerprint(certificate) for chain in chains for certificate in chain}
