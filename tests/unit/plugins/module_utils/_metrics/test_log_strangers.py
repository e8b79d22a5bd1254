# SPDX-License-Identifier: GPL-3.0-or-later
"""What others put beside the log, and into it, stops nothing."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import log as log_module
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import link

LINE = "Nov 24 22:47:40 mx1 postfix/smtpd[7]: disconnect from x ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"


@pytest.fixture
def read(tmp_path):
    log = tmp_path / "mail.log"
    log.touch()
    kept = [None]

    def run():
        file = log_module.LogFile(str(log), kept[0])
        found = len(list(file.events()))
        kept[0] = list(file.position)
        return found

    assert run() == 0
    return run


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "broken gz", "many"])
def test_what_somebody_puts_beside_the_log_stops_nothing(read, tmp_path, kind):
    beside = tmp_path / ("mail.log.1.gz" if kind == "broken gz" else "mail.log.1")
    if kind == "fifo":
        os.mkfifo(beside)
    elif kind == "link":
        beside.symlink_to("/dev/zero")
    elif kind == "folder":
        beside.mkdir()
    elif kind == "broken gz":
        beside.write_bytes(b"\x1f\x8b" + b"x" * 100)
    else:
        for number in range(2000):
            (tmp_path / f"mail.log.{number}").touch()
    with (tmp_path / "mail.log").open("a") as log:
        log.write(LINE)
    assert read() == 1


def test_a_line_that_is_too_long_is_none_and_nor_is_its_end(read, tmp_path):
    log = tmp_path / "mail.log"
    length = log_module.LINE_BYTES
    log.write_text(LINE + "x" * length + LINE + LINE)
    assert read() == 2
    log.write_text(log.read_text() + "x" * (3 * length))
    assert read() == 0
    log.write_text(log.read_text() + "\n" + LINE)
    assert read() == 1


def test_a_log_that_leads_elsewhere_by_roots_word_is_read(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "log").write_text(LINE)
    link(tmp_path / "mail.log", "real/log", os.geteuid())
    log = log_module.LogFile(str(tmp_path / "mail.log"), [0, 0, 0, ""])
    assert len(list(log.events())) == 1


def test_octets_that_are_no_text_in_the_log_are_read_over(read, tmp_path):
    (tmp_path / "mail.log").write_bytes(b"\xff\xfe\x00\n" + LINE.encode().replace(b" x ", b" \xfc ") + LINE.encode())
    assert read() == 2
