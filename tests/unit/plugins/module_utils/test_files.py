# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files as files

LONG_AGO = 1_500_000_000_123_456_789


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o644])
def test_a_file_has_its_contents_and_mode_whatever_the_umask(tmp_path, wanted):
    path = tmp_path / "1.pem"
    umask = os.umask(0o077)
    try:
        files.write(str(path), b"key", wanted)
    finally:
        os.umask(umask)
    assert (path.read_bytes(), mode(path)) == (b"key", wanted)
    assert os.listdir(tmp_path) == ["1.pem"]


def test_a_key_is_never_readable_by_others_while_it_is_written(tmp_path, monkeypatch):
    seen = []

    def watch(descriptor, wanted):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(files.os, "fchmod", watch)
    files.write(str(tmp_path / "1.pem"), b"key", 0o600)
    assert seen == [0o600]


def test_a_file_that_is_like_another_takes_its_mode(tmp_path):
    live, staged = tmp_path / "main.cf", tmp_path / "staged"
    live.write_bytes(b"old")
    os.chmod(live, 0o640)
    files.write(str(staged), b"new", 0o600, like=str(live))
    assert (staged.read_bytes(), mode(staged)) == (b"new", 0o640)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "main.cf"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(str(path), b"new", 0o644)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["main.cf"]


def test_missing_folders_are_made_and_named_outermost_first(tmp_path):
    wanted = tmp_path / "smtp_hardening" / "certificates" / "default"
    made = files.make_folders(str(wanted), 0o700)
    assert made == [str(tmp_path / "smtp_hardening"), str(wanted.parent), str(wanted)]
    assert [mode(folder) for folder in made] == [0o700] * 3
    assert files.make_folders(str(wanted), 0o755) == []
    assert mode(wanted) == 0o700


def test_a_file_is_put_back_with_contents_mode_and_time_of_change(tmp_path):
    path = tmp_path / "main.cf"
    path.write_bytes(b"old")
    os.chmod(path, 0o640)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    was = files.remember(str(path))
    path.write_bytes(b"new")
    os.chmod(path, 0o600)
    files.put_back(str(path), was)
    assert (path.read_bytes(), mode(path), os.stat(path).st_mtime_ns) == (b"old", 0o640, LONG_AGO)


def test_a_file_that_was_removed_meanwhile_is_put_back_too(tmp_path):
    path = tmp_path / "main.cf"
    path.write_bytes(b"old")
    was = files.remember(str(path))
    path.unlink()
    files.put_back(str(path), was)
    assert path.read_bytes() == b"old"


def test_a_file_that_was_not_there_is_removed_again(tmp_path):
    path = tmp_path / "1.pem"
    was = files.remember(str(path))
    assert was is None
    path.write_bytes(b"key")
    files.put_back(str(path), was)
    assert os.listdir(tmp_path) == []


def test_removing_a_folder_follows_no_link_out_of_it(tmp_path):
    kept, stage = tmp_path / "dynamicmaps.cf.d", tmp_path / "stage"
    for folder in (kept, stage):
        folder.mkdir()
    (kept / "ldap.cf").write_bytes(b"kept")
    os.symlink(kept, stage / "dynamicmaps.cf.d")
    files.remove(str(stage))
    assert (kept / "ldap.cf").read_bytes() == b"kept"
    assert os.listdir(tmp_path) == ["dynamicmaps.cf.d"]


def test_removing_a_link_keeps_what_it_points_to(tmp_path):
    (tmp_path / "kept").mkdir()
    os.symlink(tmp_path / "kept", tmp_path / "link")
    files.remove(str(tmp_path / "link"))
    files.remove(str(tmp_path / "never there"))
    assert os.listdir(tmp_path) == ["kept"]
