# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the journal was read."""

from __future__ import annotations

import io
import json
import pwd
import subprocess
import time

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _command
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import journal as metrics_journal
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.journal import Journal
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import (
    OVERRIDES,
    SERVICES,
)


def journal(monkeypatch, entries):
    """What was asked of journalctl, which answers with these entries."""
    asked = []

    class Process:
        returncode = 0

        def __init__(self, argv, stdin, **_options):
            assert stdin == subprocess.DEVNULL
            asked.append([word.decode() for word in argv])
            self.stdout = io.BytesIO("".join(json.dumps(entry) + "\n" for entry in entries).encode())

        def __enter__(self):
            return self

        def __exit__(self, *_exception):
            return None

        def kill(self):
            pass

    monkeypatch.setattr(_command.subprocess, "Popen", Process)
    monkeypatch.setattr(_command, "_kill", Process.kill)
    return asked


def test_the_journal_is_read_from_where_it_was_read_to(instance, monkeypatch):
    made = instance({"mail_owner": "nobody"}, master=SERVICES, overrides=OVERRIDES)
    users = {f"_UID={pwd.getpwnam(name).pw_uid}" for name in ("root", "nobody")}
    entry = {"__CURSOR": "s=1;i=2", "SYSLOG_IDENTIFIER": "postfix/smtpd", "SYSLOG_PID": "7", "_PID": "8"}
    asked = journal(monkeypatch, [{**entry, "MESSAGE": "connect from x"}])
    log = Journal(made)
    assert log.position == "s=1;i=2"
    assert list(log.events()) == [("postfix/smtpd", "7", "connect from x")]
    assert "--after-cursor=s=1;i=2" in asked[1]
    assert {"--identifier=postfix/smtpd", "--identifier=postfix/submission/smtpd", *users} <= set(asked[1])


def test_the_journal_may_hold_octets_that_are_no_text(instance, monkeypatch):
    entry = {"__CURSOR": "c", "SYSLOG_IDENTIFIER": "postfix/smtpd", "_PID": "8", "MESSAGE": [72, 255]}
    journal(monkeypatch, [entry])
    log = Journal(instance({"mail_owner": "root"}), "b")
    assert list(log.events()) == [("postfix/smtpd", "8", "H\ufffd")]


def test_an_empty_journal_is_read_from_its_beginning(instance, monkeypatch):
    asked = journal(monkeypatch, [])
    log = Journal(instance({"mail_owner": "root"}))
    assert list(log.events()) == []
    assert not [word for word in asked[1] if word.startswith("--after-cursor")]


def test_a_journal_that_never_ends_is_read_on_by_the_next_run(instance, monkeypatch, tmp_path):
    monkeypatch.setattr(metrics_journal, "SECONDS", 0.3)
    (tmp_path / "journalctl").write_text(
        '#!/bin/sh\nwhile :; do echo \'{"__CURSOR": "c", "MESSAGE": "x", "SYSLOG_IDENTIFIER": "postfix/smtpd"}\'; done\n'
    )
    (tmp_path / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    log = Journal(instance({"mail_owner": "root"}), "b")
    begun = time.monotonic()
    assert len(list(log.events())) > 1
    assert time.monotonic() - begun < 5 and log.position == "c"
