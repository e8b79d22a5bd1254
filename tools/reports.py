# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the tests leaves behind, and what it tells a person at its end."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from xml.etree import ElementTree

SLOWEST = 20
MOST = 300
"""Lines of a log."""
SUMMARY = re.compile(
    r"^(All checks passed|Found \d+ error|Passed: |Failed: |Success: no issues|=+ .*(passed|failed|error).* =+$|FATAL: )"
)
"""Lines with which the programs that a job calls close."""


class Outcome(NamedTuple):
    """Of a job."""

    passed: bool
    seconds: float
    cpu: float
    """Seconds of the controller's."""
    nodes: float = 0.0
    """Seconds of the lab's nodes since they were started."""


class Test(NamedTuple):
    job: str
    file: str
    """As a module."""
    name: str
    passed: bool
    seconds: float

    @property
    def address(self) -> str:
        return f"{self.file}::{self.name}"


class Before(NamedTuple):
    """What the next run needs to know of this one."""

    seed: int
    failed: list[str]
    """Jobs."""


def write(logs: pathlib.Path, outcomes: Mapping[str, Outcome], seed: int) -> None:
    """As JSON for the next run, and as a JUnit report beside those of the tests."""
    before = Before(seed, [name for name, outcome in outcomes.items() if not outcome.passed])
    (logs / "jobs.json").write_text(json.dumps(before._asdict()))
    failures = sum(not outcome.passed for outcome in outcomes.values())
    suite = ElementTree.Element("testsuite", name="jobs", tests=str(len(outcomes)), failures=str(failures))
    for name, outcome in outcomes.items():
        case = ElementTree.SubElement(suite, "testcase", classname="jobs", name=name, time=f"{outcome.seconds:.1f}")
        if not outcome.passed:
            ElementTree.SubElement(case, "failure", message=f"see {name}.log")
    ElementTree.ElementTree(suite).write(logs / "jobs.xml")


def before(logs: pathlib.Path) -> Before:
    try:
        return Before(**json.loads((logs / "jobs.json").read_text()))
    except FileNotFoundError:
        raise SystemExit("Nothing is known of a run before: make test") from None


def tests(logs: pathlib.Path, names: Iterable[str]) -> Iterator[Test]:
    """Those of these jobs that have a JUnit report."""
    for report in (logs / f"{name}.xml" for name in names):
        if not report.exists():
            continue
        try:
            root = ElementTree.parse(report)  # noqa: S314 -- what our own tests have written
        except ElementTree.ParseError:  # pytest was killed while it wrote
            continue
        for case in root.iter("testcase"):
            file = case.get("classname", "")
            passed = not any(child.tag in {"failure", "error"} for child in case)
            yield Test(report.stem, file, case.get("name", ""), passed, float(case.get("time", 0)))


def tell(logs: pathlib.Path, outcomes: Mapping[str, Outcome], seconds: float) -> str:
    """Why what failed has failed, how each kind of test closed, the slowest tests, and the time of each job."""
    bad = [name for name, outcome in outcomes.items() if not outcome.passed]
    ends = [line for name in bad for line in ("", f"==> {name} FAILED, the end of its log:", *_log(logs, name)[-MOST:])]
    closing = [line for name in outcomes for line in (f"-- {name}", *filter(SUMMARY.match, _log(logs, name)))]
    slow = sorted(tests(logs, outcomes), key=lambda test: test.seconds, reverse=True)[:SLOWEST]
    rows = [
        _times(outcome.seconds, outcome.cpu, outcome.nodes, f"{name}{'' if outcome.passed else '  FAILED'}")
        for name, outcome in outcomes.items()
    ]
    return "\n".join(
        [
            *ends,
            "\n==> summaries",
            *closing,
            f"\n==> the {SLOWEST} slowest tests",
            *(f"{test.seconds:7.1f} s  {test.job}: {test.name}" for test in slow),
            "\n==> jobs: time, CPU time of this machine's programs, and of the nodes",
            *rows,
            _times(seconds, sum(o.cpu for o in outcomes.values()), sum(o.nodes for o in outcomes.values()), "in all"),
            f"==> failed: {', '.join(bad)}" if bad else "==> all passed",
        ]
    )


def _times(seconds: float, cpu: float, nodes: float, of: str) -> str:
    return f"{seconds:7.0f} s {cpu:7.0f} s {nodes:7.0f} s  {of}"


def _log(logs: pathlib.Path, name: str) -> list[str]:
    return (logs / f"{name}.log").read_text(errors="replace").splitlines()
