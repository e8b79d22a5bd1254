# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import lock


@pytest.fixture
def clock(monkeypatch):
    """Time passes only while somebody waits."""
    now = [0.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_another_instance_is_not_locked(tmp_path, clock):
    for name in ("postfix", "postfix-out"):
        (tmp_path / name).mkdir()
    with lock.locked(str(tmp_path / "postfix")), lock.locked(str(tmp_path / "postfix-out")):
        assert clock == [0.0]


def test_a_run_waits_for_a_minute_then_says_what_to_do(tmp_path, clock):
    with lock.locked(str(tmp_path)):
        with pytest.raises(PostfixError) as refusal, lock.locked(str(tmp_path)):
            pytest.fail("two runs at once")
    assert str(refusal.value) == (
        f"{tmp_path} has been locked by another run for 60 seconds; wait until it has ended, then run the task again."
    )
    assert 60 < clock[0] < 61


def test_a_run_that_waits_gets_its_turn_when_the_other_ends(tmp_path, clock, monkeypatch):
    other = lock.locked(str(tmp_path))
    other.__enter__()
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: other.__exit__(None, None, None))
    with lock.locked(str(tmp_path)):
        assert clock == [0.0]


@pytest.mark.parametrize("problem", [None, RuntimeError, SystemExit])
def test_a_lock_is_open_again_after_a_run_and_leaves_no_file(tmp_path, clock, problem):
    if problem:
        with pytest.raises(problem), lock.locked(str(tmp_path)):
            raise problem
    else:
        with lock.locked(str(tmp_path)):
            pass
    with lock.locked(str(tmp_path)):
        assert os.listdir(tmp_path) == []
    assert clock == [0.0]


def test_a_lock_is_open_again_when_its_run_is_killed(tmp_path, clock):
    child = os.fork()
    if not child:
        with lock.locked(str(tmp_path)):
            os._exit(0)
    os.waitpid(child, 0)
    with lock.locked(str(tmp_path)):
        assert clock == [0.0]
