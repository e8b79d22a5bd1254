# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.callback import smtp_summary

OURS, OTHERS = "mailfleet.smtp_hardening.smtp_tls_mode", "ansible.builtin.debug"


class Run:
    """The callback, a clock that is set by hand, and what was printed."""

    def __init__(self, monkeypatch, seconds=15):
        self.now, self.printed = 0.0, []
        monkeypatch.setattr(smtp_summary.time, "monotonic", lambda: self.now)
        self.callback = smtp_summary.CallbackModule()
        self.callback._display = SimpleNamespace(display=self.printed.append)
        self.callback.get_option = lambda name: seconds

    def play(self, hosts):
        variables = {"ansible_play_batch": [f"mx{place}" for place in range(hosts)]}
        manager = SimpleNamespace(get_vars=lambda **_what: variables)
        self.callback.v2_playbook_on_play_start(SimpleNamespace(get_variable_manager=lambda: manager))

    def task(self, action=OURS, name="Set it"):
        self.callback.v2_playbook_on_task_start(SimpleNamespace(action=action, get_name=lambda: f" {name}"), False)

    def end(self, custom=None, failures=(), dark=(), processed=("mx1",)):
        stats = SimpleNamespace(custom=custom or {}, failures=failures, dark=dark, processed=processed)
        self.callback.v2_playbook_on_stats(stats)
        return self.printed


@pytest.fixture
def run(monkeypatch):
    found = Run(monkeypatch)
    found.play(hosts=3)
    return found


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (["3 of 3 nodes strict", "changed mx1: 3 values", "    (client 3)"], "3 of 3 nodes strict"),
        (["1 of 3 nodes strict, 2", "    stopped", "STOPPED mx1: no", "    room"], "1 of 3 nodes strict, 2 stopped"),
        (["3 of 3 nodes strict"], "3 of 3 nodes strict"),
    ],
)
def test_the_verdict_is_the_last_word(run, lines, verdict):
    run.task()
    assert run.end({"_run": {"smtp_harden_summary": lines}}) == [f"smtp_hardening: {verdict}"]


def test_a_run_that_ended_before_its_verdict_says_so(run):
    run.task()
    assert run.end(failures={"mx1": 1}, dark={"mx1": 1, "mx2": 1}, processed=["mx1", "mx2", "mx3"]) == [
        "smtp_hardening: the run ended before its closing proof, with 2 of 3 nodes stopped"
    ]


def test_runs_without_modules_of_this_collection_are_not_spoken_of(run):
    run.task(OTHERS)
    run.now = 60
    run.callback.v2_runner_on_ok(None)
    assert run.end() == []


def test_progress_is_told_while_a_task_takes_long_and_not_at_each_node(run):
    run.play(hosts=9)
    run.task()
    for seconds in (1, 14, 16, 17, 31):
        run.now = seconds
        run.callback.v2_runner_on_ok(None)
    assert run.printed == [
        "smtp_hardening: Set it: 3 of 9 nodes, 16 s",
        "smtp_hardening: Set it: 5 of 9 nodes, 31 s",
    ]


def test_nodes_that_failed_are_told_and_each_task_begins_anew(run):
    for event in ("v2_runner_on_failed", "v2_runner_on_unreachable", "v2_runner_on_skipped"):
        run.task(name=event)
        run.now += 20
        getattr(run.callback, event)(None)
    assert [line.partition(": v2_runner_on_")[2] for line in run.printed] == [
        "failed: 1 of 3 nodes, 1 failed, 20 s",
        "unreachable: 1 of 3 nodes, 1 failed, 20 s",
        "skipped: 1 of 3 nodes, 20 s",
    ]


def test_no_seconds_mean_no_progress(monkeypatch):
    run = Run(monkeypatch, seconds=0)
    run.task()
    run.now = 1000
    run.callback.v2_runner_on_ok(None)
    assert run.printed == []


def test_it_has_to_be_enabled_and_is_documented():
    documented = yaml.safe_load(smtp_summary.DOCUMENTATION)
    assert (documented["name"], documented["type"]) == ("smtp_summary", smtp_summary.CallbackModule.CALLBACK_TYPE)
    assert smtp_summary.CallbackModule.CALLBACK_NEEDS_ENABLED is True
    assert list(documented["options"]) == ["progress_seconds"]
