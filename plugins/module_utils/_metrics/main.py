# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a Postfix relay is and what it did, as a text file for Prometheus; the exit status says whether it is well.

This runs as root in folders of others (queue, log, Prometheus) and reads what strangers say. So nothing is opened but plain
files, by a link only where that leads to nothing of root's that it has not been led to by root; all that is read, asked or
waited for has an end; and a line of the log is taken from the side that Postfix wrote.
"""

from __future__ import annotations

import argparse
import time
from typing import Iterator, List

from .._deadline import DeadlinePassed, within
from .._errors import HardeningError, unforeseen
from .._proof.validator import Names
from . import files
from .digest import policy_digest
from .health import CHECKS, Complaint, check_health
from .instance import read_instance
from .kept import tell_traffic
from .output import Metrics, complain
from .policies import tell_policies
from .queue import tell_queue

DEFAULT = "/etc/postfix"
"""The instance whose samples have no label that names it."""
DEADLINE = 90
"""Seconds for all of it; systemd ends it after 120."""


def main(argv: List[str]) -> int:
    """0 where all is well."""
    options = _options(argv)
    config_dir = options.config_dir.rstrip("/")
    now, metrics = time.time(), Metrics(**({} if config_dir == DEFAULT else {"config_dir": config_dir}))
    complaints = collect_in_time(config_dir, options.state, now, metrics, Names(options.signed, options.bogus))
    for check in CHECKS:
        metrics.add("check_healthy", check not in dict(complaints), check=check)
    metrics.add("healthy", not complaints)
    metrics.add("run_duration_seconds", time.time() - now)
    metrics.add("last_run_timestamp_seconds", now)
    files.write(options.output, metrics.render(), 0o644)
    for _check, complaint in complaints:
        complain(complaint)
    return 1 if complaints else 0


class _Options(argparse.Namespace):
    config_dir: str
    output: str
    state: str
    signed: str
    bogus: str


def _options(argv: List[str]) -> _Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config-dir", default=DEFAULT, help="the Postfix instance")
    parser.add_argument("--output", required=True, help="the file for Prometheus")
    parser.add_argument("--state", default="/var/lib/smtp-hardening/metrics.json", help="what is kept between runs")
    parser.add_argument("--signed", default=Names().signed, help="where DANE is in force, a name in a signed zone")
    parser.add_argument("--bogus", default=Names().bogus, help="and a name whose signatures are wrong")
    return parser.parse_args(argv[1:], _Options())


def collect_in_time(config_dir: str, state: str, now: float, metrics: Metrics, names: Names) -> List[Complaint]:
    """Every complaint, until the deadline, and whatever happens; what was told until then is."""
    found: List[Complaint] = []
    try:
        with within(DEADLINE, f"this took longer than {DEADLINE} seconds, so not everything is told"):
            found.extend(collect(config_dir, state, now, metrics, names))
    except DeadlinePassed as late:
        found.append(("run", str(late)))
    except Exception as problem:  # pylint: disable=broad-exception-caught
        found.append(("run", f"not everything is told: {unforeseen(problem)}"))
    return found


def collect(config_dir: str, path: str, now: float, metrics: Metrics, names: Names) -> Iterator[Complaint]:
    """Every complaint, with metrics told on the way."""
    try:
        state = read_instance(config_dir)
        tell_policies(state, metrics)
        metrics.add("policy_info", 1, digest=policy_digest(state))
    except (OSError, KeyError, ValueError, HardeningError) as problem:
        reason = str(problem) if isinstance(problem, HardeningError) else repr(problem)
        yield "configuration", f"the configuration in {config_dir} cannot be read: {reason}"
        return
    yield from check_health(state, now, metrics, names)
    tell_traffic(state, path, metrics)
    tell_queue(state, now, metrics)
