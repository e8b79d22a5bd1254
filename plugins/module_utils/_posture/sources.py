# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS policies that others keep, such as a resolver of MTA-STS policies: of whom a change makes it matter what they say."""

from __future__ import annotations

from typing import FrozenSet, Iterator, List, Sequence, Tuple

from .._postfix.commands import Question
from . import clients
from .maps import is_kept_by_others
from .posture import Posture, ways_to
from .routing import NOWHERE
from .ways import OTHER, Hop, Way, is_filter


class Unheard(Exception):
    """What others say must be known to judge a change. They are asked without the lock, and then the work begins anew."""

    def __init__(self, questions: Sequence[Question]) -> None:
        super().__init__(f"{len(questions)} questions to tables of others")
        self.questions = tuple(questions)


def questions(before: Posture, after: Posture) -> List[Question]:
    """What to ask: of sources that stay, the destinations whose way or policy the change touches.

    Where a source goes or comes, mail for everywhere is concerned, and that is told as such.
    """
    both = _unknown(before.hops[OTHER]) & _unknown(after.hops[OTHER])
    if not both:
        return []
    names = [name for name in {**before.hops, **after.hops} if not is_filter(name)]
    was, will = (ways_to(posture, names) for posture in (before, after))
    touched = (name for name in names if _chosen(was[name]) != _chosen(will[name]))
    hops = (hop for name in touched for way in (was[name], will[name]) for hop in way.hops)
    return list(dict.fromkeys(question for hop in hops for question in _asked(hop) if question[0] in both))


def _unknown(way: Way) -> FrozenSet[str]:
    return frozenset(item for hop in way.hops for item in hop.policy.unknown if is_kept_by_others(item))


def _chosen(way: Way) -> List[Tuple[str, str, clients.Policy]]:
    return [(hop.transport, hop.next_hop, hop.policy) for hop in way.hops]


def _asked(hop: Hop) -> Iterator[Question]:
    """As smtp(8) and lmtp(8) would ask for the next hop, unless that is the domain that stands for all others."""
    if hop.service is not None and hop.next_hop != NOWHERE:
        for item in hop.policy.unknown:
            yield from ((item, key) for key in clients.keys_asked(hop.service, hop.next_hop))
