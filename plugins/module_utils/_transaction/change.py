# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only room that writes: a plan comes true and is proven, or all is as it was.

Read from top to bottom. Everything that can be wrong is found before the live configuration is
touched: on a staged copy, which Postfix checks, and on a twin, which answers real SMTP clients.
Files that the new main.cf will name are put in place under names that the old one does not use.
The swap of main.cf is the commit point. A proof that fails brings everything back, and so does
the next run of any module where this one was killed: the journal tells it how.
"""

from __future__ import annotations

import datetime
import os
import signal
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import (
    Callable,
    Collection,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    TypedDict,
)

from .. import _files as files
from .._deadline import within
from .._errors import HardeningError, PostfixError, ProofFailed, Shortcoming
from .._postfix.commands import Postfix
from .._postfix.ledger import Ledger
from .._postfix.named import missing
from .._postfix.plan import NewFile, Plan
from .._postfix.processes import daemons, name_of
from .._postfix.state import State, check_instance, is_readable
from .._postfix.tables import Table, parse_table
from .._proof.behaviour import Behaviour
from . import handover, history, journal, twin
from .guard import guarded
from .journal import Author
from .lock import locked
from .mirror import mirror_configuration
from .ratchet import in_its_place, put_staged
from .reloading import reload

LONGEST = 900.0
"""Seconds in which a change must be proven, or it is undone: also where nobody waits for it any more."""

Seen = List[Dict[str, object]]
"""What a proof returns of each listener."""

Shortcomings = FrozenSet[Shortcoming]


class Interrupted(TypedDict):
    """What a module returns of a change that was killed."""

    module: str
    task: Optional[str]
    time: str
    undone: bool
    problem: Optional[str]


class Proofs(NamedTuple):
    """How the wire is looked at; each raises where it shows something else than what was asked."""

    master: Callable[[Postfix, State], None]
    twin: Callable[[Postfix, Sequence[str]], Seen]
    live: Callable[[], Seen]
    look: Callable[[Postfix], Behaviour] = lambda postfix: {}
    """How listeners behave now, whatever is asked of them."""
    already: Callable[[Postfix, Shortcomings, bool], Shortcomings] = lambda postfix, found, reloaded: frozenset()
    """Which of these the wire shows without the change as well; last, whether Postfix has just been reloaded."""


def carry_out(postfix: Postfix, state: State, plan: Plan, author: Author, proofs: Proofs) -> Seen:
    """Make ``plan`` come true and return what the live proof saw; on any failure, restore and raise.

    Expects the lock to be held since before ``state`` was read.
    """
    check_running(postfix, state)
    return _Transaction(postfix, state, plan, author).run(proofs)


def check_running(postfix: Postfix, state: State) -> None:
    """Refuse to change what nobody could prove."""
    if not (postfix.is_running() or _is_alive(postfix, state)):
        raise PostfixError(
            f"Postfix with the configuration in {state.config_dir} is not running, so nothing can be proven; "
            "start it first, then run the task again."
        )


def _is_alive(postfix: Postfix, state: State) -> bool:
    """The same asked of the kernel: postfix(1) cannot say it where it cannot read main.cf."""
    return name_of(postfix.master_pid(state.effective["queue_directory"])) == "master"


@contextmanager
def turn(postfix: Postfix, check_mode: bool) -> Iterator[Optional[Interrupted]]:
    """The lock, and before anything is read, an end to what an interrupted run left.

    Yields what was undone, or in check mode would be, as return values; ``None`` for nothing.
    """
    if not files.is_folder(postfix.config_dir):
        check_instance(postfix.config_dir)
    with locked(postfix.config_dir):
        found = journal.find(postfix.config_dir)
        complaint = None
        if not check_mode:
            complaint = journal.undo(postfix, found) if found else None
            journal.sweep(postfix.config_dir)
        yield _told(found, not check_mode, complaint) if found else None


def _told(found: journal.Journal, undone: bool, problem: Optional[str]) -> Interrupted:
    author = found.author
    return {"module": author.module, "task": author.task, "time": found.time, "undone": undone, "problem": problem}


def keep_for_later(state: State, path: str, content: bytes) -> bool:
    """Keep the key, or the request, of a certificate that is not there yet; whether that was new.

    For root alone from its first byte. Nothing that Postfix reads.
    """
    if files.exists(path) and files.read(path) == content:
        return False
    files.make_folder(state.store, 0o755)
    files.make_folder(os.path.dirname(path), 0o700)
    files.write(path, content, 0o600)
    return True


def put_beside(path: str, content: bytes, mode: int) -> None:
    """Write a file that is no part of Postfix's configuration, such as a hook of another tool."""
    files.make_folder(os.path.dirname(path), 0o755)
    files.write(path, content, mode)


def take_away(paths: Iterable[str]) -> None:
    """Remove what ``put_beside`` wrote."""
    for path in paths:
        files.remove(path)


def clear(folder: str, without: Collection[str]) -> None:
    """Remove a folder with all that is in it, but for these files and folders."""
    if not any(path == folder or path.startswith(folder + os.sep) for path in without):
        return files.remove(folder)
    if folder not in without:
        for name in files.names(folder):
            clear(os.path.join(folder, name), without)
    return None


class _Transaction:
    def __init__(self, postfix: Postfix, state: State, plan: Plan, author: Author) -> None:
        self.postfix = postfix
        self.state = state
        self.plan = plan
        self.author = author
        self.time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.stage = os.path.join(journal.folder(state.config_dir), "stage")
        self.there: Dict[str, bytes] = {}
        """What this change knows to be in main.cf and master.cf."""
        self.warned: Dict[str, str] = {}
        """What Postfix has warned of before."""
        self.ledger = Ledger()
        self.swapped = False
        """Whether anything of it has been theirs."""

    def run(self, proofs: Proofs) -> Seen:
        with _signals_raise():
            log = self._begin()
            try:
                with within(LONGEST, f"The change was not proven within {LONGEST:.0f} seconds."):
                    seen = self._change(log, proofs)
            except BaseException as problem:
                self._undo(log, problem, proofs)
            self._clean_up()
        return seen

    def _change(self, log: journal.Journal, proofs: Proofs) -> Seen:
        self._remember_found(proofs)
        self._stage()
        self._put_files()
        self._check_stage()
        self._prove_twin(proofs)
        self._go_over(log)
        self._reload()
        seen = proofs.live()
        self._check_unedited(log)
        self._remember(log, seen)
        journal.settle(self.state.config_dir)
        return seen

    def _begin(self) -> journal.Journal:
        """What was and what will be new, on disk before anything else is written."""
        config_dir = self.state.config_dir
        paths = [self.state.store, history.folder(config_dir), *(new.path for new in self.plan.files)]
        created = sorted({files.first_missing(path) for path in paths if not files.exists(path)})
        created += history.next_folders(config_dir)
        queue_dir = self.state.effective["queue_directory"]
        try:
            log = journal.begin(config_dir, self.author, self.time, queue_dir, created)
            self.there = {live: self.state.contents[os.path.basename(kept)] for live, kept in log.saved.items()}
            self._check_unedited(log)
            return log
        except BaseException:
            journal.end(config_dir)
            if self.state.store in created:
                files.remove(self.state.store)
            raise

    def _check_unedited(self, log: journal.Journal) -> None:
        """What is kept, under whatever name, is what the plan was made of."""
        for live, kept in log.saved.items():
            if files.read(kept) != self.state.contents[os.path.basename(kept)]:
                raise journal.edited(live)

    def _stage(self) -> None:
        """A copy of the configuration with the plan applied. It is looked at in the same place without the plan first (or as a
        state that comes back was), since warnings name places."""
        files.make_folder(self.stage, 0o700)
        mirror_configuration(self.state.config_dir, self.stage)
        put_staged(self.postfix, self.stage, self.state, Plan(contents=self.plan.contents))
        self.warned = self.postfix.at(self.stage).warnings()
        put_staged(self.postfix, self.stage, self.state, self.plan)

    def _put_files(self) -> None:
        """Files and tables that the old main.cf does not name; each table must answer as written."""
        for new in self.plan.files:
            files.resolve(self.state.config_dir, os.path.relpath(new.path, self.state.config_dir))
            private = not new.mode & 0o077
            files.make_folder(os.path.dirname(new.path), 0o700 if private else 0o755)
            files.write(new.path, new.content, new.mode)
            if new.table or new.embeds:
                self._build_table(new)

    def _build_table(self, new: NewFile) -> None:
        kind = self.state.table_type
        self.postfix.build_table(new.path, kind, new.embeds)
        written = parse_table(new.content)
        answered = dict(self.postfix.ask_table(new.path, kind, list(written)))
        if not (_embedded(answered, written) if new.embeds else answered == written):
            raise PostfixError(f"{kind}:{new.path} does not answer as it was written; is the disk full?")

    def _check_stage(self) -> None:
        """What Postfix itself finds wrong, unless it found that before."""
        staged = self.postfix.at(self.stage)
        staged.check()
        # What was used by something that goes is theirs as before.
        left_over = {f"unused parameter: {name}" for name in self.state.explicit}
        fresh = [
            warning
            for about, warning in staged.warnings().items()
            if about not in self.warned and about.rpartition("main.cf: ")[2] not in left_over
        ]
        if fresh and self.plan.restores is None:
            raise PostfixError(f"Postfix warns of the new configuration: {'; '.join(sorted(fresh))}.")

    def _prove_twin(self, proofs: Proofs) -> None:
        staged = in_its_place(self.postfix, self.stage, self.state.config_dir)
        self.ledger = self._advanced(staged)
        proofs.master(self.postfix, staged)
        with twin.running(self.postfix, staged, self.stage) as second:
            try:
                proofs.twin(second, [service.key for service in staged.services if service.is_listener])
            except HardeningError as problem:
                said = twin.complaints(staged.effective["queue_directory"])
                problem.args = (f"{problem} Postfix says: {said}." if said else str(problem),)
                raise

    def _go_over(self, log: journal.Journal) -> None:
        if not handover.is_needed(self.state.effective, self.plan.effective_after(self.state)):
            return self._swap(log)
        with guarded(lambda: journal.undo(self.postfix, log)):
            self._let_mail_arrive(log)
            self._swap(log)

    def _let_mail_arrive(self, log: journal.Journal) -> None:
        """Where deliveries under way need the old files, end them first: see handover.py."""
        live = next(iter(log.saved))
        self._without_reuse(log, live, live, "smtp")
        self._without_reuse(log, live, os.path.join(self.stage, "main.cf"), "tlsproxy")

    def _without_reuse(self, log: journal.Journal, live: str, source: str, daemon: str) -> None:
        """Let Postfix run with a main.cf in which connections are not reused, once these daemons know no other."""
        here = os.path.join(self.stage, "without_reuse")
        files.make_folder(here, 0o700)
        for name, content in (("main.cf", files.read(source)), ("master.cf", b"")):
            files.write(os.path.join(here, name), content, 0o600)
        self.postfix.at(here).edit({handover.REUSE: "no"})
        self._put(log, live, os.path.join(here, "main.cf"))
        master = self.postfix.master_pid(self.state.effective["queue_directory"])
        earlier = daemons(master, daemon)
        self._reload()
        handover.wait_for_end(earlier, master, daemon)

    def _reload(self) -> None:
        reload(self.postfix, self.state.effective["queue_directory"])

    def _swap(self, log: journal.Journal) -> None:
        """master.cf first: Postfix reads it at a reload only. main.cf is the commit point."""
        for live, kept in reversed(list(log.saved.items())):
            staged = os.path.join(self.stage, os.path.basename(kept))
            if files.read(staged) != self.there[live]:
                self._put(log, live, staged)

    def _put(self, log: journal.Journal, live: str, new: str) -> None:
        content = files.read(new)
        self.swapped = True
        journal.put(live, log.saved[live], new, self.there[live])
        self.there[live] = content

    def _remember_found(self, proofs: Proofs) -> None:
        """What other means have made is worth going back to, too, and if it is broken, as broken as it is,
        unless Postfix could not read it."""
        config_dir, contents = self.state.config_dir, self.state.contents
        if not history.is_remembered(config_dir) and is_readable(self.postfix):
            known = history.Known(
                ledger=replace(history.ledger(config_dir), edited=bool(history.past(config_dir))),
                missing=tuple(sorted(missing(self.state))),
                behaviour=proofs.look(self.postfix),
            )
            summary = "as found, made by other means"
            history.record(
                config_dir, Author("-"), self.time, summary=summary, proven=False, contents=contents, known=known
            )

    def _advanced(self, staged: State) -> Ledger:
        """What will be ours: more with each change, and as it was in the state that comes back."""
        if self.plan.restores is not None:
            return history.find(self.state.config_dir, self.plan.restores).known.ledger
        return history.ledger(self.state.config_dir).after(self.state, staged)

    def _remember(self, log: journal.Journal, seen: Seen) -> None:
        """What has been proven, whoever may have gone on from there."""
        contents = {os.path.basename(kept): self.there[live] for live, kept in log.saved.items()}
        unproven = {str(one["service"]): str(one["unproven"]) for one in seen or () if one.get("unproven")}
        summary, known = self.plan.summary_line(), history.Known(self.ledger, unproven=unproven)
        history.record(
            self.state.config_dir, self.author, self.time, summary=summary, proven=True, contents=contents, known=known
        )

    def _undo(self, log: journal.Journal, problem: BaseException, proofs: Proofs) -> None:
        """Bring everything back and raise what went wrong, as a sentence where it is one."""
        try:
            complaint = journal.undo(self.postfix, log, was_running=True)
        except Exception as second:
            raise HardeningError(
                f"{_sentence(problem)} Undoing it failed too: {_sentence(second)} The next run of any module undoes it; "
                f"until then, what was lies in {journal.folder(self.state.config_dir)}/was."
            ) from problem
        if isinstance(problem, OSError):
            sentence = f"{_sentence(problem)} Everything is as it was before. {complaint or ''}".strip()
            raise PostfixError(sentence, restored=True) from problem
        if isinstance(problem, HardeningError):
            problem.facts.setdefault("restored", True)
            told = filter(None, (str(problem), self._told_of_before(problem, proofs), complaint))
            problem.args = (" ".join(told),)
        raise problem

    def _told_of_before(self, problem: HardeningError, proofs: Proofs) -> Optional[str]:
        """That it is not this change that has broken a listener; known once all is as it was before."""
        if not isinstance(problem, ProofFailed) or not problem.shortcomings:
            return None
        try:
            found = proofs.already(self.postfix, problem.shortcomings, self.swapped)
        except HardeningError:
            return None
        if not found:
            return None
        services = ", ".join(sorted({service for service, _problem in found}))
        return (
            f"It was so before: the same is seen at {services} without this change; put that right first, or in the same task "
            "(smtp_tls_info tells what is broken)."
        )

    def _clean_up(self) -> None:
        """What is of no use any more. The change stands: what cannot be removed now, later runs remove."""
        try:
            journal.end(self.state.config_dir)
            for path in self.plan.obsolete:
                files.remove(path)
            history.forget_old(self.state.config_dir)
        except OSError:
            pass


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let a polite end (a lost connection, a service that stops) undo what was begun."""

    def leave(number: int, _frame: Optional[FrameType]) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _embedded(answered: Table, written: Table) -> bool:
    """Whether the index answers with what is in the files that the table names."""
    contents = {key: files.read(path).strip() for key, path in written.items()}
    return {key: b64decode(value).strip() for key, value in answered.items()} == contents


def _sentence(problem: BaseException) -> str:
    if isinstance(problem, OSError):
        return f"{problem.filename or 'The file system'}: {problem.strerror}."
    return str(problem)
