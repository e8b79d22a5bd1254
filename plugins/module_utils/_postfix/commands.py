# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Postfix's own commands: the only door to its configuration."""

from __future__ import annotations

import os
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Dict, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from .. import _files as files
from .._errors import HardeningError, PostfixError

if TYPE_CHECKING:
    from .state import State
_LINE_OR_VALUE = re.compile(r", line \d+(?=: )|(?<=\w)=.*")
"""What differs between two warnings of the same thing."""


class Completed(NamedTuple):
    rc: int
    stdout: str
    stderr: str


class Run(Protocol):
    """How a room starts a command; each module brings its own. After ``seconds``, where they are given, it is ended."""

    def __call__(self, argv: List[str], stdin: Optional[str] = None, seconds: Optional[float] = None) -> Completed: ...


Question = Tuple[str, str]
"""A table that somebody else keeps, as main.cf names it, and a key."""


class Heard(NamedTuple):
    """What such a table has said."""

    answered: bool
    value: Optional[str] = None
    """``None`` where it knows nothing of the key."""


class Postfix:
    """One Postfix instance: its configuration directory and the commands to ask and change it."""

    def __init__(self, run: Run, config_dir: str) -> None:
        self.run = run
        self.config_dir = config_dir
        self.known: Dict[Tuple[str, ...], State] = {}
        """What has been read in this run, by folder and content (state.py)."""
        self.heard: Dict[Question, Heard] = {}
        """What tables of others have said to this run."""

    def at(self, config_dir: str) -> Postfix:
        """The same commands on another configuration directory, as on a staged copy."""
        other = Postfix(self.run, config_dir)
        other.known, other.heard = self.known, self.heard
        return other

    def postconf(self, *arguments: str) -> str:
        return self._must("postconf", *arguments)

    def edit(
        self,
        wanted: Mapping[str, str],
        unwanted: Sequence[str] = (),
        services: Sequence[str] = (),
        overrides: Mapping[str, Optional[str]] = MappingProxyType({}),
        gone: Sequence[str] = (),
    ) -> None:
        """Set parameters, take parameters out, add master.cf entries, take entries out, set and take out
        the ``-o`` overrides of entries (``service/type/name``): a call each at most."""
        self._edit("-e", [f"{name}={value}" for name, value in wanted.items()])
        self._edit("-X", unwanted)
        self._edit("-Me", services)
        self._edit("-MX", gone)
        self._edit("-Pe", [f"{name}={value}" for name, value in overrides.items() if value is not None])
        self._edit("-PX", [name for name, value in overrides.items() if value is None])

    def check(self) -> None:
        """Fail where ``postfix check`` does."""
        done = self.run(["postfix", "-c", self.config_dir, "check"])
        if done.rc:
            raise PostfixError(f"postfix check refuses the new configuration: {_one_line(done)}.")

    def warnings(self) -> Dict[str, str]:
        """What postconf warns of in main.cf and master.cf, as parameters that nothing uses or defines: each warning by what it
        is of, in whichever line that stands and with whatever value."""
        said = "".join(self.run(["postconf", "-c", self.config_dir, option]).stderr for option in ("-n", "-P"))
        return {
            _LINE_OR_VALUE.sub("", line): line.replace(f"{self.config_dir}/", "") for line in said.split("\n") if line
        }

    def is_running(self) -> bool:
        return self.run(["postfix", "-c", self.config_dir, "status"]).rc == 0

    def master_pid(self, queue_directory: str) -> int:
        """The process of the running master (master(8)); 0 where its file does not say."""
        try:
            return int(files.read(os.path.join(queue_directory, "pid", "master.pid")).split()[0])
        except (OSError, HardeningError, ValueError, IndexError):
            return 0

    def start(self) -> None:
        self._must("postfix", "start")

    def reload(self) -> None:
        self._must("postfix", "reload")

    def build_table(self, path: str, kind: str, embeds: bool = False) -> None:
        self._must("postmap", *(["-F"] if embeds else []), f"{kind}:{path}")

    def ask_table(self, path: str, kind: str, keys: Sequence[str]) -> Tuple[Tuple[str, str], ...]:
        """What the indexed table answers to each key that it has (``postmap -q -``)."""
        if not keys:
            return ()
        asked = "".join(f"{key}\n" for key in keys)
        done = self.run(["postmap", "-c", self.config_dir, "-q", "-", f"{kind}:{path}"], stdin=asked)
        if done.rc not in (0, 1):
            raise PostfixError(f"postmap -q {kind}:{path} fails: {_one_line(done)}.")
        return _rows(done.stdout)

    def ask_others(self, question: Question, seconds: float) -> Heard:
        """What a table says that somebody else keeps (``postmap -q``). That it knows nothing is an exit status too, so only words
        tell that from a failure."""
        table, key = question
        try:
            done = self.run(["postmap", "-c", self.config_dir, "-q", key, table], seconds=seconds)
        except HardeningError:
            return Heard(False)
        if done.rc == 0:
            return Heard(True, done.stdout.rstrip("\n"))
        return Heard(done.rc == 1 and not done.stderr.strip())

    def why_unanswered(self, table: str, key: str) -> Optional[str]:
        """Why Postfix gets no answer from a table (C(type:name)), in its own words; ``None`` where it does.

        postmap(1) ends with 1 for a key that is not there, too, but says nothing then.
        """
        done = self.run(["postmap", "-c", self.config_dir, "-q", key, table])
        return _one_line(done) if done.rc and "fatal: " in done.stderr else None

    def list_table(self, path: str, kind: str) -> Tuple[Tuple[str, str], ...]:
        """Everything that an indexed table holds (``postmap -s``)."""
        return _rows(self._must("postmap", "-s", f"{kind}:{path}"))

    def _edit(self, option: str, words: Sequence[str]) -> None:
        if words:
            self.postconf(option, *words)

    def _must(self, command: str, *arguments: str, stdin: Optional[str] = None) -> str:
        argv = [command, "-c", self.config_dir, *arguments]
        done = self.run(argv, stdin=stdin)
        if done.rc:
            raise PostfixError(f"{' '.join(argv[:4])} fails: {_one_line(done)}.")
        return done.stdout


def _rows(said: str) -> Tuple[Tuple[str, str], ...]:
    """Keys and values as postmap(1) prints them."""
    rows = (line.partition("\t") for line in said.split("\n") if line)
    return tuple((key, value) for key, _tab, value in rows)


def _one_line(done: Completed) -> str:
    text = (done.stderr or done.stdout).strip()
    return "; ".join(line.strip() for line in text.splitlines()) or f"exit status {done.rc} and no message"
