# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.guard import guarded


@pytest.fixture
def undone(tmp_path):
    """Whether what was begun has been undone."""

    def undo():
        (tmp_path / "undone").touch()

    undo.path = tmp_path / "undone"
    return undo


def in_a_process(undo, end):
    """Go through guarded steps that end so."""
    child = os.fork()
    if child == 0:
        try:
            with guarded(undo):
                end()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def wait_for(path):
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists()


def test_a_run_that_is_killed_is_undone_at_once(undone):
    assert os.WTERMSIG(in_a_process(undone, lambda: os.kill(os.getpid(), signal.SIGKILL))) == signal.SIGKILL
    assert wait_for(undone.path)


@pytest.mark.parametrize("problem", [None, OSError("full"), SystemExit(143)])
def test_a_run_that_ends_by_itself_sees_to_it_itself(undone, problem):
    def end():
        if problem:
            raise problem

    in_a_process(undone, end)
    assert not undone.path.exists()
