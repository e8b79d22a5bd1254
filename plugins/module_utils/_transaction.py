# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only room that writes: a plan comes true and is proven, or all is as it was.

Read from top to bottom: everything that can be wrong is found on a staged copy; files that the
new main.cf will name are put in place under names that the old one does not use; the swap of
main.cf is the commit point; a proof that fails brings everything back.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional

from . import _files as files
from ._errors import HardeningError, PostfixError, present
from ._postfix.commands import Postfix
from ._postfix.domains import parse_table
from ._postfix.plan import NewFile, Plan
from ._postfix.state import STORE, State

Proof = Callable[[], Any]
"""Looks at the wire; raises where it shows something else than what was asked."""

LOCK_SECONDS = 60


def carry_out(postfix: Postfix, state: State, plan: Plan, prove: Proof) -> Any:
    """Make ``plan`` come true and return what ``prove`` saw; on any failure, restore and raise."""
    with _locked(state.config_dir):
        if not postfix.is_running():
            raise PostfixError(
                f"Postfix with the configuration in {state.config_dir} is not running, so nothing can be proven; "
                "start it first, then run the task again."
            )
        return _Transaction(postfix, state, plan).run(prove)


def keep_pending_key(state: State, path: str, pem: bytes) -> None:
    """Keep the key of a certificate that is being signed elsewhere: for root alone, from its first byte."""
    with _locked(state.config_dir):
        files.make_folders(state.store, 0o755)
        files.make_folders(os.path.dirname(path), 0o700)
        files.write(path, pem, 0o600)


class _Transaction:
    def __init__(self, postfix: Postfix, state: State, plan: Plan) -> None:
        self.postfix = postfix
        self.state = state
        self.plan = plan
        self.stage = os.path.join(state.store, "stage")
        self.was: Dict[str, Optional[files.Remembered]] = {}
        self.made_folders: List[str] = []

    def run(self, prove: Proof) -> Any:
        reloaded = False
        try:
            self._stage()
            self._put_files()
            self._check_stage()
            self._swap()
            reloaded = True
            self.postfix.reload()
            seen = prove()
        except BaseException as problem:
            self._restore(reloaded)
            if isinstance(problem, HardeningError):
                problem.facts.setdefault("restored", True)
            raise
        self._clean_up()
        return seen

    def _stage(self) -> None:
        """A copy of the configuration with the plan applied, which Postfix must accept."""
        self._make_folder(self.state.store, 0o755)
        files.remove(self.stage)
        self._make_folder(self.stage, 0o700)
        for name in os.listdir(self.state.config_dir):
            original = os.path.join(self.state.config_dir, name)
            if name in ("main.cf", "master.cf"):
                content = present(files.remember(original)).content
                files.write(os.path.join(self.stage, name), content, 0o600, like=original)
            elif name != STORE:
                os.symlink(original, os.path.join(self.stage, name))
        staged = self.postfix.at(self.stage)
        staged.edit(self.plan.set, self.plan.unset, self.plan.services)

    def _put_files(self) -> None:
        """Files and tables that the old main.cf does not name; each table must answer as written."""
        for new in self.plan.files:
            private = not new.mode & 0o077
            self._make_folder(os.path.dirname(new.path), 0o700 if private else 0o755)
            self._remember(new.path)
            files.write(new.path, new.content, new.mode)
            if new.table:
                self._build_table(new)

    def _build_table(self, new: NewFile) -> None:
        kind = self.state.table_type
        self.postfix.build_table(new.path, kind)
        written = parse_table(new.content)
        answered = dict(self.postfix.ask_table(new.path, kind, list(written)))
        if answered != written:
            raise PostfixError(f"{kind}:{new.path} does not answer as it was written; is the disk full?")

    def _check_stage(self) -> None:
        """What Postfix itself finds wrong, unless it found that before."""
        complaints = self.postfix.at(self.stage).check()
        if "unused parameter" in complaints:
            known = self.postfix.run(["postconf", "-c", self.state.config_dir, "-n"]).stderr
            fresh = [
                line
                for line in complaints.splitlines()
                if "unused parameter" in line and line.split(": ")[-1] not in known
            ]
            if fresh:
                raise PostfixError(f"Postfix does not know a parameter of the new configuration: {'; '.join(fresh)}.")

    def _swap(self) -> None:
        """master.cf first: a service more does no harm. main.cf is the commit point."""
        for name in ("master.cf", "main.cf"):
            live, staged = os.path.join(self.state.config_dir, name), os.path.join(self.stage, name)
            self._remember(live)
            if present(files.remember(staged)).content != present(self.was[live]).content:
                files.copy_attributes(live, staged)
                os.utime(staged)
                os.replace(staged, live)
        files.sync_folder(self.state.config_dir)

    def _restore(self, reload: bool) -> None:
        for path, was in reversed(list(self.was.items())):
            files.put_back(path, was)
        files.remove(self.stage)
        for folder in reversed(self.made_folders):
            files.remove(folder)
        if reload:
            self.postfix.reload()

    def _clean_up(self) -> None:
        files.remove(self.stage)
        for path in self.plan.obsolete:
            files.remove(path)

    def _make_folder(self, path: str, mode: int) -> None:
        self.made_folders.extend(files.make_folders(path, mode))

    def _remember(self, path: str) -> None:
        self.was.setdefault(path, files.remember(path))


@contextmanager
def _locked(config_dir: str) -> Iterator[None]:
    """One run at a time on one instance. The lock is on the folder itself: no file is left behind."""
    descriptor = os.open(config_dir, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise PostfixError(
                        f"{config_dir} has been locked by another run for {LOCK_SECONDS} seconds; "
                        "wait until it has ended, then run the task again."
                    ) from None
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)
