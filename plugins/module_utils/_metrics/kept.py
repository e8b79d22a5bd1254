# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept from one run to the next: totals, and how far the log was read."""

from __future__ import annotations

import json
from typing import Dict, Tuple, TypedDict, Union

from .._errors import HardeningError
from .._postfix.state import State
from .._proof.log import log_file
from . import files
from .journal import Journal
from .log import LogFile
from .output import Metrics, complain
from .traffic import Session, Totals, Traffic


class Kept(TypedDict):
    config_dir: str
    source: str
    position: object
    totals: Totals
    sessions: Dict[str, Session]


def read_kept(path: str, config_dir: str) -> Kept:
    """What the last run kept; nothing where there was none, or one for another instance."""
    try:
        kept: Kept = json.loads(files.read(path))
        if kept["config_dir"] == config_dir:
            return kept
    except (OSError, HardeningError, ValueError, KeyError, TypeError):
        pass
    return {"config_dir": config_dir, "source": "", "position": None, "totals": {}, "sessions": {}}


def tell_traffic(state: State, path: str, metrics: Metrics) -> None:
    """Read the log on and tell the totals. They are kept together with how far it was read, or neither is."""
    kept = read_kept(path, state.config_dir)
    traffic = Traffic(state, kept["totals"], kept["sessions"])
    try:
        kept["source"], log = _source(state, kept)
        for event in log.events():
            traffic.see(*event)
        kept["position"] = log.position
    except (OSError, HardeningError, ValueError, KeyError) as problem:
        complain(f"the log cannot be read: {problem}")
        metrics.add("log_readable", 0)
    else:
        metrics.add("log_readable", 1)
        files.write(path, json.dumps(kept), 0o600)
    traffic.tell(metrics)


def _source(state: State, kept: Kept) -> Tuple[str, Union[LogFile, Journal]]:
    """The log that Postfix writes to, and the name under which it is known from run to run."""
    path = log_file(state)
    name = path or "journal"
    position = kept["position"] if kept["source"] == name else None
    return name, LogFile(path, position) if path else Journal(state, position)
