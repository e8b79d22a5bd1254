# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.processes import daemons, serving


def test_without_a_master_there_are_no_daemons():
    assert daemons(0, "smtp") == []


def test_only_processes_of_this_masters_session_with_that_name_are_its_daemons(tmp_path):
    os.symlink(sys.executable, tmp_path / "smtp")
    argv = [str(tmp_path / "smtp"), "-c", "import sys; print(flush=True); sys.stdin.read()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, start_new_session=True, **pipes) as sender:
        sender.stdout.readline()
        assert daemons(sender.pid, "smtp") == [sender.pid]
        assert daemons(sender.pid, "tlsproxy", "smtp") == [sender.pid]
        assert daemons(sender.pid, "tlsproxy") == []
        assert sender.pid not in daemons(os.getsid(0), "smtp")
        sender.stdin.close()
    assert daemons(sender.pid, "smtp") == []


def test_a_process_tells_for_which_service_it_was_started():
    code = "import sys; print(flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", code, "-n", "127.0.0.1:2525", "-t", "inet", "-u"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, start_new_session=True, **pipes) as daemon:
        daemon.stdout.readline()
        assert list(serving(daemon.pid)) == [(daemon.pid, "127.0.0.1:2525/inet")]
        daemon.stdin.close()
    assert list(serving(daemon.pid)) == list(serving(0)) == []
