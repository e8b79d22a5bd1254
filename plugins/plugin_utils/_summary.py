# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run for people: a few lines that fit a screen, however many nodes there are."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from typing import Dict, Iterable, List, Sequence, Tuple

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._changes import told
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._fold import folded

WIDTH = 69
"""80 columns less what callbacks put around an item of a list: JSON eight blanks, two quotes and a comma."""
NAMES = 40
ROOM = {"failures": 12, "changes": 4, "warnings": 6, "pending changes": 23}
"""Lines of each section, that which tells how many more there are included."""
KINDS = ("stopped", "listener", "mail")
"""Of failures, the worst first."""
_CODES = re.compile(r"\b[245]\d\d[ -][245]\.\d+\.\d+")
_AROUND = re.compile(r"(?<=: )host \S+ said: | \(in reply to [^)]*\)$")


Block = List[str]
"""The lines of one thing that is told."""


def summary(document: Facts) -> List[str]:
    """The verdict, what failed, what changed, what is to be known: at most 24 lines."""
    return [
        *_block(document["verdict"]["sentence"], 2),
        *_section(_failures(document), "failures"),
        *_section([_block(text, 2) for text in _changes(document)], "changes"),
        *_section([_block(text, 3) for text in _warnings(document)], "warnings"),
    ]


def pending(document: Facts) -> List[str]:
    """What will change, value by value, with equal nodes folded, before the first node changes."""
    parts: Dict[Tuple[str, str, str], List[str]] = {}
    for node, one in document["nodes"].items():
        for change in one["plan"]:
            if change["what"] != "certificate":
                parts.setdefault(told(change["what"], change["before"], change["after"]), []).append(node)
    if not parts:
        return ["Nothing differs: every node is as its profile says."]
    differ = len({node for nodes in parts.values() for node in nodes})
    blocks = [
        _block(f"{folded(nodes, NAMES)}: {what} {f'{before} to ' if before else ''}{after}", 3)
        for (what, before, after), nodes in parts.items()
    ]
    return [f"{differ} of {len(document['nodes'])} nodes will change", *_section(blocks, "pending changes")]


def _section(blocks: Sequence[Block], name: str) -> List[str]:
    """As many as there is room for, and how many more there are."""
    if sum(map(len, blocks)) <= ROOM[name]:
        return [line for block in blocks for line in block]
    lines: List[str] = []
    for number, block in enumerate(blocks):
        if len(lines) + len(block) >= ROOM[name]:
            return [*lines, f"... and {len(blocks) - number} more {name}: see smtp_report, or -v"]
        lines += block
    return lines


def _block(text: str, most: int, indent: str = "") -> Block:
    """Sentences begin with what is wrong and end with what to do: what is too long loses its middle."""
    lines = _wrapped(text, WIDTH, indent)
    if len(lines) <= most:
        return lines
    lines = _wrapped(text, WIDTH - len(" ..."), indent)
    head = lines[: (most + 1) // 2]
    return [*head[:-1], f"{head[-1]} ...", *lines[len(lines) - most // 2 :]]


def _wrapped(text: str, width: int, indent: str) -> List[str]:
    """JSON and YAML write quotes and backslashes twice, which would make a line longer than it is: there are none of the
    former, and the latter count for two."""
    plain = text.replace('"', "`").replace("'", "`").replace("\\", "\\\0")
    lines = textwrap.wrap(plain, width, initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)
    return [line.replace("\0", "") for line in lines]


def _failures(document: Facts) -> List[Block]:
    """Equal ones folded: of mails that failed alike, the first reply is told."""
    alike: Dict[Tuple[str, str, str], List[Tuple[str, str]]] = {}
    for node, one in document["nodes"].items():
        for failure in one["failures"]:
            key = (failure["kind"], _in_general(failure, node), failure["remedy"])
            alike.setdefault(key, []).append((node, failure["reason"]))
    ordered = sorted(alike.items(), key=lambda item: (KINDS.index(item[0][0]), -len(item[1])))
    return [_failure(kind, remedy, found) for (kind, _reason, remedy), found in ordered]


def _failure(kind: str, remedy: str, found: Sequence[Tuple[str, str]]) -> Block:
    nodes = folded((node for node, _reason in found), NAMES)
    reason = _terse(found[0][1])
    many = f"{len(found)} mails {reason}" if kind == "mail" and len(found) > 1 else reason
    label = {"stopped": "STOPPED", "listener": "NOT PROVEN", "mail": "MAIL FAILED"}[kind]
    return [*_block(f"{label} {nodes}: {many}", 4), *_block(f"-> {remedy}", 2, "    ")]


def _in_general(failure: Facts, node: str) -> str:
    """What failures of a kind have in common: of a reply, its codes, which are SMTP's; names of nodes are not."""
    reason = str(failure["reason"])
    codes = _CODES.search(reason) if failure["kind"] == "mail" else None
    if codes:
        return f"{reason.partition(':')[0]} {codes[0]}"
    return reason.replace(str(failure["about"]) or node, "...").replace(node, "...")


def _terse(reason: str) -> str:
    """A reply without what Postfix says around it."""
    return _AROUND.sub("", reason)


def _changes(document: Facts) -> List[str]:
    verb = "would change" if document["check_mode"] else "changed"
    alike: Dict[Tuple[str, str], List[str]] = {}
    for node, one in document["nodes"].items():
        count = _counted(one["plan"])
        if count:
            done = "not changed" if one["outcome"] == "stopped" and not document["check_mode"] else verb
            alike.setdefault((done, count), []).append(node)
    return [f"{done} {folded(nodes, NAMES)}: {count}" for (done, count), nodes in alike.items()]


def _counted(plan: Iterable[Facts]) -> str:
    """How many values, and of what; those inside records are the domains'."""
    counted: Counter[str] = Counter()
    for change in plan:
        counted["domains" if ": " in change["what"] else change["what"].partition(".")[0]] += change["values"]
    every = sum(counted.values())
    parts = ", ".join(f"{what} {count}" for what, count in counted.items() if count)
    return f"{every} value{'' if every == 1 else 's'} ({parts})" if every else ""


def _warnings(document: Facts) -> List[str]:
    most_first = sorted(document["warnings"], key=lambda warning: -len(warning["nodes"]))
    return [f"warning, {_nodes(warning['nodes'])}: {warning['text']}" for warning in most_first]


def _nodes(nodes: Sequence[str]) -> str:
    return nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
