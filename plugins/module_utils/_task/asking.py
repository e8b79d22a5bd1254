# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The next hops that a change names, or holds to more, are asked before it is put in force: without the lock, and no mail is sent."""

from __future__ import annotations

from typing import AbstractSet, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union

from .._edge import Result
from .._model.allowance import Allowance
from .._postfix.commands import Postfix
from .._postfix.plan import Plan
from .._postfix.state import State
from .._proof import next_hops
from .._transaction import ratchet
from .work import DOUBT, lock_again


class Change(NamedTuple):
    """What is to be done, if nobody objects."""

    plan: Plan
    allowance: Allowance
    check_mode: bool
    passwords: Mapping[str, str] = {}
    """C(user:password) by next hop, for those that are logged in to."""


class Asked(NamedTuple):
    """What is known of a change before it is made."""

    compared: Optional[ratchet.Compared]
    """``None`` where nothing changes."""
    hops: List[next_hops.NextHop]
    logins: AbstractSet[str] = frozenset()
    """The next hops and senders for which there are passwords."""
    doubt: str = ""
    """What check mode says behind a sentence, of which an earlier task could have taken the cause away."""

    def facts(self) -> List[Dict[str, object]]:
        return [hop.as_facts() for hop in self.hops]

    def warnings(self) -> Iterator[str]:
        yield from next_hops.warnings(self.hops)
        if self.compared:
            yield from next_hops.misled(self.compared.before, self.compared.after)
            after, logins = self.compared.after, self.logins
            told = (*next_hops.kept_back(after, logins), *next_hops.unused(after, logins))
            yield from (f"{sentence}{self.doubt}" for sentence in told)


def ask_first(
    postfix: Postfix, state: State, change: Change, carry_out: Callable[[Asked], Result]
) -> Union[Result, Callable[[], Result]]:
    """Carry a change out once its next hops have answered; what finds that out without the lock, where there are any."""
    compared = ratchet.check(postfix, state, change.plan, change.allowance) if change.plan.changed else None
    if compared is None:
        return carry_out(Asked(None, []))
    then, logins, doubt = compared.then, change.passwords.keys(), DOUBT if change.check_mode else ""
    hops = next_hops.to_ask(compared.before, compared.after, change.passwords)
    if not hops:
        return carry_out(Asked(compared, [], logins, doubt))

    def ask() -> Result:
        asked = next_hops.ask_all(postfix, then, hops, change.passwords)
        next_hops.refuse_cut_off(asked)
        next_hops.refuse_wrong_passwords(asked)
        with lock_again(postfix, state, change.check_mode):
            return carry_out(Asked(compared, asked, logins, doubt))

    return ask
