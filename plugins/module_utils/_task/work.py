# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module does around its own work: commands, errors, results."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Callable, Dict, FrozenSet, Iterator, List, Mapping, NamedTuple, Optional, Sequence, TypedDict, Union

from .. import _command as command
from .. import _files as files
from .._certificates import library
from .._edge import Arguments, End, Options, Result
from .._errors import HardeningError, PostfixError
from .._model.allowance import NOTHING, Allowance
from .._model.services import read_service_name
from .._postfix.commands import Postfix, Run
from .._postfix.plan import Diff, Plan
from .._postfix.state import State, read_contents
from .._posture.sources import Unheard
from .._proof.behaviour import as_then, look
from .._proof.prove import check_master, prove, prove_twin, there_already
from .._proof.sources import hear
from .._shown import all_shown, shown
from .._transaction import history, ratchet
from .._transaction.change import Interrupted, Proofs, carry_out, turn
from .._transaction.journal import Author

COMMON_ARGUMENTS: Arguments = {"config_dir": {"type": "path", "default": "/etc/postfix"}}

CHANGE_ARGUMENTS: Arguments = {
    "task": {"type": "str"},
    "unproven": {"type": "list", "elements": "str"},
    **COMMON_ARGUMENTS,
}
"""Of modules that change something. The action plugin fills in the task's name."""

Work = Callable[[Postfix, Options, bool], Union[Result, Callable[[], Result]]]
"""``work(postfix, options, check_mode)``: the return values of a module, or what finds them without the lock."""


class Outcome(NamedTuple):
    """How a module ends."""

    failed: bool
    result: Result
    warnings: List[str]

    def report(self, warn: Callable[[str], object], fail: End, succeed: End) -> None:
        """Tell Ansible, by the three methods that a module has for it. What strangers said moves nobody's cursor."""
        for warning in self.warnings:
            warn(shown(warning))
        (fail if self.failed else succeed)(**{name: all_shown(value) for name, value in self.result.items()})


def attempt(work: Work, options: Options, check_mode: bool, run: Optional[Run] = None) -> Outcome:
    """Do the work of a module; what a person must know becomes a failure of one sentence.

    One run at a time on one instance: the lock is held from before the first read to the end, but not while strangers
    are talked to. Where the work finds that others must be asked, nothing is written yet, and it begins anew with what they say.
    """
    run = run or command.run
    if check_mode and "task" in options and not _is_installed(options["config_dir"], run):
        return Outcome(False, {"changed": True, "diff": [], "interrupted": None}, [_NOT_YET])
    if library.MISSING:
        sentence = "The Python library cryptography is missing on this node; install python3-cryptography."
        return Outcome(True, {"msg": sentence, "exception": library.MISSING}, [])
    postfix = Postfix(run, options["config_dir"])
    interrupted: Optional[Interrupted] = None
    result: Optional[Result] = None
    try:
        while result is None:
            try:
                with turn(postfix, check_mode) as left:
                    interrupted = interrupted or left
                    found = work(postfix, options, check_mode)
                result = found() if callable(found) else found
            except Unheard as lacking:
                hear(postfix, lacking.questions)
    except HardeningError as problem:
        return _failure(str(problem), interrupted, **problem.facts)
    except OSError as problem:
        return _failure(
            f"{problem.filename or 'The file system'}: {problem.strerror}; nothing was changed.", interrupted
        )
    if interrupted is not None:
        result = {**result, "changed": True}
    warnings = [*_tell(interrupted), *result.pop("warnings", [])]
    return Outcome(False, {**result, "interrupted": interrupted}, warnings)


_NOT_YET = (
    "Postfix or the Python library cryptography is not installed on this node, so check mode cannot look any further "
    "(role relay installs both)."
)


def _is_installed(config_dir: str, run: Run) -> bool:
    """Whether a change can be planned, or an earlier task of the same run will have to install something first."""
    if library.MISSING:
        return False
    if files.exists(os.path.join(config_dir, "main.cf")):
        return True
    try:
        return run(["postconf", "-d", "mail_version"]).rc == 0
    except PostfixError:
        return False


@contextmanager
def lock_again(postfix: Postfix, state: State, check_mode: bool) -> Iterator[None]:
    """The lock once more, for a change that was planned before strangers were asked: nobody may have edited meanwhile."""
    with turn(postfix, check_mode):
        if read_contents(postfix.config_dir) != state.contents:
            raise PostfixError(
                f"main.cf or master.cf in {postfix.config_dir} was changed while next hops were asked; run the task again."
            )
        yield


class Brought(TypedDict):
    """What every module returns that changes something."""

    changed: bool
    diff: Diff
    pending: Dict[str, object]
    lowered: List[Dict[str, str]]
    """What protects less than before, with the leave of C(allow_weaker)."""
    proof: List[Dict[str, object]]
    unproven: List[Dict[str, str]]
    """Listeners that the last proof has let pass by name."""
    warnings: List[str]


class Restart(TypedDict):
    restart_needed: bool
    warnings: List[str]


def bring_about(
    postfix: Postfix,
    state: State,
    plan: Plan,
    *,
    check_mode: bool,
    author: Author,
    allowance: Allowance = NOTHING,
    compared: Optional[ratchet.Compared] = None,
    unproven: Optional[Sequence[str]] = None,
    behaved: Optional[Mapping[str, object]] = None,
) -> Brought:
    """Carry a plan out, unless this is check mode or nothing differs; the common return values.

    What would lower protection is refused in check mode too. ``unproven`` names listeners that cannot be proven from the node;
    without it, those of the last proof. ``behaved`` is how a state that comes back behaved when it was found: that will do where
    it was broken then.
    """
    result: Brought = {
        "changed": plan.changed,
        "diff": plan.diff(),
        "pending": plan.summary(),
        "proof": [],
        "lowered": [],
        "unproven": [],
        "warnings": [],
    }
    excused = _excused(state, unproven)
    if plan.changed:
        compared = compared or ratchet.check(postfix, state, plan, allowance)
        result["lowered"] = [item._asdict() for item in compared.lowered]
        result["warnings"] = unmet(check_mode, compared.broken)
    if plan.changed and not check_mode:
        then = behaved or {}
        proofs = Proofs(
            check_master,
            lambda twin, services: as_then(
                lambda: prove_twin(twin, services, excused), lambda: look(twin, services), then
            ),
            lambda: as_then(lambda: prove(postfix, state.started_with, excused), lambda: look(postfix), then),
            look,
            there_already,
        )
        result["proof"] = carry_out(postfix, state, plan, author, proofs)
    result["unproven"] = history.unproven_facts(state.config_dir)
    result["warnings"] += [f"{one['service']} is not proven: it {one['problem']}." for one in result["unproven"]]
    return result


def _excused(state: State, unproven: Optional[Sequence[str]]) -> FrozenSet[str]:
    """The listeners that need not be proven. Some of them may come with this change, or with a later one."""
    if unproven is None:
        return frozenset(history.unproven(state.config_dir))
    return frozenset(read_service_name("unproven", name) for name in unproven)


def _failure(sentence: str, interrupted: Optional[Interrupted], **facts: object) -> Outcome:
    undone = bool(interrupted and interrupted["undone"])
    return Outcome(True, {"msg": sentence, "changed": undone, "interrupted": interrupted, **facts}, _tell(interrupted))


DOUBT = " (check mode cannot know whether an earlier task sees to it)"


def unmet(check_mode: bool, *lacking: Optional[str]) -> List[str]:
    """Refuse to begin while something is lacking; in check mode, warnings of it."""
    found = [sentence for sentence in lacking if sentence]
    if found and not check_mode:
        raise HardeningError(found[0])
    return [f"{sentence}{DOUBT}" for sentence in found]


def restart(needed: bool) -> Restart:
    """Return values that say whether a reload is not enough, and why."""
    reason = (
        "Postfix reads inet_interfaces and inet_protocols at its start only (postconf(5)): "
        "restart it, or the change does not hold yet."
    )
    return {"restart_needed": needed, "warnings": [reason] if needed else []}


def _tell(interrupted: Optional[Interrupted]) -> List[str]:
    if interrupted is None:
        return []
    deed = "has been undone" if interrupted["undone"] else "will be undone by the next run that is not in check mode"
    whose = Author(interrupted["module"], interrupted["task"])
    return [
        f"A change by {whose} of {interrupted['time']} was interrupted and {deed}. {interrupted['problem'] or ''}".strip()
    ]
