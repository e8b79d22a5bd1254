# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests in ../node, as pytest on the nodes runs them: what it finds there, and what becomes of each.

There they start modules without a controller, under strace, hundreds of times. The nodes share them out among themselves,
those that take long one by one, the others by file.
"""

import os
import queue
import re
import shlex
import subprocess
import threading
import traceback
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
import sampled
from lab import TOP
from mail import NODES
from on_node import sh, start
from shipped import archive

HERE = TOP / "molecule" / "faults" / "node"
ALONE = ("test_corpus.py", "test_interrupted.py")
"""Each test in these takes long."""
SECONDS = 4 * 60 * 60
ENVIRONMENT = {
    # A sample by default: every point takes hours (make test-all).
    "STRIDE": os.environ.get("FAULT_STRIDE", "97"),
    "SEED": sampled.SEED,
    "ROWS": str(sampled.ROWS),
    "EXAMPLES": os.environ.get("EXAMPLES", "10"),
    "TRIES": os.environ.get("TRIES", "25"),
}


SAID = pytest.StashKey[list]()
"""What the tests on the nodes have printed about themselves."""


class Outcome(NamedTuple):
    """Of one test."""

    word: str
    """C(passed), C(failed) or C(skipped)."""
    text: str
    seconds: float


def collect():
    """The tests on the nodes, each as C(file::name), once they are there."""
    shared = [(TOP / "molecule" / "shared" / name, name) for name in ("explain.sh", "sampled.py")]
    packed = archive((HERE, "."), *shared)
    # Compiled once: the tests start Python so often that they would spend a fifth of their time with it.
    unpack = "rm -rf /root/lab && mkdir /root/lab && tar x -C /root/lab && python3 -m compileall -q /root/lab"
    for node in NODES:
        unpacked = start(node, unpack, stdin=subprocess.PIPE)
        unpacked.communicate(packed)
        assert unpacked.returncode == 0
    found = re.findall(r"^\S+\.py::.*$", sh(next(iter(NODES)), _pytest("--collect-only", "-q")), re.MULTILINE)
    assert not [test for test in found if any(node in test for node in NODES)], "a test has the same name on every node"
    return found


class Run:
    """Tests under way on all nodes."""

    def __init__(self, tests):
        self.said = []
        """What the tests print about themselves."""
        self._outcomes = {}
        self._more = threading.Condition()
        self._ended = False
        self._processes = set()
        self._chunks = queue.SimpleQueue()
        for chunk in _chunks(tests):
            self._chunks.put(chunk)
        self._threads = [threading.Thread(target=self._work, args=[node], daemon=True) for node in NODES]
        for thread in self._threads:
            thread.start()

    def outcome(self, test):
        """What has become of a test, once that is known."""
        with self._more:
            self._more.wait_for(lambda: test in self._outcomes)
            return self._outcomes[test]

    def end(self):
        self._ended = True
        for process in list(self._processes):
            process.kill()
        for thread in self._threads:
            thread.join()

    def _work(self, node):
        while not self._ended:
            try:
                chunk = self._chunks.get_nowait()
            except queue.Empty:
                return
            try:
                found = self._run(node, chunk)
            except Exception:  # whoever waits for the outcome is told
                found = dict.fromkeys(chunk, Outcome("failed", traceback.format_exc(), 0))
            with self._more:
                self._outcomes.update(found)
                self._more.notify_all()

    def _run(self, node, chunk):
        process = start(
            node,
            _pytest("-s", "--junitxml=report.xml", *chunk),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._processes.add(process)
        said, _nothing = process.communicate()
        self.said += re.findall(r".*(?: points, | tried, | refused$| is taken over: ).*", said, re.MULTILINE)
        report = sh(node, "cat /root/lab/report.xml && rm /root/lab/report.xml", check=False)
        return {**dict.fromkeys(chunk, Outcome("failed", said, 0)), **dict(_read(report) if report else ())}


def _pytest(*words):
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items())
    seed = f"--hypothesis-seed={ENVIRONMENT['SEED']}"
    command = f"timeout {SECONDS} python3 -B -m pytest -p no:cacheprovider {seed} {shlex.join(words)}"
    return f"cd /root/lab && {environment} {command}"


def _chunks(tests):
    by_file = {}
    for test in tests:
        file = test.partition("::")[0]
        by_file.setdefault(test if file in ALONE else file, []).append(test)
    return sorted(by_file.values(), key=lambda chunk: not chunk[0].startswith(ALONE))


def _read(report):
    """The outcomes in a JUnit report."""
    for case in ElementTree.fromstring(report).iter("testcase"):
        word, text = "passed", ""
        for child in case:
            if child.tag in {"failure", "error", "skipped"}:
                word = "skipped" if child.tag == "skipped" else "failed"
                text += f"{child.get('message')}\n{child.text}\n"
            elif word == "failed":
                text += child.text or ""
        test = f"{case.get('classname').rpartition('.')[2]}.py::{case.get('name')}"
        yield test, Outcome(word, text, float(case.get("time")))
