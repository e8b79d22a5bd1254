# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever never ends: the program, a process of its own as on a node, does, and tells what it has."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _program
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    EFFECTIVE,
    MASTER,
    check,
    parse,
)

PACKAGE = "ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics"


@pytest.fixture
def run(tmp_path):
    """Run the program beside a postconf and a journalctl of ours, with shorter deadlines; what it tells and how long it took."""

    def start(journalctl="exit 0", postconf="", deadline=5, extra=None):
        commands, answers = tmp_path / "bin", tmp_path / "answers"
        for folder in (commands, answers, tmp_path / "out"):
            folder.mkdir()
        for name in ("main.cf", "master.cf"):
            write(f"{tmp_path}/postfix/{name}", "")
        effective = {**EFFECTIVE, "queue_directory": f"{tmp_path}/spool", "mail_owner": "root", **(extra or {})}
        texts = {
            "-M": MASTER,
            "-Px": "",
            "-n": "",
            "-dx": "",
            "-d": "",
            "-x": "".join(f"{n} = {v}\n" for n, v in effective.items()),
        }
        for option, text in texts.items():
            (answers / option).write_text(text)
        scripts = {"postconf": f'{postconf}\ncat "{answers}/$3"', "journalctl": journalctl}
        for name, text in scripts.items():
            (commands / name).write_text(f"#!/bin/sh\n{text}\n")
            (commands / name).chmod(0o755)
        archive = write(f"{tmp_path}/smtp-metrics.pyz", _program.archive(_program.METRICS))
        launcher = (
            f"import sys; sys.path.insert(0, {archive!r}); from {PACKAGE} import instance, main; "
            f"main.DEADLINE, instance.COMMAND = {deadline}, {deadline / 5}; sys.exit(main.main(sys.argv))"
        )
        output = tmp_path / "out" / "smtp.prom"
        options = ["--config-dir", f"{tmp_path}/postfix", "--output", str(output), "--state", f"{tmp_path}/state.json"]
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-I", "-c", launcher, *options],
            env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return parse(output.read_text()), done, time.monotonic() - begun

    return start


@pytest.mark.parametrize("postconf", ["exec sleep 60", "while :; do echo x; sleep 1; done", "sleep 60 2>&- & wait"])
def test_a_postconf_that_hangs_is_a_complaint(run, postconf):
    parsed, done, seconds = run(postconf=postconf)
    assert (done.returncode, check(parsed, "configuration"), check(parsed, "run")) == (1, 0, 1)
    assert "has not ended after 1 seconds" in done.stderr and "Traceback" not in done.stderr
    assert seconds < 20


@pytest.mark.parametrize("journalctl", ["exec sleep 60", "while :; do printf x; sleep 1; done"])
def test_a_journal_that_hangs_leaves_the_rest_told(run, journalctl):
    parsed, done, seconds = run(journalctl=journalctl)
    assert (done.returncode, check(parsed, "run"), check(parsed, "configuration")) == (1, 0, 1)
    assert "this took longer than 5 seconds" in done.stderr and "Traceback" not in done.stderr
    assert "smtp_hardening_server_policy_info" in parsed and seconds < 20


@pytest.mark.parametrize(
    "entry",
    [
        "{",
        "{}",
        "[]",
        "7",
        '{"__CURSOR": "c", "MESSAGE": ["a", "b"], "SYSLOG_IDENTIFIER": [1, 2], "_PID": null}',
        '{"__CURSOR": "c", "MESSAGE": null}',
    ],
)
def test_a_journal_with_entries_of_any_kind_is_no_traceback(run, entry):
    parsed, done, _seconds = run(journalctl=f"echo '{entry}'")
    assert "Traceback" not in done.stderr and "smtp_hardening_log_readable" in parsed
