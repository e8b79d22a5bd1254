# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that a renewal hook starts on the node: brings one certificate in, checked and proven like any change."""

from __future__ import annotations

import sys
import time
from typing import List, Mapping, Tuple

from .. import _command as command
from .. import _core_dumps
from .._certificates.chain import read_chains
from .._certificates.shown import shown
from .._edge import Options
from .._errors import HardeningError, unforeseen
from .._postfix.commands import Postfix
from .._postfix.renewals import Last, read_last
from .._transaction.change import put_beside
from .certificate import work
from .due import Pair, digest, kept_options, last_of, now, pair_at
from .work import Outcome, attempt

__all__ = ["main", "work"]

PATIENCE = 60.0
"""Seconds in which a tool must have written both the key and the certificate."""
_REPORT = "run the task that installs this certificate, and report this."
TURNS = 5
"""How often a pair is brought in that has been replaced meanwhile."""


def main(argv: List[str]) -> int:
    """``renew.pyz NAME``: 0 where the certificate is in place, 1 with one sentence where it is not, whatever happens.

    No core of a process that holds a key is written.
    """
    _core_dumps.leave_none()
    try:
        program, name = argv
    except ValueError:
        return _fail("", "renew.pyz takes the name of one certificate.")
    try:
        options = kept_options(program, name)
    except (OSError, ValueError, HardeningError) as problem:
        return _fail(name, f"{problem}; run the task that installs this certificate again.")
    try:
        pair, outcome = _bring_in(options)
        waits = outcome.failed and _is_stopped(options["config_dir"])
        _keep(last_of(program, name), digest(pair), outcome, waits)
        return _tell(name, outcome, waits)
    except Exception as problem:  # pylint: disable=broad-exception-caught
        return _fail(name, f"{unforeseen(problem)}; {_REPORT}")


def _is_stopped(config_dir: str) -> bool:
    try:
        return not Postfix(command.run, config_dir).is_running()
    except HardeningError:  # there is no Postfix to wait for
        return False


def _keep(path: str, pair: str, outcome: Outcome, waits: bool) -> None:
    """How it ended, for who asks, and for the next look. A failure to keep it is none of the renewal."""
    problem = shown(str(outcome.result["msg"])) if outcome.failed else None
    before, time_now = read_last(path), now()
    same = before is not None and (before.problem is None) == (problem is None)
    since = before.since if before is not None and same else time_now
    last = Last(pair, time_now, since, problem, waits, tuple(map(shown, outcome.warnings)))
    try:
        put_beside(path, last.to_json(), 0o600)
    except (OSError, HardeningError) as trouble:
        _say(f"warning: how the renewal ended cannot be kept: {trouble}")


def _bring_in(options: Options) -> Tuple[Pair, Outcome]:
    """Bring the tool's pair in, and another one that came meanwhile; the last of them, and how that ended."""
    external: Mapping[str, str] = options["external"]
    for _turn in range(TURNS):
        pair = _settled(external)
        outcome = _attempted(options)
        if pair_at(external) == pair:
            return pair, outcome
    sentence = (
        f"external: {external['private_key']} and {external['certificate']} have been replaced {TURNS} times while they "
        "were brought in; let their tool finish, and run the task that installs this certificate."
    )
    return pair, Outcome(True, {"msg": sentence}, outcome.warnings)


def _attempted(options: Options) -> Outcome:
    """What the module would answer. Of what nobody foresaw the kind and the place alone."""
    try:
        return attempt(work, options, False)
    except Exception as problem:  # pylint: disable=broad-exception-caught
        return Outcome(True, {"msg": f"{unforeseen(problem)}; {_REPORT}"}, [])


def _settled(external: Mapping[str, str]) -> Pair:
    """The tool's key and certificate, once they belong together: they are written one after the other."""
    deadline = time.monotonic() + PATIENCE
    while True:
        pair = pair_at(external)
        if _belong_together(pair) or time.monotonic() > deadline:
            return pair
        time.sleep(0.5)


def _belong_together(pair: Pair) -> bool:
    try:
        return bool(read_chains("external", *pair))
    except HardeningError:
        return False


def _tell(name: str, outcome: Outcome, waits: bool) -> int:
    """For the journal, or for the log of the tool that called. Tools stop Postfix while they renew: that is no failure."""
    for warning in outcome.warnings:
        _say(f"warning: {warning}")
    if waits:
        _say(f"smtp_tls_cert {name}: this waits until Postfix runs: {outcome.result['msg']}")
        return 0
    if outcome.failed:
        return _fail(name, outcome.result["msg"])
    sys.stdout.write(f"smtp_tls_cert {name}: {outcome.result['reason'] or 'nothing to change'}\n")
    return 0


def _fail(name: str, sentence: str) -> int:
    _say(f"smtp_tls_cert {name}: {sentence}")
    return 1


def _say(sentence: str) -> None:
    """One line, whatever is quoted in it."""
    sys.stderr.write(f"{shown(sentence)}\n")
