# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run as data: docs/report.md describes every member of the document."""

from __future__ import annotations

import datetime
import re
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, cast

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.shown import shown
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Result
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._changes import certificate_changes, changes
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._failures import (
    INFO,
    SEEN,
    Failure,
    broken,
    failures,
    results,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._verdict import verdict

SCHEMA, VERSION = "mailfleet.smtp_hardening/report", 1
_LEFT_OUT = ("chain",)
"""Of certificates: PEM that their fingerprints stand for."""
_OF_ANSIBLE = "is using the discovered Python interpreter at"
"""Its advice for inventories, which says nothing of mail."""
_CERTIFICATE_FIRST = re.compile(r"\bsmtp_tls_cert with .*\(check mode cannot know")


def report(
    hosts: Sequence[str],
    hostvars: Mapping[str, Facts],
    *,
    check_mode: bool = False,
    times: Optional[Mapping[str, str]] = None,
) -> Result:
    """The document. It takes what it names and nothing else of the variables, among which secrets are."""
    variables = {host: hostvars[host] for host in hosts}
    mailboxes = {str(one["smtp_test_mailbox"]): host for host, one in variables.items() if one.get("smtp_test_mailbox")}
    nodes = {host: _node(one, check_mode) for host, one in variables.items()}
    mails = [_mail(host, mail, mailboxes) for host, one in variables.items() for mail in _of_proof(one, "deliveries")]
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "check_mode": check_mode,
        "times": {**(times or {}), "ended": _now()},
        "verdict": verdict(nodes, mails, check_mode),
        "nodes": nodes,
        "mails": mails,
        "warnings": _warnings(variables),
    }
    return cast(Result, safe(document))


def safe(value: object) -> object:
    """Plain data in which every string can be shown: strangers wrote some of them."""
    if isinstance(value, Mapping):
        return {str(name): safe(one) for name, one in value.items() if name not in _LEFT_OUT}
    if isinstance(value, (list, tuple)):
        return [safe(one) for one in value]
    if isinstance(value, str):
        return str(value) if value.isascii() and value.isprintable() else shown(value)
    return value


def failure_facts(failure: Failure) -> Result:
    """As the document and the filter C(smtp_proof_failures) have it."""
    return cast(Result, safe(failure._asdict()))


def _node(variables: Facts, check_mode: bool) -> Result:
    found = failures(variables, check_mode)
    info, stopped = variables.get(INFO) or {}, any(failure.kind == "stopped" for failure in found)
    plan = [*certificate_changes(variables), *changes(variables)]
    return {
        "profile": _profile(variables),
        "outcome": "stopped" if stopped else "unproven" if found else "proven",
        "failures": [failure_facts(failure) for failure in found],
        "myhostname": info.get("myhostname"),
        "postfix_version": info.get("postfix_version"),
        "before": _side(variables, "before"),
        "after": _side(variables, "before" if stopped and not check_mode else "after"),
        "plan": [change._asdict() for change in plan],
        "certificate": _certificate(variables),
        "lowered": _each(variables, "lowered"),
        "next_hops": _each(variables, "next_hops"),
        "unproven": _last(variables, "unproven"),
        "proof": {"listeners": _of_proof(variables, "observations"), "rehearsals": _of_proof(variables, "rehearsals")},
    }


def _profile(variables: Facts) -> Optional[str]:
    """What a run applied tells more than a variable, which a play may have set for itself."""
    applied = [role for role in PROFILES if f"{role}_mode" in variables]
    return applied[0] if applied else variables.get("smtp_profile")


def _side(variables: Facts, side: str) -> Optional[Result]:
    mode: Facts = _of_role(variables, "mode")
    if side not in mode:
        return None
    domains: Facts = _of_role(variables, "domain_policy")
    return {**mode[side], "domains": domains.get(side)}


def _of_role(variables: Facts, what: str) -> Facts:
    found: List[Facts] = [variables.get(f"{role}_{what}") or {} for role in PROFILES]
    return next(filter(None, found), {})


def _certificate(variables: Facts) -> Optional[Result]:
    result = _of_role(variables, "certificate_result")
    names = ("changed", "reason", "awaits", "certificate")
    return {name: result.get(name) for name in names} if "changed" in result else None


def _each(variables: Facts, name: str) -> List[object]:
    return [one for result in results(variables).values() for one in result.get(name) or ()]


def _last(variables: Facts, name: str) -> List[object]:
    told = [result[name] for result in results(variables).values() if result.get(name) is not None]
    return list(told[-1]) if told else []


def _of_proof(variables: Facts, name: str) -> List[Facts]:
    seen = variables.get(SEEN)
    return [] if broken(seen) else list((seen or {}).get(name) or ())


def _mail(host: str, mail: Facts, mailboxes: Mapping[str, str]) -> Result:
    return {"from": host, "to": mailboxes.get(mail["recipient"]), **mail}


def _warnings(variables: Mapping[str, Facts]) -> List[Result]:
    """Each sentence once, with the nodes that it is about."""
    found: Dict[str, List[str]] = {}
    texts: Dict[str, Set[str]] = {}
    for host, one in variables.items():
        waiting = (_rehearsed(seen) for seen in _of_proof(one, "rehearsals") if not seen["delivered"])
        for text in dict.fromkeys([*_told(one), *waiting]):
            alike = _of_any_node(text, host, one)
            found.setdefault(alike, []).append(host)
            texts.setdefault(alike, set()).add(text)
    return [{"text": text if len(texts[text]) > 1 else texts[text].pop(), "nodes": found[text]} for text in found]


def _told(variables: Facts) -> Iterator[str]:
    """What modules warn of, unless the run itself sees to it: where it brings the certificate, check mode needs no doubt of that."""
    brought = bool(certificate_changes(variables))
    for text in map(str, _each(variables, "warnings")):
        if _OF_ANSIBLE not in text and not (brought and _CERTIFICATE_FIRST.search(text)):
            yield text


def _of_any_node(text: str, host: str, variables: Facts) -> str:
    """The sentence with the node's own names taken out, which then is the same for every node."""
    names = {host, (variables.get(INFO) or {}).get("myhostname") or host}
    own = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.-])(?:{own})(?![\w-])", "NODE", text)


def _rehearsed(seen: Facts) -> str:
    return f"mail for {seen['domain']} would wait if its record were enforced ({seen['level']}): {seen['reason']}"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
