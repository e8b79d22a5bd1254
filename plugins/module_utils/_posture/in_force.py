# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a domain's record holds: mail for the domain goes where the record's level is looked up, or is kept as well."""

from __future__ import annotations

from typing import Dict, Iterator, Optional, Tuple

from .._model.domains import DomainPolicy
from .._postfix.values import is_yes
from .clients import policy_keys
from .posture import Posture
from .protections import is_weaker
from .ways import OTHER, Hop, is_filter


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
    if _waits_for_starttls(posture, record):
        return (
            f"domains: {record.name} goes by {record.route}, where TLS comes first, and that service does not override "
            "smtp_tls_wrappermode=yes any more; leave it as it is."
        )
    if record.level is None and record.requiretls is None:
        return None
    hops = (hop for name in record.names for hop in (posture.hops[name].hops if name in posture.hops else ()))
    problem = next(filter(None, (_problem(record, hop) for hop in hops)), None)
    said = "requiretls" if record.level is None else f"level {record.level}"
    return problem and f"domains: {record.name} has {said}, but {problem}."


def stranded(before: Posture, after: Posture) -> Iterator[Tuple[str, str]]:
    """Each client of master.cf that goes although mail is still sent by it; by which parameter, and which mail."""
    had, have = ({service.name for service in one.configuration.state.senders} for one in (before, after))
    for name, way in after.hops.items():
        for hop in way.hops:
            if hop.service is None and hop.transport in had - have:
                yield hop.transport, f"{hop.by} sends {_mail(name)}"


def _mail(way: str) -> str:
    if is_filter(way):
        return "mail"
    return way if way == OTHER else f"mail for {way}"


def _waits_for_starttls(posture: Posture, record: DomainPolicy) -> bool:
    if record.route is None or not record.route.implicit_tls:
        return False
    configuration = posture.configuration
    service = configuration.state.service(record.route.transport, "unix")
    return service is not None and not is_yes(configuration.parameter("smtp_tls_wrappermode", service))


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
