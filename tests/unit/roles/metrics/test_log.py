# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the log was read: files that are rotated, truncated and compressed, the journal, and the state between runs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pwd
import shutil
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import OVERRIDES, SERVICES


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "mail.log")


class Log:
    """A log that is written to and rotated."""

    def __init__(self, path):
        self.path, self.lines = path, 0
        self.path.touch()
        self.age(1000)

    def age(self, seconds):
        """As if it was last written to some time ago."""
        moment = time.time() - seconds
        os.utime(self.path, (moment, moment))

    def write(self, count=1):
        with self.path.open("a", encoding="ascii") as handle:
            for _line in range(count):
                self.lines += 1
                handle.write(f"Nov 24 22:47:40 mx1 postfix/smtpd[{self.lines}]: connect from {'x' * 200}\n")

    def rotate(self, name="mail.log.1", begin=True):
        self.path.rename(self.path.with_name(name))
        if begin:
            self.path.touch()


class Reader:
    """Run after run, with the position that the state file keeps."""

    def __init__(self, program, log):
        self.program, self.log, self.position = program, log, None

    def __call__(self):
        file = self.program.LogFile(str(self.log.path), self.position)
        found = [int(pid) for _tag, pid, _text in file.events()]
        self.position = json.loads(json.dumps(file.position))
        return found


@pytest.fixture
def read(program, log):
    return Reader(program, log)


def test_the_first_run_begins_at_the_end(log, read):
    log.write(3)
    assert read() == []
    log.write(2)
    assert read() == [4, 5]
    assert read() == []


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(log, read):
    log.path.unlink()
    assert read() == []
    assert read() == []
    log.write(2)
    assert read() == [1, 2]


def test_an_empty_log_is_read_from_its_beginning_even_when_it_is_rotated(log, read):
    assert read() == []
    log.write(2)
    log.rotate()
    log.write(1)
    assert read() == [1, 2, 3]


def test_an_empty_log_is_not_taken_for_the_one_before_it(log, read):
    log.write(2)
    log.rotate()
    log.age(1000)
    assert read() == []
    log.write(1)
    assert read() == [3]


def test_a_log_that_is_rotated_while_we_look_for_it_is_read_whole(program, log, read, monkeypatch):
    log.write(3)
    read()
    log.write(1)
    look, looks = program.LogFile._paths, []

    def rotated_meanwhile(file):
        found = look(file)
        if not looks:
            log.rotate()
            log.write(1)
        looks.append(found)
        return found

    monkeypatch.setattr(program.LogFile, "_paths", rotated_meanwhile)
    assert read() == [4, 5]


def test_half_a_line_waits_for_its_other_half(log, read):
    read()
    log.write(1)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-30])
    assert read() == []
    log.path.write_bytes(whole)
    assert read() == [1]


def compressed(name, opened):
    def pack(log):
        path = log.path.with_name(name)
        packed = path.with_name(name + {gzip.open: ".gz", bz2.open: ".bz2", lzma.open: ".xz"}[opened])
        with path.open("rb") as source, opened(packed, "wb") as target:
            shutil.copyfileobj(source, target)
        os.utime(packed, (int(path.stat().st_mtime),) * 2)  # as some compressors keep it
        path.unlink()

    return pack


def left_alone(log):
    pass


@pytest.mark.parametrize("begin", [True, False], ids=["new log there", "no new log yet"])
@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("mail.log.1", left_alone),
        ("mail.log-20261125", left_alone),
        ("mail.log.20261124-225008", compressed("mail.log.20261124-225008", gzip.open)),
        ("mail.log.1", compressed("mail.log.1", bz2.open)),
        ("mail.log.1", compressed("mail.log.1", lzma.open)),
    ],
    ids=["logrotate", "dateext", "postfix logrotate", "bzip2", "xz"],
)
def test_a_rotated_log_is_read_to_its_end_and_the_new_one_after_it(log, read, name, then, begin):
    log.write(3)
    read()
    log.write(2)
    log.rotate(name, begin)
    then(log)
    if begin:
        log.write(1)
    assert read() == ([4, 5, 6] if begin else [4, 5])
    log.write(1)
    assert read() == ([7] if begin else [6])
    assert read() == []


@pytest.mark.parametrize(
    "kept", [[], [1], [1, 2, 3, "head", 5], ["a", "b", "c", "d"], {"a": 1}, "x", 7, None], ids=repr
)
def test_where_no_position_can_be_read_the_log_is_read_from_its_end_on(log, read, kept):
    log.write(2)
    read.position = kept
    assert read() == []
    log.write(1)
    assert read() == [3]


def test_a_log_that_is_rotated_twice_between_two_runs_is_read_whole(log, read):
    log.write(2)
    read()
    log.write(1)
    log.rotate("mail.log.2")
    os.utime(log.path.with_name("mail.log.2"), (time.time() - 60,) * 2)
    read.position[1] -= 1000
    log.write(1)
    log.rotate("mail.log.1")
    log.write(1)
    assert read() == [3, 4, 5]


def test_a_log_that_is_copied_and_truncated_is_read_whole(log, read):
    log.write(3)
    read()
    log.write(2)
    shutil.copy2(log.path, log.path.with_name("mail.log.1"))
    os.truncate(log.path, 0)
    log.write(1)
    assert read() == [4, 5, 6]


def test_a_log_that_was_truncated_is_read_from_its_beginning(log, read):
    log.write(3)
    read()
    os.truncate(log.path, 0)
    log.write(1)
    assert read() == [4]


def test_a_log_that_is_being_compressed_is_read_once(log, read):
    log.write(3)
    read()
    log.write(2)
    log.rotate()
    rotated = log.path.with_name("mail.log.1")
    packed = gzip.compress(rotated.read_bytes())
    rotated.with_name("mail.log.1.gz").write_bytes(packed[: len(packed) - 10])
    log.write(1)
    assert read() == [4, 5, 6]


def test_older_logs_are_left_alone(log, read):
    log.write(3)
    shutil.copy2(log.path, log.path.with_name("mail.log.3"))
    log.path.with_name("mail.log.4.gz").write_bytes(b"none")
    log.write(1)
    read()
    log.write(1)
    assert read() == [5]


def test_what_one_run_cannot_read_the_next_one_does(program, log, read, monkeypatch):
    read()
    log.write(10)
    log.rotate()
    log.write(2)
    monkeypatch.setattr(program, "LOG_BYTES", 500)
    found = [read() for _run in range(6)]
    assert [line for one in found for line in one] == list(range(1, 13))
    assert len(found[0]) < 10


def journal(program, monkeypatch, entries):
    """What was asked of journalctl, which answers with these entries."""
    asked = []

    class Process:
        returncode = 0

        def __init__(self, argv, stdin, stdout):
            assert stdin == program.subprocess.DEVNULL
            asked.append(argv)
            self.stdout = io.BytesIO("".join(json.dumps(entry) + "\n" for entry in entries).encode())

        def __enter__(self):
            return self

        def __exit__(self, *_exception):
            return None

        def kill(self):
            pass

    monkeypatch.setattr(program.subprocess, "Popen", Process)
    return asked


def test_the_journal_is_read_from_where_it_was_read_to(program, instance, monkeypatch):
    made = instance({"mail_owner": "nobody"}, master=SERVICES, overrides=OVERRIDES)
    users = {f"_UID={pwd.getpwnam(name).pw_uid}" for name in ("root", "nobody")}
    entry = {"__CURSOR": "s=1;i=2", "SYSLOG_IDENTIFIER": "postfix/smtpd", "SYSLOG_PID": "7", "_PID": "8"}
    asked = journal(program, monkeypatch, [{**entry, "MESSAGE": "connect from x"}])
    log = program.Journal(made)
    assert log.position == "s=1;i=2"
    assert list(log.events()) == [("postfix/smtpd", "7", "connect from x")]
    assert "--after-cursor=s=1;i=2" in asked[1]
    assert {"--identifier=postfix/smtpd", "--identifier=postfix/submission/smtpd", *users} <= set(asked[1])


def test_the_journal_may_hold_octets_that_are_no_text(program, instance, monkeypatch):
    entry = {"__CURSOR": "c", "SYSLOG_IDENTIFIER": "postfix/smtpd", "_PID": "8", "MESSAGE": [72, 255]}
    journal(program, monkeypatch, [entry])
    log = program.Journal(instance({"mail_owner": "root"}), "b")
    assert list(log.events()) == [("postfix/smtpd", "8", "H\ufffd")]


def test_an_empty_journal_is_read_from_its_beginning(program, instance, monkeypatch):
    asked = journal(program, monkeypatch, [])
    log = program.Journal(instance({"mail_owner": "root"}))
    assert list(log.events()) == []
    assert not [word for word in asked[1] if word.startswith("--after-cursor")]


def test_counters_go_on_from_run_to_run_and_begin_anew_for_another_instance(program, instance, log, tmp_path):
    state = tmp_path / "state.json"
    made = instance({"maillog_file": str(log.path)})

    def received(one):
        metrics = program.Metrics()
        program.tell_traffic(one, str(state), metrics)
        return metrics.samples["messages_received_total"][("service", "smtpd"), ("tls", "no")]

    line = "Nov 24 22:47:40 mx1 postfix/smtpd[7]: disconnect from x ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
    assert received(made) == 0
    log.path.write_text(line)
    assert received(made) == 1
    log.path.write_text(line * 2)
    assert received(made) == 2
    assert state.stat().st_mode & 0o777 == 0o600
    assert received(made._replace(config_dir="/etc/postfix-out")) == 0
    state.write_text("{broken")
    assert received(made) == 0


def test_a_log_that_cannot_be_read_leaves_counters_as_they_were(program, instance, log, tmp_path):
    metrics = program.Metrics()
    program.tell_traffic(instance({"maillog_file": str(tmp_path)}), str(tmp_path / "state.json"), metrics)
    assert metrics.samples["log_readable"] == {(): 0}
    assert not (tmp_path / "state.json").exists()
