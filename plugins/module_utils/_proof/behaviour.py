# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How listeners behave, whatever their configuration says: for states that somebody else has made, and that may be broken.

Such a state comes back whole when it behaves as it did when it was found.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Sequence

from .._errors import HardeningError, ProofFailed
from .._postfix import store
from .._postfix.commands import Postfix
from .._postfix.state import read_state
from .listeners import own_listeners
from .observe import Observation, answer_to_recipient, observe
from .vantages import vantages

Behaviour = Dict[str, Dict[str, object]]
"""By service of master.cf, as far as it is the same each time that a client asks."""


def look(postfix: Postfix, services: Optional[Sequence[str]] = None) -> Behaviour:
    """What each listener shows now. Those of a twin stand for ``services``. Nothing where nobody can say which they are."""
    try:
        state = read_state(postfix)
        listeners = own_listeners(state)
        own_pem = store.own_client_pem(state)
    except HardeningError:
        return {}
    found: Behaviour = {}
    for listener, name in zip(listeners, services or [listener.service for listener in listeners]):
        target = next(vantages(listener.target, listener.state.effective))
        seen = observe(postfix.run, target, own_pem=own_pem)
        reply = None if seen.error else answer_to_recipient(target, own_pem)
        found[name] = _told(seen, reply)
    return found


def _told(seen: Observation, reply: Optional[str]) -> Dict[str, object]:
    """Where a conversation breaks off is chance; that it does is not."""
    if seen.error is not None:
        return {"broken": True}
    return {
        "starttls": seen.starttls,
        "plaintext": seen.plaintext,
        "protocols": dict(seen.protocols),
        "certificate": seen.certificate and seen.certificate["certificate_sha256"],
        "client_certificate": seen.client_certificate,
        "with_own_certificate": seen.with_own_certificate,
        "recipient": reply and reply[:9],
    }


def as_then(
    prove: Callable[[], List[Dict[str, object]]], now: Callable[[], Behaviour], then: Mapping[str, object]
) -> List[Dict[str, object]]:
    """What ``prove`` returns; where it fails, what is seen ``now``, if each listener that falls short is as it was ``then``."""
    try:
        return prove()
    except HardeningError as problem:
        seen = now()
        short = {service for service, _problem in problem.shortcomings} if isinstance(problem, ProofFailed) else set()
        if not then or not all(_is_as_then(service, seen, then) for service in short or {*seen, *then}):
            raise
        return [{"service": service, **facts} for service, facts in seen.items()]


def _is_as_then(service: str, seen: Mapping[str, object], then: Mapping[str, object]) -> bool:
    """A listener that is new may be as another one was."""
    return seen.get(service) == then[service] if service in then else seen.get(service) in then.values()
