# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verdict of harden after the recap, and how far long tasks are."""

from __future__ import annotations

DOCUMENTATION = r"""
name: smtp_summary
type: notification
short_description: Show how far harden is, and its verdict after the recap
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Prints the verdict of C(mailfleet.smtp_hardening.harden) once more as the last line of a run, where nothing hides it.
  - While a task of a run with this collection's modules takes long, prints how many nodes have done it.
requirements:
  - enabled by C(callbacks_enabled) in ansible.cfg, or by C(ANSIBLE_CALLBACKS_ENABLED=mailfleet.smtp_hardening.smtp_summary)
options:
  progress_seconds:
    description: Seconds between two lines of progress. V(0) for none.
    type: int
    default: 15
    env:
      - name: SMTP_SUMMARY_PROGRESS_SECONDS
    ini:
      - section: callback_smtp_summary
        key: progress_seconds
"""

import time
from itertools import takewhile
from typing import Sequence

from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase

try:
    from ansible.executor.task_result import CallbackTaskResult as TaskResult  # from ansible-core 2.19 on
except ImportError:
    from ansible.executor.task_result import TaskResult  # type: ignore[no-redef, attr-defined, unused-ignore]
from ansible.executor.stats import AggregateStats

SUMMARY = "smtp_harden_summary"
"""What the playbook leaves by set_stats: lines, of which those of the verdict are first."""


class CallbackModule(CallbackBase):
    """Speaks of runs with this collection's modules, and of no others."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "mailfleet.smtp_hardening.smtp_summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.ours = False
        self.hosts = 0
        self.task = ""
        self.begun = self.told = 0.0
        self.done = self.failed = 0

    def v2_playbook_on_play_start(self, play: Play) -> None:
        variables = play.get_variable_manager().get_vars(play=play, include_hostvars=False)
        self.hosts = len(variables.get("ansible_play_batch") or ())

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        self.ours = self.ours or (task.action or "").startswith("mailfleet.smtp_hardening.")
        self.task = task.get_name().strip()
        self.begun = self.told = time.monotonic()
        self.done = self.failed = 0

    def v2_runner_on_ok(self, result: TaskResult) -> None:
        self._count()

    def v2_runner_on_skipped(self, result: TaskResult) -> None:
        self._count()

    def v2_runner_on_failed(self, result: TaskResult, ignore_errors: bool = False) -> None:
        self._count(failed=True)

    def v2_runner_on_unreachable(self, result: TaskResult) -> None:
        self._count(failed=True)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        if not self.ours:
            return
        verdict = _verdict(stats.custom.get("_run", {}).get(SUMMARY) or [])
        stopped = set(stats.failures) | set(stats.dark)
        ended = f"the run ended before its closing proof, with {len(stopped)} of {len(stats.processed)} nodes stopped"
        self._display.display(f"smtp_hardening: {verdict or ended}")

    def _count(self, failed: bool = False) -> None:
        self.done += 1
        self.failed += failed
        now, pause = time.monotonic(), int(self.get_option("progress_seconds"))  # type: ignore[no-untyped-call]  # CallbackBase does not annotate it
        if self.ours and pause and now - self.told >= pause:
            self.told = now
            wrong = f", {self.failed} failed" if self.failed else ""
            self._display.display(
                f"smtp_hardening: {self.task}: {self.done} of {self.hosts} nodes{wrong}, {now - self.begun:.0f} s"
            )


def _verdict(lines: Sequence[str]) -> str:
    """The first sentence, with the lines in which it goes on."""
    return " ".join([*lines[:1], *(line.strip() for line in takewhile(lambda line: line.startswith(" "), lines[1:]))])
