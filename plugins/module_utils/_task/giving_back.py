# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What smtp_rollback does: a node goes back to a state that it remembers, or to what it was without this collection."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Tuple

from .. import _files as files
from .._edge import Options, Result
from .._errors import InvalidValue
from .._model.allowance import read_allowance
from .._postfix import renewals, store
from .._postfix.commands import Postfix
from .._postfix.ledger import Theirs
from .._postfix.plan import Plan
from .._postfix.rollback import Kept, keep_what_is_gone, keeping, needs_restart, plan_return, plan_rollback
from .._postfix.state import CONFIGURATION, State, read_contents, read_state
from .._transaction import history, ratchet
from .._transaction.change import clear
from .._transaction.history import FIRST, Known, Past
from .._transaction.journal import Author
from .._transaction.unreadable import now_or_remembered
from . import hooks
from .work import bring_about, restart

MODULE = "smtp_rollback"


class _Return(NamedTuple):
    """A plan that brings a state back, and what is to be said of it."""

    plan: Plan
    kept: Kept
    restart_needed: bool


def work(postfix: Postfix, options: Options, check_mode: bool) -> Result:
    """The work of the module, as ``attempt`` takes it."""
    if options.get("state") == "absent" and options["to"] is not None:
        raise InvalidValue(
            "to", options["to"], "is no state without this collection", "leave it out, or leave out state: absent"
        )
    return (
        _remove(postfix, options, check_mode)
        if options.get("state") == "absent"
        else _go_back(postfix, options, check_mode)
    )


def _go_back(postfix: Postfix, options: Options, check_mode: bool) -> Result:
    past = history.find(postfix.config_dir, options["to"])
    now = now_or_remembered(postfix)
    plan = plan_rollback(now, history.contents(postfix.config_dir, past), past.number)
    return {
        **_bring_back(postfix, now, plan, past, options=options, check_mode=check_mode),
        "to": past.as_facts(),
        "theirs": [],
    }


def _remove(postfix: Postfix, options: Options, check_mode: bool) -> Result:
    """What was set goes back to what was found, then files and units go."""
    now = read_state(postfix)
    first = next((state for state in history.past(now.config_dir) if state.number == FIRST), None)
    plan, theirs = _plan_return(now, first)
    result = _bring_back(postfix, now, plan, first, options=options, check_mode=check_mode)
    contents = read_contents(now.config_dir) if not check_mode else _then(postfix, now, plan)
    kept = [path for name in CONFIGURATION for path in store.named(now.config_dir, contents[name])]
    gone = _hooks(postfix, now, check_mode)
    gone += _store(now, kept, check_mode)
    warnings = [*result["warnings"], *(f"{path} stays, since what is not ours names it." for path in kept)]
    diff = [*result["diff"], *({"prepared": f"{path}: taken away\n"} for path in gone)]
    return {
        **result,
        "changed": bool(result["changed"] or gone),
        "diff": diff,
        "warnings": [*warnings, *map(_sentence, theirs)],
        "to": first.as_facts() if first else None,
        "theirs": [one.as_facts() for one in theirs],
    }


def _plan_return(now: State, first: Optional[Past]) -> Tuple[Plan, List[Theirs]]:
    if first is None:
        return Plan(), []
    ledger = history.ledger(now.config_dir)
    edited = ledger.edited or not history.is_remembered(now.config_dir)
    return plan_return(now, replace(ledger, edited=edited), history.contents(now.config_dir, first), first.number)


def _bring_back(
    postfix: Postfix, now: State, plan: Plan, past: Optional[Past], *, options: Options, check_mode: bool
) -> Result:
    """Bring a plan about whose state was proven then, or behaved as it did."""
    known = past.known if past else Known()
    back = _without_what_is_gone(postfix, now, plan, known)
    result = bring_about(
        postfix,
        now,
        back.plan,
        check_mode=check_mode,
        author=Author(MODULE, options["task"]),
        allowance=read_allowance(options["allow_weaker"]),
        unproven=options.get("unproven"),
        behaved=known.behaviour,
    )
    restarting = restart(back.restart_needed)
    warnings = [*result["warnings"], *back.kept.sentences, *restarting["warnings"]]
    return {**result, **restarting, "warnings": warnings}


def _without_what_is_gone(postfix: Postfix, now: State, plan: Plan, known: Known) -> _Return:
    """What names files that are gone stays as it is: no state can come back without them, but the rest of it can."""
    if not plan.changed:
        return _Return(plan, Kept(), False)
    with ratchet.staged(postfix, now, plan) as then:
        kept = keep_what_is_gone(now, then, frozenset(known.missing))
    if not kept.sentences:
        return _Return(plan, kept, needs_restart(now, then))
    plan = keeping(plan, kept)
    with ratchet.staged(postfix, now, plan) as then:
        same = then.contents == now.contents
    return _Return(Plan() if same else plan, kept, needs_restart(now, then))


def _then(postfix: Postfix, now: State, plan: Plan) -> Dict[str, bytes]:
    with ratchet.staged(postfix, now, plan) as then:
        return dict(then.contents)


def _hooks(postfix: Postfix, state: State, check_mode: bool) -> List[str]:
    """Take the hooks for renewals away, units stopped."""
    gone: List[str] = []
    for name in renewals.names(state.store):
        hook = hooks.plan_no_hook(state, name)
        gone += hook.take_away
        if not check_mode:
            hooks.install(postfix, state, name, hook)
    return gone


def _store(state: State, kept: List[str], check_mode: bool) -> List[str]:
    """Take the store away, but for what is named; whether there was anything."""
    before = _all(state.store)
    left = [path for path in before if not any(path == one or path.startswith(one + os.sep) for one in kept)]
    if left and not check_mode:
        clear(state.store, kept)
    return [state.store] if left else []


def _all(folder: str) -> List[str]:
    """Every file below a folder."""
    found: List[str] = []
    for name in files.names(folder):
        path = os.path.join(folder, name)
        found += _all(path) if files.is_folder(path) else [path]
    return found


def _sentence(one: Theirs) -> str:
    return (
        f"{one.file}: {one.name} was changed by somebody else since and stays ({one.value or 'not set'}); it was set to "
        f"{one.made or 'nothing'} in place of {one.found or 'nothing'}."
    )
