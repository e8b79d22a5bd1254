# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof: what the node's own listeners show, held against what they must show."""

from __future__ import annotations

import smtplib
import time
from dataclasses import replace
from typing import Collection, Dict, FrozenSet, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .._deadline import DeadlinePassed, within
from .._errors import CertificateError, ProofFailed, Shortcoming
from .._model.levels import ServerLevel
from .._postfix import store
from .._postfix.commands import Postfix
from .._postfix.processes import daemons
from .._postfix.state import State, read_state
from .addresses import taken
from .by_name import Shown, shown_for
from .connection import Target
from .conversation import Conversation
from .listeners import Listener, own_listeners
from .observe import Observation, answer_to_recipient, observe
from .shortcomings import AWAY, HIDDEN, served_names, shortcomings, unanswered
from .vantages import TURNED_AWAY, vantages

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


def prove(postfix: Postfix, started_with: Mapping[str, str], unproven: Collection[str] = ()) -> List[Dict[str, object]]:
    """Observe every live listener until all show what the configuration says, or fail. Of those that are named in ``unproven``,
    what they show is told and not held against them."""
    state = read_state(postfix)
    state = replace(state, effective={**state.effective, **started_with})
    listeners = own_listeners(state)
    late = _Late(postfix.master_pid(state.effective["queue_directory"]))
    for listener in listeners:
        _let_it_greet(next(vantages(listener.target, listener.state.effective)))
    complaint = "The wire shows something else than what was asked"
    looks = _prove(_Looker(postfix, state, unproven), listeners, PATIENCE, complaint, late=late)
    return _facts(looks)


def prove_twin(twin: Postfix, services: Sequence[str], unproven: Collection[str] = ()) -> List[Dict[str, object]]:
    """The same of a twin, whose listeners stand for ``services``, and that its rules for recipients work."""
    state = read_state(twin)
    listeners = [found._replace(service=name) for found, name in zip(own_listeners(state), services)]
    complaint = "A twin with the new configuration does not do what was asked"
    looker = _Looker(twin, state, unproven)
    looks = _prove(looker, listeners, FIRST_WORDS, complaint)
    found = list(_of_recipients(looks, looker.own_pem))
    if found:
        said = "; ".join(f"{service} {problem}" for service, problem in found)
        raise ProofFailed(
            f"A twin with the new configuration cannot take mail: {said}. The configuration is as it was before.",
            found,
            proof=_facts(looks),
        )
    return _facts(looks)


def _of_recipients(looks: Sequence[_Look], own_pem: Optional[bytes]) -> Iterator[Shortcoming]:
    """Listeners whose rules for recipients do not work."""
    for look in looks:
        reply = answer_to_recipient(look.target, own_pem)
        if reply is not None and reply.startswith("451 4.3."):
            yield look.service, f"answers {reply!r} to RCPT TO"


def there_already(postfix: Postfix, found: FrozenSet[Shortcoming], reloaded: bool) -> FrozenSet[Shortcoming]:
    """Which of these the live listeners show as well, with the configuration that holds now: they were so before a change
    that is undone. Just after a reload, processes from before it may answer."""
    state = read_state(postfix)
    looker, listeners = _Looker(postfix, state, ()), own_listeners(state)
    deadline = time.monotonic() + (PATIENCE if reloaded else 0)
    while True:
        looks = [looker.look(listener) for listener in listeners]
        shown = [(look.service, short) for look in looks for short in look.short]
        seen = set(map(_alike, [*shown, *_of_recipients(looks, looker.own_pem)]))
        there = frozenset(one for one in found if _alike(one) in seen)
        if there != found or time.monotonic() > deadline:
            return there
        time.sleep(0.25)


def _alike(short: Shortcoming) -> Shortcoming:
    """The same for each way in which a listener does not answer: a service that ends at once is started later each time."""
    service, problem = short
    return service, problem.partition(": ")[0] if problem.startswith("cannot be talked to") else problem


def falls_short(postfix: Postfix, listener: Listener, seen: Observation) -> List[str]:
    """How what was seen of a listener falls short of its configuration, where nothing has just been changed."""
    try:
        return list(shortcomings(listener, seen, shown_for(postfix, listener.state, listener.target.name)))
    except CertificateError as problem:
        return [_unusable(problem), *unanswered(listener.state, seen)]


def check_master(postfix: Postfix, staged: State) -> None:
    """Refuse what the live master would not survive: it ends at a reload when another program has the address of a listener."""
    master = postfix.master_pid(staged.effective["queue_directory"])
    held = list(taken(staged, master))
    if held:
        raise ProofFailed(
            f"Another program listens where master.cf wants {'; '.join(held)}. Postfix would end at the reload: stop that "
            "program, or take the service out of master.cf."
        )


def _let_it_greet(target: Target) -> None:
    """Wait until the listener speaks; whether it says the right thing is for others to see."""
    try:
        with within(STALL, ""), Conversation(target, timeout=STALL):
            pass
    except (OSError, smtplib.SMTPException, DeadlinePassed):
        pass


class _Late:
    """Whether what is seen may still be from before a reload, which a machine under load handles late."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.end = time.monotonic() + STALL + PATIENCE
        self.earlier = set(daemons(master, *RECEIVING))

    def may_be(self, looks: Sequence[_Look]) -> bool:
        """A listener is only silent, or processes that were there at the reload still are."""
        if time.monotonic() > self.end:
            return False
        silent = any("timed out" in look.error or "has not answered" in look.error for look in looks)
        return silent or bool(self.earlier & set(daemons(self.master, *RECEIVING)))


class _Look(NamedTuple):
    """What one listener has shown."""

    service: str
    target: Target
    """As it was asked."""
    seen: Observation
    short: Tuple[str, ...]
    excused: bool
    """Whether the task says that this listener cannot be proven."""

    @property
    def error(self) -> str:
        return self.seen.error or ""

    @property
    def unproven(self) -> Optional[str]:
        """What was not seen, and is let pass by name."""
        return "; ".join(self.short) or None if self.excused else None

    @property
    def depends_on_the_client(self) -> bool:
        """Whether another client may be shown something else: where an answer was given at all, to somebody's address."""
        return bool(self.short) and (not self.error or bool(TURNED_AWAY.match(self.error)))


class _Looker:
    """How listeners are looked at."""

    def __init__(self, postfix: Postfix, state: State, unproven: Collection[str]) -> None:
        self.postfix = postfix
        self.shown: Dict[str, Shown] = {}
        """By service, what clients must be shown that ask for its own name."""
        self.own_pem = store.own_client_pem(state)
        self.unproven = unproven

    def look(self, listener: Listener) -> _Look:
        """As the first client sees it, unless another one sees what was asked for."""
        looks: List[_Look] = []
        for target in vantages(listener.target, listener.state.effective):
            looks.append(self._look_at(listener, target))
            if not looks[-1].depends_on_the_client:
                break
        return next((look for look in looks if not look.short), looks[0])

    def _look_at(self, listener: Listener, target: Target) -> _Look:
        try:
            shown, names = self._shown_for(listener, target), list(served_names(listener.state))
            seen = observe(self.postfix.run, target, own_pem=self.own_pem, key_types=shown.key_types, names=names)
            short = tuple(shortcomings(listener, seen, shown))
            if short and listener.policy.level is not ServerLevel.NONE:
                # Keys as well: what does not fit explains all that clients miss.
                store.active_chains(listener.state, "server")
        except CertificateError as problem:  # a file that Postfix cannot use either, as clients will see
            seen = observe(self.postfix.run, target, own_pem=self.own_pem)
            short = (_unusable(problem), *unanswered(listener.state, seen))
        return _Look(listener.service, target, seen, short, listener.service in self.unproven)

    def _shown_for(self, listener: Listener, target: Target) -> Shown:
        if listener.service not in self.shown:
            self.shown[listener.service] = shown_for(self.postfix, listener.state, target.name)
        return self.shown[listener.service]


def _unusable(problem: CertificateError) -> str:
    return f"is told to show what cannot be used: {str(problem).rstrip('.')}"


def _facts(looks: Sequence[_Look]) -> List[Dict[str, object]]:
    """As modules return it."""
    return [{"service": look.service, **look.seen.as_facts(), "unproven": look.unproven} for look in looks]


def _prove(
    looker: _Looker,
    listeners: Sequence[Listener],
    patience: float,
    complaint: str,
    *,
    late: Optional[_Late] = None,
) -> List[_Look]:
    """Look until nothing falls short, for as long as ``patience`` or what comes late may need."""
    deadline = time.monotonic() + patience
    while True:
        looks = [looker.look(listener) for listener in listeners]
        broken = [look for look in looks if look.short and not look.excused]
        if not broken:
            return looks
        if time.monotonic() > deadline and not (late and late.may_be(looks)):
            said = "; ".join(f"{look.service} at {look.target} {short}" for look in broken for short in look.short)
            found = ((look.service, short) for look in broken for short in look.short)
            sentence = f"{complaint}: {said}. {_way_out(broken)}The configuration is as it was before."
            raise ProofFailed(sentence, found, proof=_facts(looks))
        time.sleep(0.25)


def _way_out(broken: Sequence[_Look]) -> str:
    """Who is turned away, or offered less by address, has not seen that anything is wrong, whichever of this host's addresses
    was tried."""
    away = [
        look.service for look in broken if any(short.startswith(AWAY) or HIDDEN.search(short) for short in look.short)
    ]
    if not away:
        return ""
    return (
        f"What {' and '.join(away)} does for other clients cannot be seen from here: let it answer one of this host's "
        f"addresses, or let it go unproven by name, unproven: [{', '.join(away)}]. "
    )
