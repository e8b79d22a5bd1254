# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the project's tests, as many at once as the machine bears, each Molecule scenario in a lab of its own.

    run_tests.py all                    every kind of test, whatever the others say
    run_tests.py again                  what failed in the run before, and nothing else
    run_tests.py scenarios NAME ...     these scenarios one after the other in the lab LAB, shown as they go

Logs, JUnit reports and the times of all jobs lie in .cache/logs. From the environment come LAB, JOBS (how many at once), REPEAT
(how often each scenario is run; the last time beside two busy loops), KEEP (the lab stays) and SEED (of what is only sampled).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import processes
import reports

TOP = pathlib.Path(__file__).resolve().parent.parent
CACHE = TOP / ".cache"
LOGS = CACHE / "logs"
BUSY = [sys.executable, "-c", "while True: pass"]
DESTROY = ["ansible-playbook", "-i", "molecule/inventory/hosts.yml", "molecule/default/destroy.yml"]
DESTROY += ["-e", "lab_spare_others=true"]  # of the same name, which another checkout may have made
EXPLAIN = ["python", "molecule/shared/explain.py"]
SPENT = ["python", "molecule/shared/spent.py"]

NODES = "nodes"
"""The job that prepares the nodes all labs begin with. It comes first, and whoever needs no lab beside it."""
KINDS = (NODES, "sanity", "lint", "unit", "types")
LONGEST_FIRST = ("relay", "domains", "certificates", "faults", "no_loss", "service", "fleet", "abuse")
"""What takes longest begins before the rest, or everybody would wait for it in the end."""
SCENARIOS = sorted(found.parent.name for found in (TOP / "molecule").glob("*/molecule.yml"))


def _number(name: str, default: int, least: int = 1) -> int:
    given = os.environ.get(name) or str(default)
    if not given.isdecimal() or int(given) < least:
        raise SystemExit(f"{name}: {given!r} is no number from {least} on; give one, as {name}={default}.")
    return int(given)


def _lab() -> str:
    given = os.environ.get("LAB") or "lab"
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,30}", given):
        raise SystemExit(f"LAB: {given!r} cannot be part of nodes' names; take lower case letters, digits and hyphens.")
    return given


@dataclass(frozen=True)
class Settings:
    """What the environment says."""

    lab: str = _lab()
    jobs: int = _number("JOBS", 4)
    repeat: int = _number("REPEAT", 1)
    keep: bool = os.environ.get("KEEP", "") not in {"", "0"}
    deadline: int = _number("DEADLINE", 3600)
    """Seconds after which a job has failed. The slowest takes less than half of it."""
    seed: int = _number("SEED", random.randrange(2**32), least=0)  # noqa: S311 -- it guards nothing


SETTINGS = Settings()


@dataclass(frozen=True)
class Job:
    """One kind of test, or a scenario in a lab: its log and JUnit report have its title."""

    name: str
    title: str
    lab: str
    logs: pathlib.Path
    seed: int = SETTINGS.seed
    prepared: str = ""
    """The lab whose prepared nodes this one begins with."""
    again: tuple[str, ...] = ()
    """The tests to run, as their JUnit report names them; all of them where none is named."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
            "WORKERS": "0",  # of the unit tests: scenarios run beside them
            "SEED": str(self.seed),
            "PYTEST_ADDOPTS": shlex.join([f"--junitxml={self.report}"]),
            "TESTS": "\n".join(self.again),
            "LAB": self.lab,
            "LAB_PREPARED": self.prepared or os.environ.get("LAB_PREPARED", ""),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(self.remembered),
            "MOLECULE_GLOB": "molecule/*/molecule.yml",
        }

    @property
    def report(self) -> pathlib.Path:
        return self.logs / f"{self.title}.xml"

    @property
    def remembered(self) -> pathlib.Path:
        """What Molecule remembers of the lab, which may be another by now."""
        return CACHE / "molecule" / self.lab

    @property
    def command(self) -> list[str]:
        if self.name in KINDS:
            return [os.environ.get("MAKE", "make"), "--no-print-directory", self.name, f"LAB={self.lab}"]
        return [
            *"molecule --base-config molecule/config.yml test --no-command-borders --destroy=never -s".split(),
            self.name,
        ]


def main() -> int:
    what, *names = sys.argv[1:] or ["all"]
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_signal: sys.exit(1))
    with alone("make test" if what != "scenarios" else f"make molecule LAB={SETTINGS.lab}"):
        return run_scenarios(named(names)) if what == "scenarios" else run_jobs(select(again=what == "again"))


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Two of a kind in one checkout would take each other's logs and labs away."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{what.replace('make ', '').replace(' LAB=', '-')}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{what} is under way in this checkout already; wait for it, or end it.") from None
        yield


def named(words: Sequence[str]) -> list[str]:
    """The scenarios of C(-s relay), C(relay domains) or C(--all)."""
    names = SCENARIOS if "--all" in words else [word for word in words if word != "-s"]
    if not names or {*names} - {*SCENARIOS}:
        raise SystemExit(f"SCENARIO: {' '.join(names)!r} is no scenario; take some of {', '.join(SCENARIOS)}.")
    return names


def select(*, again: bool) -> list[Job]:
    """The jobs of a whole run, or those that failed in the last one, with its samples."""
    if again:
        before = reports.before(LOGS)
        seed, names = before.seed if not os.environ.get("SEED") else SETTINGS.seed, before.failed
    else:
        shutil.rmtree(LOGS, ignore_errors=True)
        seed, names = SETTINGS.seed, [*KINDS, *LONGEST_FIRST, *SCENARIOS]
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"==> SEED={seed} repeats the samples of this run", flush=True)
    wanted = {name for name in names if name in KINDS or name in SCENARIOS}
    if wanted & {*SCENARIOS}:
        wanted.add(NODES)
    order = dict.fromkeys([*KINDS, *LONGEST_FIRST, *SCENARIOS])
    return [_job(name, seed, again) for name in order if name in wanted]


def _job(name: str, seed: int, again: bool) -> Job:
    failed = [test for test in reports.tests(LOGS, [name]) if not test.passed] if again else []
    # What has no file is no test, but a file that could not be read.
    chosen = tuple(test.address for test in failed) if all(test.file for test in failed) else ()
    prepared = f"{SETTINGS.lab}-prepared"
    if name in KINDS:
        return Job(name, name, prepared, LOGS, seed, again=chosen)
    return Job(name, name, f"{SETTINGS.lab}-{name.replace('_', '-')}", LOGS, seed, prepared, chosen)


def run_jobs(jobs: Sequence[Job]) -> int:
    """All of them, whatever becomes of each; then what a person wants to know."""
    if not jobs:
        print("==> nothing failed in the last run")
        return 0
    begin = time.monotonic()
    prepared = threading.Event()

    def in_turn(job: Job) -> reports.Outcome:
        if job.prepared:
            prepared.wait()
            with lab_of(job):
                return attempt(job)
        try:
            return attempt(job)
        finally:
            if job.name == NODES:
                prepared.set()

    with concurrent.futures.ThreadPoolExecutor(SETTINGS.jobs) as pool:
        try:
            outcomes = dict(zip((job.title for job in jobs), pool.map(in_turn, jobs)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end_all()  # their labs go all the same
            raise
    reports.write(LOGS, outcomes, jobs[0].seed)
    return close(LOGS, outcomes, time.monotonic() - begin)


def run_scenarios(names: Sequence[str]) -> int:
    """One after the other in one lab, each as often as asked for, the last time of several beside two busy loops."""
    print(f"==> SEED={SETTINGS.seed} repeats the samples of this run", flush=True)
    logs = LOGS / "molecule" / SETTINGS.lab
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    outcomes = {}
    begin = time.monotonic()
    times = range(1, SETTINGS.repeat + 1)
    jobs = [
        Job(name, f"{name}.{number}" if len(times) > 1 else name, SETTINGS.lab, logs)
        for name in names
        for number in times
    ]
    with lab_of(jobs[0]):
        for job in jobs:
            crowded = job.title == f"{job.name}.{SETTINGS.repeat}"
            with processes.beside([BUSY, BUSY] if crowded else []):
                outcomes[job.title] = attempt(job, shown=True)
    return close(logs, outcomes, time.monotonic() - begin)


@contextlib.contextmanager
def lab_of(job: Job) -> Iterator[None]:
    """Whatever happens in it, the lab is gone afterwards, unless somebody wants to look at it."""
    try:
        yield
    finally:
        if not SETTINGS.keep:
            _remove_lab(job)


def _remove_lab(job: Job) -> None:
    said: list[str] = []
    if not processes.run(DESTROY, TOP, job.environment, said.append, SETTINGS.deadline, in_any_case=True).well:
        print(f"==> the lab {job.lab} is still there:", *said, sep="\n", flush=True)


def attempt(job: Job, shown: bool = False) -> reports.Outcome:
    """Run a job; where a play has failed, and no test, its nodes are asked why."""
    print(f"==> {job.title} begins", flush=True)
    shutil.rmtree(job.remembered, ignore_errors=True)
    job.report.unlink(missing_ok=True)
    with (job.logs / f"{job.title}.log").open("w", buffering=1) as log:

        def write(line: str) -> None:
            log.write(line)
            if shown:
                print(line, end="", flush=True)

        def run(command: Sequence[str]) -> processes.Ended:
            return processes.run(command, TOP, job.environment, write, SETTINGS.deadline)

        ended = run(job.command)
        no_test = all(test.passed for test in reports.tests(job.logs, [job.title]))
        if job.name in SCENARIOS and not ended.well and no_test:
            run(EXPLAIN)
    said: list[str] = []
    if job.name in SCENARIOS:
        processes.run(SPENT, TOP, job.environment, said.append, SETTINGS.deadline)
    nodes = float(said[-1]) if said and said[-1].strip().isdigit() else 0.0
    print(f"==> {job.title} {'passed' if ended.well else 'FAILED'} after {ended.seconds:.0f} s", flush=True)
    return reports.Outcome(ended.well, ended.seconds, ended.cpu, nodes)


def close(logs: pathlib.Path, outcomes: dict[str, reports.Outcome], seconds: float) -> int:
    print(reports.tell(logs, outcomes, seconds), flush=True)
    return int(any(not outcome.passed for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
