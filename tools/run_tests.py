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
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import reports

TOP = pathlib.Path(__file__).resolve().parent.parent
CACHE = TOP / ".cache"
LOGS = CACHE / "logs"
KINDS = ("lint", "types", "sanity", "unit")
LONGEST_FIRST = ("relay", "faults", "certificates", "domains", "no_loss")
"""What takes longest begins first, or the others would wait for it in the end."""
SCENARIOS = sorted(found.parent.name for found in (TOP / "molecule").glob("*/molecule.yml"))
DEADLINE = 60 * 60
"""Seconds after which a job has failed. The slowest takes a quarter of it."""


class Settings(NamedTuple):
    """What the environment says."""

    lab: str = os.environ.get("LAB") or "lab"
    jobs: int = int(os.environ.get("JOBS") or 4)
    repeat: int = int(os.environ.get("REPEAT") or 1)
    keep: bool = bool(os.environ.get("KEEP"))
    seed: int = int(os.environ.get("SEED") or random.randrange(2**32))  # noqa: S311 -- nobody is to guess it


class Job(NamedTuple):
    """Commands that end at the first failure, their log and their JUnit report."""

    name: str
    commands: Sequence[Sequence[str]]
    finally_: Sequence[Sequence[str]] = ()
    environment: dict[str, str] = {}

    @property
    def log(self) -> pathlib.Path:
        return LOGS / f"{self.name}.log"


RUNNING: dict[int, subprocess.Popen[str]] = {}
LOCK = threading.Lock()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(1))
    what, *names = sys.argv[1:] or ["all"]
    settings = Settings()
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"==> SEED={settings.seed} repeats the samples of this run", flush=True)
    if what == "scenarios":
        return run_scenarios(settings, named(names))
    return run_jobs(settings, select(settings, again=what == "again"))


def named(words: Sequence[str]) -> list[str]:
    """The scenarios of C(-s relay), C(relay domains) or C(--all)."""
    names = [word for word in words if word != "-s"]
    names = SCENARIOS if "--all" in names else names
    if unknown := sorted({*names} - {*SCENARIOS}):
        raise SystemExit(f"SCENARIO: {', '.join(unknown)} is no scenario; take some of {', '.join(SCENARIOS)}.")
    return names


def select(settings: Settings, *, again: bool) -> list[Job]:
    """The jobs of a whole run, or those that failed in the last one, in which tests that passed are left out."""
    failed = reports.failed(LOGS) if again else [*KINDS, *SCENARIOS]
    if not again:
        shutil.rmtree(CACHE / "pytest", ignore_errors=True)
        shutil.rmtree(LOGS)
        LOGS.mkdir()
    order = [*LONGEST_FIRST, *SCENARIOS, *KINDS]
    names = sorted(failed, key=order.index)
    return [kind(settings, name, again) if name in KINDS else in_own_lab(settings, name, again) for name in names]


def kind(settings: Settings, name: str, again: bool) -> Job:
    return Job(
        name, [[os.environ.get("MAKE", "make"), "--no-print-directory", name]], (), pytest(settings, name, again)
    )


def in_own_lab(settings: Settings, name: str, again: bool) -> Job:
    lab = f"{settings.lab}-{name.replace('_', '-')}"
    return Job(
        name,
        scenario(name, lab),
        [] if settings.keep else [DESTROY],
        {**pytest(settings, name, again), **environment(lab)},
    )


def pytest(settings: Settings, name: str, again: bool = False) -> dict[str, str]:
    """Where pytest leaves its report and remembers what failed; with C(again) it runs nothing else."""
    words = [
        f"--junitxml={LOGS / name}.xml",
        "-o",
        f"cache_dir={CACHE / 'pytest' / name}",
        *(["--last-failed"] if again else []),
    ]
    return {"PYTEST_ADDOPTS": shlex.join(words), "SEED": str(settings.seed)}


def environment(lab: str) -> dict[str, str]:
    """What Molecule and Ansible need to work with a lab."""
    return {
        "LAB": lab,
        "MOLECULE_EPHEMERAL_DIRECTORY": str(CACHE / "molecule" / lab),
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
    }


def scenario(name: str, lab: str) -> list[list[str]]:
    """Without what Molecule remembers of a lab that is gone."""
    forget = ["rm", "-rf", str(CACHE / "molecule" / lab)]
    return [forget, ["molecule", "--base-config", "molecule/config.yml", "test", *OPTIONS, "-s", name]]


OPTIONS = ["--no-command-borders", "--destroy=never"]
DESTROY = ["ansible-playbook", "-i", "molecule/inventory/hosts.yml", "molecule/default/destroy.yml"]
EXPLAIN = ["python", "molecule/shared/explain.py"]


def run_jobs(settings: Settings, jobs: Sequence[Job]) -> int:
    """All of them, whatever becomes of each; then what a person wants to know."""
    if not jobs:
        print("==> nothing failed in the last run")
        return 0
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool, ending_all(pool):
        outcomes = dict(zip((job.name for job in jobs), pool.map(attempt, jobs)))
    reports.write(LOGS, outcomes)
    print(reports.tell(LOGS, outcomes, time.monotonic() - begin), flush=True)
    return int(any(not outcome.passed for outcome in outcomes.values()))


def attempt(job: Job, shown: bool = False) -> reports.Outcome:
    begin = time.monotonic()
    if not shown:
        print(f"==> {job.name} begins", flush=True)
    with job.log.open("w", buffering=1) as log:
        passed = all(run(command, job, log, shown) for command in job.commands)
        if not passed and job.finally_ and not reports.has_failures(LOGS / f"{job.name}.xml"):
            run(EXPLAIN, job, log, shown)  # a play failed, no test: nobody has asked the nodes yet
        for command in job.finally_:
            run(command, job, log, shown)
    outcome = reports.Outcome(passed, time.monotonic() - begin)
    print(f"==> {job.name} {'passed' if passed else 'FAILED'} after {outcome.seconds:.0f} s", flush=True)
    return outcome


def run(command: Sequence[str], job: Job, log: reports.Text, shown: bool) -> bool:
    """Whether the command ends well, and in time; with what it starts it has a session of its own, to be ended as a whole."""
    process = subprocess.Popen(  # noqa: S603 -- no shell; all commands stand above
        command,
        cwd=TOP,
        env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", **job.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with LOCK:
        RUNNING[process.pid] = process
    timer = threading.Timer(DEADLINE, kill, [process])
    timer.start()
    for line in process.stdout or ():
        log.write(line)
        if shown:
            print(line, end="", flush=True)
    timer.cancel()
    with LOCK:
        RUNNING.pop(process.pid)
    return process.wait() == 0


def kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


@contextlib.contextmanager
def ending_all(pool: concurrent.futures.Executor | None = None) -> Iterator[None]:
    """Whoever ends this program ends what it has started; labs go all the same."""
    try:
        yield
    except BaseException:
        if pool:
            pool.shutdown(wait=False, cancel_futures=True)
        with LOCK:
            for process in RUNNING.values():
                kill(process)
        raise


def run_scenarios(settings: Settings, names: Sequence[str]) -> int:
    """One after the other in one lab, each as often as asked for, the last time of several beside two busy loops."""
    outcomes = {}
    with ending_all():
        for name in names:
            for number in range(1, settings.repeat + 1):
                title = name if settings.repeat == 1 else f"{name}.{number}"
                job = Job(
                    title, scenario(name, settings.lab), (), {**pytest(settings, title), **environment(settings.lab)}
                )
                with busy_loops(2 if number == settings.repeat > 1 else 0):
                    outcomes[title] = attempt(job, shown=True)
        if not settings.keep:
            attempt(Job("destroy", [DESTROY], (), environment(settings.lab)), shown=True)
    print(reports.tell(LOGS, outcomes, sum(outcome.seconds for outcome in outcomes.values())))
    return int(any(not outcome.passed for outcome in outcomes.values()))


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _each in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    sys.exit(main())
