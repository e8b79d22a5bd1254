# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._deadline import DeadlinePassed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import (
    Completed,
    Heard,
    Postfix,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import sources

STS = "socketmap:inet:127.0.0.1:8462:policy"


def asking(run):
    return Postfix(run, "/etc/postfix")


def test_all_are_asked_at_the_same_time_and_each_answer_is_kept():
    together = threading.Barrier(3)

    def run(argv, stdin=None, seconds=None):
        together.wait(5)
        return Completed(0, f"secure match={argv[-2]}\n", "")

    postfix = asking(run)
    sources.hear(postfix, [(STS, key) for key in ("a.example", "b.example", "c.example")])
    assert postfix.heard == {
        (STS, f"{name}.example"): Heard(True, f"secure match={name}.example") for name in ("a", "b", "c")
    }
    assert postfix.at("/elsewhere").heard is postfix.heard


def test_who_is_silent_is_not_waited_for_beyond_the_deadline(monkeypatch):
    given = []

    def run(argv, stdin=None, seconds=None):
        given.append(seconds)
        raise DeadlinePassed("postmap has not ended.")

    monkeypatch.setattr(sources, "DEADLINE", 2.0)
    times = iter([100.0, 100.5, 103.0])
    monkeypatch.setattr(sources.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(sources, "AT_ONCE", 1)
    postfix = asking(run)
    sources.hear(postfix, [(STS, "a.example"), (STS, "b.example")])
    assert postfix.heard == {(STS, "a.example"): Heard(False), (STS, "b.example"): Heard(False)}
    assert given == [1.5], "time was over before the second was asked"
