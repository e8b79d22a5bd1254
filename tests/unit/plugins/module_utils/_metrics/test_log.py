# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the log was read: files that are rotated, truncated and compressed."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import log as log_module


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

    def __init__(self, log):
        self.log, self.position = log, None

    def __call__(self):
        file = log_module.LogFile(str(self.log.path), self.position)
        found = [int(pid) for _tag, pid, _text in file.events()]
        self.position = json.loads(json.dumps(file.position))
        return found


@pytest.fixture
def read(log):
    return Reader(log)


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


def test_a_log_that_is_rotated_while_we_look_for_it_is_read_whole(log, read, monkeypatch):
    log.write(3)
    read()
    log.write(1)
    look, looks = log_module.LogFile._paths, []

    def rotated_meanwhile(file):
        found = look(file)
        if not looks:
            log.rotate()
            log.write(1)
        looks.append(found)
        return found

    monkeypatch.setattr(log_module.LogFile, "_paths", rotated_meanwhile)
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


def test_what_one_run_cannot_read_the_next_one_does(log, read, monkeypatch):
    read()
    log.write(10)
    log.rotate()
    log.write(2)
    monkeypatch.setattr(log_module, "BYTES", 500)
    found = [read() for _run in range(6)]
    assert [line for one in found for line in one] == list(range(1, 13))
    assert len(found[0]) < 10


@pytest.mark.parametrize(
    "line",
    [
        "Nov 24 22:47:40 metrics postfix/smtpd[1145]: connect from x",
        "Nov  4 22:47:40 metrics postfix/smtpd[1145]: connect from x",
        "2026-11-24T22:47:40.123456+00:00 metrics postfix/smtpd[1145]: connect from x",
    ],
)
def test_a_line_is_read_with_either_kind_of_time(line):
    assert log_module.LINE.match(line).groups() == ("postfix/smtpd", "1145", "connect from x")


def test_a_line_that_quotes_another_is_its_own():
    line = "Nov 24 22:47:40 metrics sshd[7]: Nov 24 22:47:40 metrics postfix/smtpd[1145]: connect from x"
    assert log_module.LINE.match(line)["tag"] == "sshd"
