# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a domain's record holds: mail for the domain goes where the record's level is looked up, or is kept as well."""

from __future__ import annotations

from typing import Dict, Optional

from .._model.domains import DomainPolicy
from .clients import policy_keys
from .posture import Posture
from .protections import is_weaker
from .ways import Hop


def broken(before: Posture, after: Posture) -> Dict[str, str]:
    """A sentence for each record that will not hold and did, or is new; by the record's name."""
    was = {record.name: record for record in before.records}
    problems = {record.name: (record, why_not(after, record)) for record in after.records}
    return {
        name: problem
        for name, (record, problem) in problems.items()
        if problem is not None and (was.get(name) != record or why_not(before, record) is None)
    }


def why_not(posture: Posture, record: DomainPolicy) -> Optional[str]:
    """Why mail for the record's domain would not get what the record says; ``None`` where it does, or nothing is said."""
    if record.level is None and record.requiretls is None:
        return None
    hops = (hop for name in record.names for hop in (posture.hops[name].hops if name in posture.hops else ()))
    problem = next(filter(None, (_problem(record, hop) for hop in hops)), None)
    said = "requiretls" if record.level is None else f"level {record.level}"
    return problem and f"domains: {record.name} has {said}, but {problem}."


def _problem(record: DomainPolicy, hop: Hop) -> Optional[str]:
    """What is wrong with one hop, and what to do."""
    if hop.unknown:
        sources = " and ".join(hop.unknown)
        return f"{sources} may send its mail elsewhere; give the record a route (smtp_domain_policy), or take that out"
    if hop.service is None or not hop.policy.valid or _holds(record, hop):
        return None
    if hop.next_hop in record.next_hops or hop.policy.key in record.next_hops:
        maps = f"{hop.service.command}_tls_policy_maps"
        return f"the service {hop.service.key} does not find that in its {maps}; take its override, or what stands before it, out"
    if hop.by.endswith("_fallback_relay"):
        if not is_weaker(hop.values.get("level"), record.level):
            return None
        return f"its mail may go to {hop.next_hop} ({hop.by}); take that out, or set a level for {hop.next_hop} as well"
    return (
        f"its mail goes to {hop.next_hop} ({hop.by}), so that would never be looked up; "
        f"give the record a route (smtp_domain_policy), or take out what sends it there ({hop.by})"
    )


def _holds(record: DomainPolicy, hop: Hop) -> bool:
    """Whether what the record says is found by the next hop, which smtp_requiretls_policy is asked for too."""
    if record.requiretls is not None and not set(policy_keys(hop.next_hop)) & set(record.next_hops):
        return False
    return record.level is None or (hop.policy.key in record.next_hops and hop.policy.level is record.level)
