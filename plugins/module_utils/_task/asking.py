# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The next hops that a change names, or holds to more, are asked before it is put in force: without the lock, and no mail is sent."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Union

from .._edge import Result
from .._errors import HardeningError
from .._model.allowance import Allowance
from .._postfix.commands import Postfix
from .._postfix.plan import Plan
from .._postfix.secrets import stored
from .._postfix.state import State
from .._posture.in_force import stranded
from .._proof import next_hops
from .._transaction import ratchet
from .work import DOUBT, lock_again


class Change(NamedTuple):
    """What is to be done, if nobody objects."""

    plan: Plan
    allowance: Allowance
    check_mode: bool
    passwords: Mapping[str, str] = {}
    """C(user:password) by next hop, those that are new. What the node has already is read from its own table."""


class Asked(NamedTuple):
    """What is known of a change before it is made."""

    compared: Optional[ratchet.Compared]
    """``None`` where nothing changes."""
    hops: List[next_hops.NextHop]
    notes: Sequence[str] = ()
    """Sentences about what nobody was asked for."""

    def facts(self) -> List[Dict[str, object]]:
        return [hop.as_facts() for hop in self.hops]

    def warnings(self) -> Iterator[str]:
        yield from next_hops.warnings(self.hops)
        yield from self.notes


def ask_first(
    postfix: Postfix, state: State, change: Change, carry_out: Callable[[Asked], Result]
) -> Union[Result, Callable[[], Result]]:
    """Carry a change out once its next hops have answered; what finds that out without the lock, where there are any."""
    compared = ratchet.check(postfix, state, change.plan, change.allowance) if change.plan.changed else None
    if compared is None:
        return carry_out(Asked(None, []))
    _refuse_stranded(compared)
    hops = next_hops.to_ask(compared.before, compared.after, change.passwords)
    notes = [*next_hops.not_asked(hops[next_hops.MOST :]), *_notes(compared, change)]
    if not hops:
        return carry_out(Asked(compared, [], notes))
    then = compared.then

    def ask() -> Result:
        asked = next_hops.ask_all(postfix, then, hops[: next_hops.MOST], {**stored(then), **change.passwords})
        next_hops.refuse_cut_off(asked)
        next_hops.refuse_wrong_passwords(asked)
        with lock_again(postfix, state, change.check_mode):
            return carry_out(Asked(compared, asked, notes))

    return ask


def _notes(compared: ratchet.Compared, change: Change) -> Iterator[str]:
    """What is known without asking. Of passwords, check mode says that an earlier task could see to it."""
    after, logins = compared.after, change.passwords.keys()
    yield from next_hops.misled(compared.before, after)
    for sentence in (*next_hops.kept_back(after, logins), *next_hops.unused(after, logins)):
        yield f"{sentence}{DOUBT if change.check_mode else ''}"


def _refuse_stranded(compared: ratchet.Compared) -> None:
    """Refuse to take away a client that mail goes by."""
    for transport, used in stranded(compared.before, compared.after):
        raise HardeningError(
            f"services: {transport}/unix is the client by which {used}, which would wait without it; leave it, or send that mail "
            "another way first. Nothing was changed."
        )
