# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that a renewal hook starts on the node: brings one certificate in, checked and proven like any change."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import List, Mapping, Tuple

from .. import _core_dumps
from .. import _files as files
from .._certificates.chain import read_chains
from .._certificates.shown import shown
from .._edge import Options
from .._errors import HardeningError, unforeseen
from .._given import read_given
from .certificate import work
from .work import Outcome, attempt

__all__ = ["main", "work"]

PATIENCE = 60.0
"""Seconds in which a tool must have written both the key and the certificate."""
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
        options = _kept_options(program, name)
    except (OSError, ValueError, HardeningError) as problem:
        return _fail(name, f"{problem}; run the task that installs this certificate again.")
    try:
        return _tell(name, _bring_in(options))
    except Exception as problem:  # pylint: disable=broad-exception-caught
        return _fail(name, f"{unforeseen(problem)}; run the task that installs this certificate, and report this.")


def _kept_options(program: str, name: str) -> Options:
    options: Options = json.loads(files.read(os.path.join(os.path.dirname(os.path.abspath(program)), f"{name}.json")))
    return options


def _bring_in(options: Options) -> Outcome:
    """Bring the tool's pair in, and another one that came meanwhile."""
    external: Mapping[str, str] = options["external"]
    for _turn in range(TURNS):
        pair = _settled(external)
        outcome = attempt(work, options, False)
        if _pair(external) == pair:
            return outcome
    sentence = (
        f"external: {external['private_key']} and {external['certificate']} have been replaced {TURNS} times while they "
        "were brought in; let their tool finish, and run the task that installs this certificate."
    )
    return Outcome(True, {"msg": sentence}, outcome.warnings)


def _settled(external: Mapping[str, str]) -> Tuple[bytes, bytes]:
    """The tool's key and certificate, once they belong together: they are written one after the other."""
    deadline = time.monotonic() + PATIENCE
    while True:
        pair = _pair(external)
        if _belong_together(pair) or time.monotonic() > deadline:
            return pair
        time.sleep(0.5)


def _belong_together(pair: Tuple[bytes, bytes]) -> bool:
    try:
        return bool(read_chains("external", *pair))
    except HardeningError:
        return False


def _pair(external: Mapping[str, str]) -> Tuple[bytes, bytes]:
    return _read(external["private_key"]), _read(external["certificate"])


def _read(path: str) -> bytes:
    try:
        return read_given(path)
    except (OSError, HardeningError):
        return b""


def _tell(name: str, outcome: Outcome) -> int:
    """For the journal, or for the log of the tool that called."""
    for warning in outcome.warnings:
        _say(f"warning: {warning}")
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
