# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run in one sentence, and the numbers behind it."""

from __future__ import annotations

from collections import Counter
from typing import Mapping, Optional, Sequence, Set

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts, Result

_WORDS = {"trusted_agents_strict": "strict", "lenient_default": "lenient"}


def verdict(nodes: Mapping[str, Facts], mails: Sequence[Facts], check_mode: bool) -> Result:
    """C(ok) is whether everything is as it was meant to be."""
    counted = Counter(str(node["outcome"]) for node in nodes.values())
    sent = Counter(str(mail["tls"] or "none") for mail in mails if mail["status"] == "sent")
    numbers: Result = {
        "nodes": len(nodes),
        "proven": counted["proven"],
        "stopped": counted["stopped"],
        "unproven": counted["unproven"],
        "changing": sum(bool(node["plan"]) for node in nodes.values()),
        "messages": len(mails),
        "messages_failed": len(mails) - sum(sent.values()),
        "messages_by_tls": dict(sent),
    }
    protected = _protected({node["profile"] for node in nodes.values()})
    return {
        "ok": bool(nodes) and counted["proven"] == len(nodes),
        "sentence": _foreseen(numbers) if check_mode else _seen(numbers, protected),
        **numbers,
    }


def _seen(numbers: Facts, protected: str) -> str:
    unproven = f", {numbers['unproven']} unproven" if numbers["unproven"] else ""
    failed = numbers["messages_failed"]
    return (
        f"{numbers['proven']} of {_nodes(numbers['nodes'])} {protected} and proven, {numbers['stopped']} stopped{unproven}, "
        f"{failed} message{'' if failed == 1 else 's'} failed"
    )


def _foreseen(numbers: Facts) -> str:
    """In check mode."""
    looked_at = numbers["nodes"] - numbers["stopped"]
    wrong = f", {numbers['unproven']} not as they should be now" if numbers["unproven"] else ""
    return (
        f"{looked_at} of {_nodes(numbers['nodes'])} looked at, {numbers['changing']} would change, "
        f"{numbers['stopped']} stopped{wrong}; nothing was changed"
    )


def _nodes(number: int) -> str:
    return f"{number} node{'' if number == 1 else 's'}"


def _protected(profiles: Set[Optional[str]]) -> str:
    named = {_WORDS[profile] for profile in profiles if profile in _WORDS}
    return named.pop() if len(named) == 1 else "hardened"
