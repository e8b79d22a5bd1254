# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import log as room
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.log import open_log


@pytest.fixture
def logging(node, tmp_path):
    """A node whose maillog_file has an old line."""
    node.log = tmp_path / "mail.log"
    node.log.write_bytes(b"old\n")
    node.write(f"maillog_file = {node.log}\n")
    return node


def opened(node):
    return open_log(node.postfix, read_state(node.postfix))


def append(path, content):
    with path.open("ab") as handle:
        handle.write(content)


def test_what_was_logged_before_is_not_read(logging):
    log = opened(logging)
    append(logging.log, b"new\n")
    assert log() == ["new", ""]
    append(logging.log, b"newer\n")
    assert log() == ["new", "newer", ""]


def test_a_log_that_is_renamed_or_cut_off_is_read_on(logging, tmp_path):
    log = opened(logging)
    append(logging.log, b"one\n")
    assert log()[0] == "one"
    os.rename(logging.log, tmp_path / "mail.log.1")
    logging.log.write_bytes(b"two\n")
    assert log() == ["one", "two", ""]
    os.truncate(logging.log, 0)
    log()
    append(logging.log, b"three\n")
    assert log()[2] == "three"


def test_a_log_that_is_there_later_is_read_whole(logging):
    logging.log.unlink()
    log = opened(logging)
    assert log() == [""]
    logging.log.write_bytes(b"first\n")
    assert log() == ["first", ""]


def test_bytes_that_are_no_utf_8_are_no_reason_to_stop(logging):
    log = opened(logging)
    append(logging.log, b"gr\xfc\xdf\n")
    assert log() == ["gr\udcfc\udcdf", ""]


@pytest.mark.parametrize("journal", ["in the journal\n", ""])
def test_without_a_file_of_its_own_a_syslogs_are_read_where_the_journal_has_nothing(
    node, tmp_path, monkeypatch, journal
):
    abandoned, used, odd = tmp_path / "mail.log", tmp_path / "maillog", tmp_path / "odd"
    for path in (abandoned, used):
        path.write_bytes(b"old\n")
    os.symlink("/dev/null", odd)
    monkeypatch.setattr(room, "_FILES", (str(abandoned), str(used), str(odd), str(tmp_path / "none")))
    monkeypatch.setattr(room.os.path, "isdir", lambda path: True)
    state = read_state(node.postfix)
    postfix = Postfix(lambda argv, stdin=None: Completed(0, journal, ""), node.config_dir)
    log = room.open_log(postfix, state)
    append(used, b"in the file\n")
    assert [line for line in log() if line] == ["in the journal" if journal else "in the file"]


def test_a_log_is_read_in_a_folder_of_its_own_beneath_one_that_others_may_write_to(logging, tmp_path):
    os.chmod(tmp_path, 0o775)
    folder = tmp_path / "own"
    folder.mkdir()
    os.chown(folder, 12345, -1)
    os.rename(logging.log, folder / "mail.log")
    logging.write(f"maillog_file = {folder / 'mail.log'}\n")
    log = opened(logging)
    append(folder / "mail.log", b"new\n")
    assert log() == ["new", ""]


def test_of_the_journal_root_and_postfix_are_believed_and_nobody_else(node, monkeypatch):
    monkeypatch.setattr(room, "_FILES", ())
    monkeypatch.setattr(room.os.path, "isdir", lambda path: True)
    monkeypatch.setattr(room, "_uid", {"postfix": 107, "mailer": 108}.get)
    node.write("mail_owner = mailer\nsyslog_facility = local3\n")
    opened(node)()
    argv = node.commands[-1]
    assert argv[:3] == ["journalctl", "--quiet", "--output=short"]
    assert argv[4:] == ["_UID=0", "_UID=108", "SYSLOG_FACILITY=19"]


@pytest.mark.parametrize(("path", "found"), [("/var/log/postfix.log", "/var/log/postfix.log"), ("", None)])
def test_a_log_is_postfixs_own_file_where_it_writes_one(node, path, found):
    node.write(f"maillog_file = {path}\n")
    assert room.log_file(read_state(node.postfix)) == found


def test_standard_output_is_no_file_that_anybody_could_read(node):
    node.write("maillog_file = /dev/stdout\n")
    assert room.log_file(read_state(node.postfix)) is None
