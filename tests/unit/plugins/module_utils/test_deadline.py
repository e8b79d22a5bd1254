# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _deadline
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._deadline import DeadlinePassed, within


def wait():
    """Whatever errors are handled on the way."""
    while True:
        with contextlib.suppress(Exception):
            time.sleep(5)


def test_what_lasts_too_long_ends_with_its_sentence():
    with pytest.raises(DeadlinePassed, match="^It hangs.$"), within(0.05, "It hangs."):
        wait()


def test_what_ends_in_time_is_left_alone_and_no_bell_rings_later():
    before = signal.getsignal(signal.SIGALRM)
    with within(0.05, "It hangs."):
        pass
    time.sleep(0.1)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]) == (before, 0)


@pytest.mark.parametrize(
    ("outer", "inner", "sentence"), [(0.05, 5, "outer"), (5, 0.05, "inner"), (0.05, 0.05, "outer")]
)
def test_of_two_ends_the_nearest_counts_and_nobody_takes_it_for_his_own(outer, inner, sentence):
    caught = []
    with pytest.raises(DeadlinePassed, match=f"^{sentence}$"), within(outer, "outer"):
        try:
            with within(inner, "inner"):
                wait()
        except DeadlinePassed as problem:
            caught.append(str(problem))
            raise
    assert caught == (["inner"] if sentence == "inner" else [])


def test_the_outer_end_still_comes_after_an_inner_one():
    with pytest.raises(DeadlinePassed, match="^outer$"), within(0.2, "outer"):
        with pytest.raises(DeadlinePassed, match="^inner$"), within(0.05, "inner"):
            wait()
        wait()


def test_beside_the_main_thread_there_is_no_bell():
    done = []

    def work():
        with within(0.01, "It hangs."):
            time.sleep(0.05)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_what_lasts_on_the_way_out_is_ended_too(monkeypatch):
    monkeypatch.setattr(_deadline, "_AGAIN", 0.05)
    with pytest.raises(DeadlinePassed, match="^It hangs.$"), within(0.05, "It hangs."):
        try:
            wait()
        finally:
            wait()
