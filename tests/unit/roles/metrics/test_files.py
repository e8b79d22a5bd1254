# SPDX-License-Identifier: GPL-3.0-or-later
"""What others put into their folders, which root looks into, leads nowhere and stops nothing."""

from __future__ import annotations

import os
import shutil

import pytest

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def theirs(tmp_path):
    """A folder of somebody else's, in which lie a file of theirs and one of root's is within reach."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "file").write_text("theirs")
    (tmp_path / "secret").write_text("root's")
    for path in (folder, folder / "file"):
        os.chown(path, NOBODY, NOBODY)
    return folder


def link(path, target, owner=NOBODY):
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)
    return str(path)


@as_root
def test_a_link_of_somebody_elses_leads_to_what_is_theirs_and_nowhere_else(program, theirs, tmp_path):
    assert program.read_file(link(theirs / "a", "file")) == b"theirs"
    assert program.read_file(link(theirs / "b", "../secret", 0)) == b"root's"
    for number, target in enumerate(["../secret", str(tmp_path / "secret"), "b", "/etc/shadow"]):
        with pytest.raises(PermissionError):
            program.read_file(link(theirs / f"c{number}", target))
    link(theirs / "folder", "..")
    with pytest.raises(PermissionError):
        program.read_file(f"{theirs}/folder/secret")


def test_a_link_that_leads_to_itself_ends(program, tmp_path):
    with pytest.raises(OSError, match="x"):
        program.read_file(link(tmp_path / "x", "x", os.geteuid()))


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "gone"])
def test_what_is_no_plain_file_is_not_read(program, tmp_path, kind):
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OSError):
        program.read_file("/dev/zero" if kind == "device" else str(path))


def test_a_file_without_end_is_not_read(program, tmp_path, monkeypatch):
    monkeypatch.setattr(program, "LARGEST", 1000)
    (tmp_path / "x").write_bytes(b"x" * 1000)
    assert len(program.read_file(f"{tmp_path}/x")) == 1000
    (tmp_path / "x").write_bytes(b"x" * 1001)
    with pytest.raises(OSError, match="File too large"):
        program.read_file(f"{tmp_path}/x")


def test_no_descriptor_is_left_open(program, tmp_path):
    (tmp_path / "x").write_text("x")
    link(tmp_path / "y", "x", os.geteuid())
    before = len(os.listdir("/proc/self/fd"))
    for name in ("x", "y", "none", ".", "y/z"):
        try:
            program.read_file(f"{tmp_path}/{name}")
        except OSError:
            pass
    program.write(f"{tmp_path}/z", "", 0o644)
    list(program.queue_files(str(tmp_path)))
    assert len(os.listdir("/proc/self/fd")) == before


# What is written


@as_root
@pytest.mark.parametrize("name", ["smtp.prom", ".smtp.prom.new"])
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_lies_where_a_file_belongs_is_replaced_and_not_followed(program, theirs, tmp_path, name, kind):
    if kind == "link":
        link(theirs / name, "../secret")
    else:
        os.mkfifo(theirs / name)
    program.write(f"{theirs}/smtp.prom", "told\n", 0o644)
    assert (tmp_path / "secret").read_text() == "root's"
    assert (theirs / "smtp.prom").read_text() == "told\n" and not (theirs / "smtp.prom").is_symlink()
    assert not (theirs / ".smtp.prom.new").is_symlink()


@as_root
def test_nothing_is_written_where_a_link_of_somebody_elses_leads(program, theirs, tmp_path):
    (tmp_path / "cron.d").mkdir()
    link(theirs / "node-exporter", "../cron.d")
    with pytest.raises(PermissionError):
        program.write(f"{theirs}/node-exporter/smtp.prom", "told\n", 0o644)
    assert os.listdir(tmp_path / "cron.d") == []


# The queue


@as_root
def test_in_the_queue_nothing_is_followed_and_nothing_waited_for(program, instance, tmp_path, theirs):
    record = b"C             265T\x11%d 377388A"
    deferred = tmp_path / "spool" / "deferred"
    (deferred / "A").mkdir(parents=True)
    (deferred / "A" / "A1").write_bytes(record % 1795560500)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "B1").write_bytes(record % 1000000000)
    link(deferred / "B", "../../elsewhere")
    link(deferred / "B1", "../../elsewhere/B1")
    os.mkfifo(deferred / "C1")
    metrics = program.Metrics()
    program.tell_queue(instance(), 1795560700, metrics)
    counts = {dict(labels)["queue"]: n for labels, n in metrics.samples["queue_messages"].items()}
    assert counts["deferred"] == 1
    assert metrics.samples["oldest_deferred_message_age_seconds"] == {(): 200}


def test_folders_in_folders_of_the_queue_have_an_end(program, instance, tmp_path):
    deep = tmp_path / "spool" / "deferred" / "/".join("x" * 200)
    deep.mkdir(parents=True)
    (deep / "A1").touch()
    program.tell_queue(instance(), 0, program.Metrics())


@pytest.mark.parametrize(
    ("content", "moment"),
    [
        (b"C   1   2T\x111795560604 377388A", 1795560604),
        (b"T\x111795560604 377388A", 1795560604),
        (b"C   1   2A\x20x=T 1111111111 T\x111795560604 3", None),
        (b"X T\x111795560604 377388A", None),
    ],
)
def test_an_arrival_stands_where_postfix_wrote_it(program, tmp_path, content, moment):
    (tmp_path / "A1").write_bytes(content)
    folder = os.open(tmp_path, os.O_RDONLY)
    assert program.arrival(folder, "A1") == moment
    os.close(folder)


# The log


LINE = "Nov 24 22:47:40 mx1 postfix/smtpd[7]: disconnect from x ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"


@pytest.fixture
def read(program, tmp_path):
    log = tmp_path / "mail.log"
    log.touch()
    kept = [None]

    def run():
        file = program.LogFile(str(log), kept[0])
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


def test_a_line_that_is_too_long_is_none_and_nor_is_its_end(program, read, tmp_path):
    log = tmp_path / "mail.log"
    length = program.LINE_BYTES
    log.write_text(LINE + "x" * length + LINE + LINE)
    assert read() == 2
    log.write_text(log.read_text() + "x" * (3 * length))
    assert read() == 0
    log.write_text(log.read_text() + "\n" + LINE)
    assert read() == 1


def test_a_log_that_leads_elsewhere_by_roots_word_is_read(program, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "log").write_text(LINE)
    link(tmp_path / "mail.log", "real/log", os.geteuid())
    log = program.LogFile(str(tmp_path / "mail.log"), [0, 0, 0, ""])
    assert len(list(log.events())) == 1


def test_octets_that_are_no_text_in_the_log_are_read_over(read, tmp_path):
    (tmp_path / "mail.log").write_bytes(b"\xff\xfe\x00\n" + LINE.encode().replace(b" x ", b" \xfc ") + LINE.encode())
    assert read() == 2


def test_a_state_that_somebody_broke_begins_anew(program, instance, tmp_path):
    for content in ("", "[]", "7", '{"config_dir": 1}', "\udcff"):
        (tmp_path / "state").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert program.read_state(f"{tmp_path}/state", "/etc/postfix")["position"] is None
    shutil.rmtree(tmp_path)
