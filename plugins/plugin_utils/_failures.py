# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with a node at the end of a run: why it was stopped, and what its closing proof shows."""

from __future__ import annotations

import re
from typing import Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._secrecy import without_keys
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._changes import changes

INFO, SEEN, STOPPED = "smtp_harden_info", "smtp_harden_seen", "smtp_harden_stopped"
GIVEN_UP = "smtp_harden_given_up"
"""A stage before the proof had the node fail, in whatever task."""
AGAIN = "mend that, then run harden again"
_NO_MAILBOX = re.compile(r"\b5\.1\.\d+\b")


class Failure(NamedTuple):
    """``kind`` is C(stopped), C(listener) or C(mail)."""

    kind: str
    about: str
    """A listener, or a recipient."""
    reason: str
    remedy: str


def failures(variables: Facts, check_mode: bool = False) -> List[Failure]:
    """Of one node. In check mode nothing is sent, and what waits for its turn is no failure."""
    stopped = _stopped(variables, check_mode)
    proof = [] if broken(variables.get(SEEN)) else [*_listeners(variables), *_mails(variables)]
    return [*([stopped] if stopped else []), *proof]


def results(variables: Facts) -> Mapping[str, Facts]:
    """What modules returned on a node, in the order of the run."""
    roles = [f"{role}_{what}" for what in ("certificate_result", "mode", "domain_policy") for role in PROFILES]
    found = {name: variables.get(name) for name in (STOPPED, INFO, *roles, SEEN)}
    return {name: result for name, result in found.items() if isinstance(result, Mapping)}


def broken(result: Optional[Facts]) -> bool:
    """Whether a task has failed, or did not reach its node, or was never begun."""
    return not result or bool(result.get("failed") or result.get("unreachable"))


def _stopped(variables: Facts, check_mode: bool) -> Optional[Failure]:
    for name, result in results(variables).items():
        if result.get("unreachable"):
            return Failure("stopped", "", f"not reached: {said(result)}", "let it be reached, then run harden again")
        if result.get("failed") or name == STOPPED:
            return Failure("stopped", "", said(result), AGAIN)
    if GIVEN_UP in variables or SEEN not in variables:
        reason = "one of its tasks failed" if GIVEN_UP in variables else "the run ended before its proof"
        return Failure("stopped", "", reason, "see its failed task above; " + AGAIN)
    if not check_mode and _waits(variables):
        reason = "its turn to be changed did not come, since the run stopped before"
        return Failure("stopped", "", reason, "mend what stopped the run, then run harden again")
    return None


def _waits(variables: Facts) -> bool:
    """Whether changes were planned and not made: what is made is proven, if there is a listener to prove it on."""
    asked = [result for name, result in results(variables).items() if name.endswith(("_mode", "_domain_policy"))]
    unproven = any(result.get("changed") and not result.get("proof") for result in asked)
    return unproven and bool(changes(variables)) and bool(variables[SEEN].get("observations"))


def said(result: Facts) -> str:
    """A failed task's sentence, in one line, without keys that somebody else quoted."""
    return " ".join(without_keys(str(result.get("msg") or "it failed without a word")).split())


def _listeners(variables: Facts) -> Iterator[Failure]:
    """Those that the last proven change let pass by name are warned of, and are no failure."""
    excused = {one["service"] for result in results(variables).values() for one in result.get("unproven") or ()}
    for seen in variables[SEEN].get("observations") or ():
        problems = seen.get("problems") or ([f"cannot be asked: {seen['error']}"] if seen.get("error") else [])
        if problems and seen.get("service") not in excused:
            name = " at ".join(filter(None, [seen.get("service"), seen["listener"]]))
            yield Failure("listener", name, f"{name} {'; '.join(problems)}", _remedy(problems))


def _remedy(problems: Sequence[str]) -> str:
    """Nobody listens where Postfix is stopped, and no exception is meant for that."""
    if any("Connection refused" in problem for problem in problems):
        return "see that Postfix runs there and listens, run harden again"
    return "see its log and run harden again, or list it in smtp_unproven"


def _mails(variables: Facts) -> Iterator[Failure]:
    for mail in variables[SEEN].get("deliveries") or ():
        if mail.get("status") != "sent":
            reason, remedy = _fate(mail)
            yield Failure("mail", mail["recipient"], reason, remedy)


def _fate(mail: Facts) -> Tuple[str, str]:
    status, reply = mail.get("status"), " ".join((mail.get("reply") or "").split())
    if not status:
        return "no word of it within a minute", "see the sender's queue (postqueue -p) and its log"
    if status == "bounced" and _NO_MAILBOX.search(reply):
        return f"bounced: {reply}", "have smtp_test_mailbox name a mailbox that exists there"
    if status == "bounced":
        return f"bounced: {reply}", "mend what the reply says where it came from"
    return f"{status}: {reply}", "mend what the reply says; the mail waits at the sender"
