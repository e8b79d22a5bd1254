# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run for people: a few lines that fit a screen, however many nodes there are."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections import Counter
from typing import Dict, Iterable, List, Mapping, Match, Sequence, Tuple

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
_DOUBLE = re.compile(r"[^\x00-\x7f]|\\")
"""What may take two columns."""
_AROUND = re.compile(r"(?<=: )host \S+ said: | \(in reply to [^)]*\)$")


Block = List[str]
"""The lines of one thing that is told."""
Key = Tuple[str, str, str]
"""What failures have in common: kind, reason, remedy."""


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
            more = len(blocks) - number
            return [*lines, f"... and {more} more {name if more > 1 else name[:-1]}: see smtp_report, or -v"]
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
    former, and the latter count for two, as do letters of two columns."""
    plain = _DOUBLE.sub(_counted_twice, text.replace('"', "`").replace("'", "`"))
    lines = textwrap.wrap(plain, width, initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)
    return [line.replace("\0", "") for line in lines]


def _counted_twice(found: Match[str]) -> str:
    letter = found[0]
    return f"{letter}\0" if letter == "\\" or unicodedata.east_asian_width(letter) in "WF" else letter


def _failures(document: Facts) -> List[Block]:
    """Equal ones folded: of mails that failed alike, the first reply is told."""
    alike: Dict[Key, List[Tuple[str, str]]] = {}
    for node, one in document["nodes"].items():
        for failure in one["failures"]:
            key = (failure["kind"], _in_general(failure, node), failure["remedy"])
            alike.setdefault(key, []).append((node, failure["reason"]))
    ordered = _each_kind_first(alike)
    lines = min(4, max(2, ROOM["failures"] // max(len(ordered), 1) - 1))
    return [_failure(kind, remedy, alike[kind, reason, remedy], lines) for kind, reason, remedy in ordered]


def _each_kind_first(alike: Mapping[Key, Sequence[object]]) -> List[Key]:
    """The worst kind first and what many nodes have first, but of each kind one before the others of any."""
    ordered = sorted(alike, key=lambda key: (KINDS.index(key[0]), -len(alike[key])))
    before = {key: [one[0] for one in ordered[:place]].count(key[0]) for place, key in enumerate(ordered)}
    return sorted(ordered, key=lambda key: before[key])


def _failure(kind: str, remedy: str, found: Sequence[Tuple[str, str]], lines: int) -> Block:
    nodes = folded((node for node, _reason in found), NAMES)
    reason = _terse(found[0][1])
    many = f"{len(found)} mails {reason}" if kind == "mail" and len(found) > 1 else reason
    label = {"stopped": "STOPPED", "listener": "NOT PROVEN", "mail": "MAIL FAILED"}[kind]
    return [*_block(f"{label} {nodes}: {many}", lines), *_block(f"-> {remedy}", 1, "    ")]


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
    alike: Dict[Tuple[str, str], List[str]] = {}
    for node, one in document["nodes"].items():
        for done, plan in _by_fate(one, document["check_mode"]):
            count = _counted(plan)
            if count:
                alike.setdefault((done, count), []).append(node)
    return [f"{done} {folded(nodes, NAMES)}: {count}" for (done, count), nodes in alike.items()]


def _by_fate(node: Facts, check_mode: bool) -> List[Tuple[str, List[Facts]]]:
    """Of a node that was stopped, certificates alone came before that."""
    if check_mode:
        return [("would change", node["plan"])]
    if node["outcome"] != "stopped":
        return [("changed", node["plan"])]
    early = [change for change in node["plan"] if change["what"] == "certificate"]
    return [("changed", early), ("not changed", [change for change in node["plan"] if change not in early])]


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
