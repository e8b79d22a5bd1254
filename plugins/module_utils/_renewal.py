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

from ._certificate_task import work
from ._certificates.chain import read_chains
from ._edge import Options
from ._errors import HardeningError
from ._work import Outcome, attempt

__all__ = ["main", "work"]

PATIENCE = 60.0
"""Seconds in which a tool must have written both the key and the certificate."""


def main(argv: List[str]) -> int:
    """``renew.pyz NAME``: 0 where the certificate is in place, 1 with one sentence where it is not."""
    program, name = argv
    try:
        with open(os.path.join(os.path.dirname(program), f"{name}.json"), encoding="utf-8") as handle:
            options: Options = json.load(handle)
    except (OSError, ValueError) as problem:
        sys.stderr.write(f"smtp_tls_cert {name}: {problem}; run the task that installs this certificate again.\n")
        return 1
    while True:
        pair = _settled(options["external"])
        outcome = attempt(work, options, False)
        if _pair(options["external"]) == pair:
            return _tell(name, outcome)


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
        with open(path, "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def _tell(name: str, outcome: Outcome) -> int:
    """For the journal, or for the log of the tool that called."""
    for warning in outcome.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if outcome.failed:
        sys.stderr.write(f"smtp_tls_cert {name}: {outcome.result['msg']}\n")
        return 1
    sys.stdout.write(f"smtp_tls_cert {name}: {outcome.result['reason'] or 'nothing to change'}\n")
    return 0
