# SPDX-License-Identifier: GPL-3.0-or-later
"""What others put into their folders, which root looks into, leads nowhere and stops nothing."""

from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics import files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._metrics.queue import queue_files
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._metrics.samples import as_root, link


def opened(path):
    with files.open_file(path) as handle:
        return handle.read()


READERS = [opened, files.read]


@as_root
def test_a_link_of_somebody_elses_leads_to_what_is_theirs_and_nowhere_else(theirs, tmp_path):
    assert opened(link(theirs / "a", "file")) == b"theirs"
    assert opened(link(theirs / "b", "../secret", 0)) == b"root's"
    for number, target in enumerate(["../secret", str(tmp_path / "secret"), "b", "/etc/shadow"]):
        with pytest.raises(PermissionError):
            opened(link(theirs / f"c{number}", target))
    link(theirs / "folder", "..")
    with pytest.raises(PermissionError):
        opened(f"{theirs}/folder/secret")


@pytest.mark.parametrize("read", READERS)
def test_a_link_that_leads_to_itself_ends(tmp_path, read):
    with pytest.raises(OSError, match="x"):
        read(link(tmp_path / "x", "x", os.geteuid()))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "gone"])
def test_what_is_no_plain_file_is_not_read(tmp_path, kind, read):
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OSError):
        read("/dev/zero" if kind == "device" else str(path))


def test_a_file_without_end_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST", 1000)
    (tmp_path / "x").write_bytes(b"x" * 1000)
    assert len(files.read(f"{tmp_path}/x")) == 1000
    (tmp_path / "x").write_bytes(b"x" * 1001)
    with pytest.raises(OSError, match="File too large"):
        files.read(f"{tmp_path}/x")


@as_root
def test_what_the_configuration_names_is_read_as_modules_read_it(theirs, tmp_path):
    """Nothing on behalf of somebody who could not read it themselves."""
    (tmp_path / "secret").chmod(0o600)
    assert files.read(link(theirs / "a", "file")) == b"theirs"
    assert files.read(f"{tmp_path}/secret") == b"root's"
    with pytest.raises(HardeningError, match="nobody can put links, to a file that they may not read"):
        files.read(link(theirs / "b", "../secret"))


@pytest.mark.parametrize("read", READERS)
def test_no_descriptor_is_left_open(tmp_path, read):
    (tmp_path / "x").write_text("x")
    link(tmp_path / "y", "x", os.geteuid())
    before = len(os.listdir("/proc/self/fd"))
    for name in ("x", "y", "none", ".", "y/z"):
        try:
            read(f"{tmp_path}/{name}")
        except OSError:
            pass
    files.write(f"{tmp_path}/z", "", 0o644)
    list(queue_files(str(tmp_path)))
    assert len(os.listdir("/proc/self/fd")) == before


# What is written


@as_root
@pytest.mark.parametrize("name", ["smtp.prom", ".smtp.prom.new"])
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_lies_where_a_file_belongs_is_replaced_and_not_followed(theirs, tmp_path, name, kind):
    if kind == "link":
        link(theirs / name, "../secret")
    else:
        os.mkfifo(theirs / name)
    files.write(f"{theirs}/smtp.prom", "told\n", 0o644)
    assert (tmp_path / "secret").read_text() == "root's"
    assert (theirs / "smtp.prom").read_text() == "told\n" and not (theirs / "smtp.prom").is_symlink()
    assert not (theirs / ".smtp.prom.new").is_symlink()


@as_root
def test_nothing_is_written_where_a_link_of_somebody_elses_leads(theirs, tmp_path):
    (tmp_path / "cron.d").mkdir()
    link(theirs / "node-exporter", "../cron.d")
    with pytest.raises(PermissionError):
        files.write(f"{theirs}/node-exporter/smtp.prom", "told\n", 0o644)
    assert os.listdir(tmp_path / "cron.d") == []


def test_a_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "x.prom"
    files.write(str(path), "old\n", 0o644)

    def fail(*_names, **_folders):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError):
        files.write(str(path), "new\n", 0o644)
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["x.prom"]


def test_what_a_run_left_that_was_ended_is_not_there_for_long(tmp_path):
    (tmp_path / ".x.prom.new").mkdir()
    (tmp_path / ".x.prom.new" / "x").write_text("half")
    files.write(f"{tmp_path}/x.prom", "a\udcffb\n", 0o640)
    assert os.listdir(tmp_path) == ["x.prom"]
    assert (tmp_path / "x.prom").read_text() == "a\\udcffb\n"
    assert (tmp_path / "x.prom").stat().st_mode & 0o777 == 0o640
