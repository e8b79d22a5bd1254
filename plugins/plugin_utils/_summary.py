# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run for people: a few lines that fit a screen, however many nodes there are."""

from __future__ import annotations

import textwrap
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._changes import word
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._fold import folded

WIDTH = 69
"""80 columns less what callbacks put around an item of a list: JSON eight blanks, two quotes and a comma."""
NAMES = 40
ROOM = {"failures": 13, "changes": 4, "warnings": 5}
"""Lines of each section, that which tells how many more there are included."""
LINES = 4
"""Of each failure."""
PENDING = 20


class Part(NamedTuple):
    """What is alike on some nodes."""

    nodes: List[str]
    text: str


def summary(document: Facts) -> List[str]:
    """The verdict, what failed, what changed, what is to be known: at most 24 lines."""
    return [
        *_block(document["verdict"]["sentence"], 2),
        *_section(_failures(document), "failures", LINES),
        *_section(_changes(document), "changes", 2),
        *_section(_warnings(document), "warnings", 2),
    ]


def pending(document: Facts) -> List[str]:
    """What will change, value by value, with equal nodes folded, before the first node changes."""
    parts: Dict[Tuple[str, str, str], List[str]] = {}
    for node, one in document["nodes"].items():
        for change in one["plan"]:
            if change["what"] != "certificate":
                key = (change["what"], word(change["before"]), word(change["after"]))
                parts.setdefault(key, []).append(node)
    if not parts:
        return ["Nothing differs: every node is as its profile says."]
    differ = {node for nodes in parts.values() for node in nodes}
    told = (
        Part(nodes, f"{folded(nodes, NAMES)}: {what} {before} to {after}")
        for (what, before, after), nodes in parts.items()
    )
    head = f"{len(differ)} of {len(document['nodes'])} nodes will change"
    return [head, *_blocks([part.text for part in told], PENDING, 3, "changes")]


def _section(parts: Sequence[str], name: str, lines_each: int) -> List[str]:
    return _blocks(parts, ROOM[name], lines_each, name)


def _blocks(texts: Sequence[str], room: int, lines_each: int, name: str) -> List[str]:
    """As many as there is room for, and how many more there are."""
    blocks = [_block(text, lines_each) for text in texts]
    if sum(map(len, blocks)) <= room:
        return [line for block in blocks for line in block]
    lines: List[str] = []
    for shown, block in enumerate(blocks):
        if len(lines) + len(block) >= room:
            return [*lines, f"... and {len(blocks) - shown} more {name}: see smtp_report, or -v"]
        lines += block
    return lines


def _block(text: str, lines: int) -> List[str]:
    """Quotes would double in JSON and YAML, and the lines be longer than they are."""
    plain = text.replace('"', "`").replace("'", "`")
    wrapped = textwrap.wrap(plain, WIDTH, subsequent_indent="    ", max_lines=lines, placeholder=" ...")
    return wrapped or [""]


def _failures(document: Facts) -> List[str]:
    """Equal ones folded: of mails that failed alike, the first reply is told."""
    alike: Dict[Tuple[str, str, str], List[Tuple[str, str]]] = {}
    for node, one in document["nodes"].items():
        for failure in one["failures"]:
            reason = _in_general(failure, node)
            alike.setdefault((failure["kind"], reason, failure["remedy"]), []).append((node, failure["reason"]))
    return [_failure(*key, found) for key, found in sorted(alike.items(), key=_most_first)]


def _most_first(item: Tuple[Tuple[str, str, str], Sequence[object]]) -> Tuple[int, int]:
    """Nodes that were stopped before listeners, and these before mails; what many nodes have first."""
    return ["stopped", "listener", "mail"].index(item[0][0]), -len(item[1])


def _failure(kind: str, _reason: str, remedy: str, found: Sequence[Tuple[str, str]]) -> str:
    many = f"{len(found)} mails " if kind == "mail" and len(found) > 1 else ""
    label = {"stopped": "STOPPED", "listener": "NOT PROVEN", "mail": "MAIL FAILED"}[kind]
    told = f"{label} {folded((node for node, _said in found), NAMES)}: {many}"
    room = LINES * (WIDTH - 6) - len(told) - len(remedy) - len(" -> ")
    return f"{told}{_short(found[0][1], room)} -> {remedy}"


def _in_general(failure: Facts, node: str) -> str:
    """What failures of a kind have in common: of a reply, its first words, which are SMTP's."""
    if failure["kind"] == "mail":
        return " ".join(str(failure["reason"]).partition("(in reply")[0].split()[:3])
    return str(failure["reason"]).replace(node, "NODE")


def _short(text: str, room: int) -> str:
    """Sentences begin with what is wrong and end with what to do: both must be seen."""
    if len(text) <= room:
        return text
    half = (room - len(" ... ")) // 2
    return f"{text[:half].rstrip()} ... {text[-half:].lstrip()}"


def _changes(document: Facts) -> List[str]:
    verb = "would change" if document["check_mode"] else "changed"
    alike: Dict[Tuple[str, int, str], List[str]] = {}
    for node, one in document["nodes"].items():
        if one["plan"]:
            done = "not changed" if one["outcome"] == "stopped" and not document["check_mode"] else verb
            alike.setdefault((done, *_kind(one["plan"])), []).append(node)
    return [
        f"{done} {folded(nodes, NAMES)}: {count} value{'' if count == 1 else 's'} ({names})"
        for (done, count, names), nodes in alike.items()
    ]


def _kind(plan: Iterable[Facts]) -> Tuple[int, str]:
    """How many values, and which; those inside records are told as of the records."""
    changes = list(plan)
    names = dict.fromkeys("domains" if ": " in change["what"] else str(change["what"]) for change in changes)
    return sum(change["values"] for change in changes), ", ".join(names)


def _warnings(document: Facts) -> List[str]:
    told = sorted(document["warnings"], key=lambda warning: -len(warning["nodes"]))
    return [f"warning, {_nodes(warning['nodes'])}: {warning['text']}" for warning in told]


def _nodes(nodes: Sequence[str]) -> str:
    return nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
