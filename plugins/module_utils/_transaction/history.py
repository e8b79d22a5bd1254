# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last proven states of a node, kept on it so that people can go back.

Layout below ``smtp_hardening/history/``: one numbered folder a state, with ``main.cf`` and
``master.cf`` as they were and ``state.json``, which is written last. Certificates, tables and
trust files are not copied: a state names numbered files of the store, and the store keeps every
file that a kept state names.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Tuple

from .. import _files as files
from .._edge import Facts
from .._errors import InvalidValue
from .._postfix import store
from .._postfix.ledger import Ledger, read_ledger
from .._postfix.state import CONFIGURATION, STORE
from .journal import Author

KEPT = 10
"""How many states a node remembers, beside the first."""
FIRST = 1
"""The number of the state in which this collection has found the node."""


@dataclass(frozen=True)
class Known:
    """What a state does not say itself."""

    ledger: Ledger = field(default_factory=Ledger)
    missing: Tuple[str, ...] = ()
    """Files that it named and that were not there: of a state that other means have made."""
    behaviour: Mapping[str, object] = field(default_factory=dict)
    """How its listeners behaved, of such a state."""
    unproven: Mapping[str, str] = field(default_factory=dict)
    """The listeners that were let pass by name, and what was not seen there."""


@dataclass(frozen=True)
class Past:
    """One state that a node was in."""

    number: int
    time: str
    """When it was reached, UTC (RFC 3339)."""
    author: Author
    summary: str
    proven: bool
    """``False`` for what a change found, made by other means."""
    folder: str
    known: Known = field(default_factory=Known)

    def content(self, name: str) -> bytes:
        return files.read(os.path.join(self.folder, name))

    def as_facts(self) -> Dict[str, object]:
        return {
            "number": self.number,
            "time": self.time,
            "module": self.author.module,
            "task": self.author.task,
            "summary": self.summary,
            "proven": self.proven,
            "unproven": list(self.known.unproven),
        }


def folder(config_dir: str) -> str:
    return os.path.join(config_dir, STORE, "history")


def past(config_dir: str) -> List[Past]:
    """All states that the node remembers, oldest first."""
    found = (_read(number, path) for number, path in store.generations(folder(config_dir)))
    return [state for state in found if state is not None]


def unproven(config_dir: str) -> Mapping[str, str]:
    """The listeners that the last proven change let pass by name, and what was not seen there."""
    proven = [state for state in past(config_dir) if state.proven]
    return proven[-1].known.unproven if proven else {}


def unproven_facts(config_dir: str) -> List[Dict[str, str]]:
    """The same as modules return it."""
    return [{"service": service, "problem": problem} for service, problem in unproven(config_dir).items()]


def ledger(config_dir: str) -> Ledger:
    """What is ours of the newest state."""
    known = past(config_dir)
    return known[-1].known.ledger if known else Ledger()


def find(config_dir: str, number: Optional[int]) -> Past:
    """The state with this number; without one, the newest that is not the state of now."""
    known = past(config_dir)
    wanted = [s for s in known if (s.number == number if number is not None else not _is_now(config_dir, s))]
    if not wanted:
        numbers = ", ".join(str(state.number) for state in known) or "none yet"
        raise InvalidValue(
            "to", "the state before" if number is None else number, "is not remembered", f"the node remembers {numbers}"
        )
    return wanted[-1]


def record(
    config_dir: str,
    author: Author,
    time: str,
    *,
    summary: str,
    proven: bool,
    contents: Mapping[str, bytes],
    known: Optional[Known] = None,
) -> None:
    """Keep a state: main.cf and master.cf, and what is known of them."""
    here = store.next_path(folder(config_dir))
    files.make_folder(here, 0o700)
    for name in CONFIGURATION:
        files.write(os.path.join(here, name), contents[name], 0o600)
    known = known or Known()
    facts = {
        **{"time": time, "module": author.module, "task": author.task, "summary": summary, "proven": proven},
        **{"ledger": known.ledger.as_facts(), "missing": known.missing, "behaviour": known.behaviour},
        "unproven": dict(known.unproven),
    }
    files.write(os.path.join(here, "state.json"), json.dumps(facts, indent=1).encode(), 0o600)


def next_folders(config_dir: str) -> List[str]:
    """Where the next two states go: what a change finds, and what it makes."""
    here = folder(config_dir)
    first = int(os.path.basename(store.next_path(here)))
    return [os.path.join(here, str(number)) for number in (first, first + 1)]


def is_remembered(config_dir: str) -> bool:
    """Whether the newest state is the state of now."""
    known = past(config_dir)
    return bool(known) and _is_now(config_dir, known[-1])


def forget_old(config_dir: str) -> None:
    """Drop what is more than ten states back, but for the first, and the files of the store that nothing names any more."""
    known = past(config_dir)
    keep = {state.folder for state in known[-KEPT:]} | {state.folder for state in known if state.number == FIRST}
    for _number, path in store.generations(folder(config_dir)):
        if path not in keep:
            files.remove(os.path.join(path, "state.json"))  # or one that is killed here would leave half a state
            files.remove(path)
    texts = [state.content(name) for state in past(config_dir) for name in CONFIGURATION]
    texts += [files.read(os.path.join(config_dir, name)) for name in CONFIGURATION]
    for path in store.unnamed(config_dir, texts):
        files.remove(path)


def contents(config_dir: str, state: Past) -> Dict[str, Tuple[bytes, bytes]]:
    """main.cf and master.cf, each as it is and as it was."""
    return {name: (files.read(os.path.join(config_dir, name)), state.content(name)) for name in CONFIGURATION}


def _is_now(config_dir: str, state: Past) -> bool:
    return all(state.content(name) == files.read(os.path.join(config_dir, name)) for name in CONFIGURATION)


def _read(number: int, path: str) -> Optional[Past]:
    try:
        facts = json.loads(files.read(os.path.join(path, "state.json")))
        author = Author(facts["module"], facts["task"])
        return Past(number, facts["time"], author, facts["summary"], facts["proven"], path, _known(facts))
    except (OSError, ValueError, KeyError, TypeError):  # cut short before it was complete
        return None


def _known(facts: Facts) -> Known:
    """Of a state that an earlier version has kept, less."""
    kept = facts.get("ledger")
    return Known(
        read_ledger(kept) if kept else Ledger(),
        tuple(facts.get("missing", ())),
        facts.get("behaviour", {}),
        facts.get("unproven", {}),
    )
