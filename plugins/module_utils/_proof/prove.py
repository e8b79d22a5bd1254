# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof: what the node's own listeners show, held against what they must show."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from .._certificates.describe import certificate_fingerprint
from .._errors import ProofFailed
from .._model.levels import ClientCertificates, Protocol, ServerLevel
from .._model.policies import ServerPolicy
from .._postfix import store
from .._postfix.commands import Postfix
from .._postfix.state import State, read_state
from .listeners import Listener, own_listeners
from .observe import Observation, observe

PATIENCE = 15.0
"""Seconds in which a reload must have reached every listener: processes that serve a client or
wait for one may answer once more with the old configuration (master(8))."""


def prove(postfix: Postfix) -> List[Dict[str, Any]]:
    """Observe every listener until all show what the configuration says, or fail."""
    state = read_state(postfix)
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = look(postfix, state)
        broken = [
            f"{listener.service} at {listener.target} {p}"
            for listener, o in seen
            for p in shortcomings(state, listener, o)
        ]
        facts = [{"service": listener.service, **observation.as_facts()} for listener, observation in seen]
        if not broken:
            return facts
        if time.monotonic() > deadline:
            raise ProofFailed(
                f"The wire shows something else than what was asked: {'; '.join(broken)}. "
                "The configuration is as it was before; the log of Postfix says more.",
                proof=facts,
            )
        time.sleep(0.25)


def look(postfix: Postfix, state: State) -> List[Tuple[Listener, Observation]]:
    """Every listener of the node with what was seen there."""
    own_chain = store.own_client_chain(state)
    return [(listener, observe(postfix.run, listener.target, own_chain=own_chain)) for listener in own_listeners(state)]


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
    yield from _protocol_shortcomings(listener.policy, seen)
    yield from _client_certificate_shortcomings(listener.policy, seen)


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
    return {certificate_fingerprint(chain.leaf) for _path, chain in store.active_chains(state, "server")}
