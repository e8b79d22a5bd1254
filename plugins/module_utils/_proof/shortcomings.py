# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a listener falls short of its configuration."""

from __future__ import annotations

import re
from typing import Iterator, Mapping, Optional

from .._certificates.chain import read_certificates
from .._certificates.describe import certificate_fingerprint
from .._model.levels import ClientCertificates, Protocol, ServerLevel
from .._model.policies import ServerPolicy
from .._postfix import sni, store
from .._postfix.state import State
from .by_name import Shown
from .listeners import Listener
from .observe import Observation
from .vantages import NO_TLS, TURNED_AWAY

_HIDING = ("smtpd_discard_ehlo_keyword_address_maps", "postscreen_discard_ehlo_keyword_address_maps")
AWAY = "turns this host away"
HIDDEN = re.compile("_address_maps may hide it")


def shortcomings(listener: Listener, seen: Observation, shown: Shown) -> Iterator[str]:
    """Every way in which a listener falls short of its configuration; ``shown`` is for who asks for its own name."""
    state = listener.state
    if seen.error is not None:
        yield from unanswered(state, seen)
        return
    for version in (version for version, answer in seen.proxy_protocol.items() if answer != "accepted"):
        yield f"does not take the header of a proxy in version {version[1:]}"
    if not seen.implicit_tls:
        yield from _level_shortcomings(listener, seen)
    if seen.certificate is None:
        return
    if seen.certificate["certificate_sha256"] not in shown.fingerprints:
        yield f"shows the certificate {seen.certificate['certificate_sha256']}, which is not the active one"
    yield from _certificate_shortcomings(state, seen, shown)
    yield from _protocol_shortcomings(listener.policy, seen)
    yield from _client_certificate_shortcomings(listener.policy, seen)


def unanswered(state: State, seen: Observation) -> Iterator[str]:
    """Why a listener does not talk to this host to the end, where it does not."""
    if seen.error is None:
        return
    if TURNED_AWAY.match(seen.error):
        yield f"{AWAY}: {seen.error}"
    elif NO_TLS.match(seen.error):
        certified = bool(store.active_sources(state, "server"))
        remedy = "" if certified else "; give it a certificate (smtp_tls_cert, use: [server])"
        yield f"offers STARTTLS and then no TLS: {seen.error}{remedy}"
    else:
        yield f"cannot be talked to: {seen.error}"


def _certificate_shortcomings(state: State, seen: Observation, shown: Shown) -> Iterator[str]:
    """Of certificates beside the first: for other types of key, for other names."""
    for kind, found in seen.by_key_type.items():
        if found not in shown.fingerprints:
            yield f"shows clients that know {kind} alone {found or 'no certificate'}, which is not the active one"
    for name, path in served_names(state).items():
        wanted = [certificate_fingerprint(c) for c in read_certificates(path, store.read(path))]
        if name in seen.by_name and seen.by_name[name] not in wanted:
            yield f"shows clients that ask for {name} {seen.by_name[name] or 'no certificate'}, which is not the one in {path}"


def served_names(state: State) -> Mapping[str, str]:
    """One host name for each certificate that is served by name, and its chain file."""
    one_each = {path: host for host, path in sni.served(state).items()}
    return {f"any{host}" if host.startswith(".") else host: path for path, host in one_each.items()}


def _level_shortcomings(listener: Listener, seen: Observation) -> Iterator[str]:
    policy = listener.policy
    if policy.level is ServerLevel.NONE:
        if seen.starttls:
            yield "offers STARTTLS at server level none"
        return
    if not seen.starttls:
        hiding = [name for name in _HIDING if listener.state.effective.get(name)]
        to_whom = f" to this host, from which {hiding[0]} may hide it" if hiding else ""
        yield f"does not offer STARTTLS at server level {policy.level}{to_whom}"
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
