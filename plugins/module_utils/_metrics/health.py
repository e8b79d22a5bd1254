# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether it is well: (check, complaint) for each thing that is wrong."""

from __future__ import annotations

import datetime
from typing import Iterator, Tuple

from .._errors import HardeningError
from .._postfix import renewals
from .._postfix.state import State
from .._proof import resolver
from .._proof.policy_sources import ask_sources
from .._proof.validator import Names
from .certificates import certificates, tell_certificates
from .instance import commands
from .listeners import check_listeners, master_runs
from .output import Metrics

Complaint = Tuple[str, str]
CHECKS = ("configuration", "master", "listeners", "certificates", "renewals", "policy_sources", "resolver", "run")


def check_health(state: State, now: float, metrics: Metrics, names: Names) -> Iterator[Complaint]:
    """What is wrong with master, listeners, certificates, sources of policies and the resolver, told on the way."""
    runs = master_runs(state)
    if not runs:
        yield "master", "Postfix does not run"
    for service, up in check_listeners(state, runs).items():
        metrics.add("listener_up", up, service=service)
        if not up:
            yield "listeners", f"{service} does not greet"
    try:
        chains = certificates(state)
    except (OSError, ValueError, HardeningError) as problem:
        yield "certificates", f"a certificate cannot be read: {problem}"
    else:
        tell_certificates(chains, now, metrics)
        for chain in chains:
            if chain.use != "trust" and chain.not_after <= now:
                yield "certificates", f"the certificate {chain.name} ({chain.use}, {chain.subject}) has expired"
    for name, last in renewals.failing(state.store):
        metrics.add("certificate_renewal_failing", last is not None, certificate=name)
        if last:
            yield "renewals", f"the renewal of the certificate {name} fails since {last.since}: {last.problem}"
    yield from _check_dns(state, now, metrics, names)


def _check_dns(state: State, now: float, metrics: Metrics, names: Names) -> Iterator[Complaint]:
    """What policies come from, and what DANE depends on."""
    for source, problem in ask_sources(commands(state.config_dir), state).items():
        metrics.add("policy_source_up", problem is None, source=source)
        if problem:
            yield "policy_sources", f"mail waits, for {source} in smtp_tls_policy_maps gives no answer: {problem}"
    try:
        lost = resolver.lost(state, names, datetime.datetime.fromtimestamp(now, datetime.timezone.utc).date())
    except (OSError, ValueError, HardeningError) as problem:
        lost = f"whether DANE is in force cannot be told: {problem}"
    if lost:
        yield "resolver", lost
