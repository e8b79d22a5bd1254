# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files as files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError


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


def test_a_file_that_is_like_another_takes_its_mode_and_owner(tmp_path):
    live, staged = tmp_path / "main.cf", tmp_path / "staged"
    live.write_bytes(b"old")
    os.chmod(live, 0o640)
    if os.geteuid() == 0:
        os.chown(live, 12, 34)
    files.write(str(staged), b"new", 0o600)
    files.make_like(str(staged), str(live))
    assert (staged.read_bytes(), mode(staged)) == (b"new", 0o640)
    assert (staged.stat().st_uid, staged.stat().st_gid) == (live.stat().st_uid, live.stat().st_gid)


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


def test_missing_folders_are_made_with_their_mode_whatever_the_umask(tmp_path):
    wanted = tmp_path / "smtp_hardening" / "certificates" / "default"
    made = [tmp_path / "smtp_hardening", wanted.parent, wanted]
    umask = os.umask(0o077)
    try:
        files.make_folder(str(wanted), 0o755)
    finally:
        os.umask(umask)
    assert [mode(folder) for folder in made] == [0o755] * 3
    files.make_folder(str(wanted), 0o700)
    assert mode(wanted) == 0o755


@pytest.mark.parametrize(
    ("there", "outermost"),
    [
        ("", "smtp_hardening"),
        ("smtp_hardening", "smtp_hardening/domains"),
        ("smtp_hardening/domains/1", "smtp_hardening/domains/1/transport"),
        ("smtp_hardening/domains/1/transport", "smtp_hardening/domains/1/transport"),
    ],
)
def test_the_outermost_missing_folder_stands_for_all_below_it(tmp_path, there, outermost):
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    path = tmp_path / "smtp_hardening" / "domains" / "1" / "transport"
    assert files.first_missing(str(path)) == str(tmp_path / outermost)


def test_a_configuration_file_looks_settled_when_it_is_aged(tmp_path):
    path = tmp_path / "main.cf"
    path.write_bytes(b"new")
    before = path.stat().st_mtime
    files.age(str(path))
    assert before - 12 < path.stat().st_mtime < before - 2


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


@pytest.mark.parametrize(("target", "real"), [(None, "main.cf"), ("main.cf.real", "main.cf.real")])
def test_a_file_is_found_where_it_really_lies_in_the_folder(tmp_path, target, real):
    if target:
        os.symlink(target, tmp_path / "main.cf")
    assert files.resolve(str(tmp_path), "main.cf") == str(tmp_path / real)


@pytest.mark.parametrize("name", ["main.cf", "postfix-other"])
def test_a_link_out_of_the_configuration_is_refused_in_one_sentence(tmp_path, name):
    folder, outside = tmp_path / "postfix", tmp_path / "postfix-other"
    folder.mkdir()
    outside.write_bytes(b"elsewhere")
    os.symlink(outside, folder / name)
    with pytest.raises(HardeningError) as refusal:
        files.resolve(str(folder), name)
    assert str(refusal.value) == (
        f"{folder / name} is a symbolic link to {outside}, outside of the configuration directory; "
        f"put the file itself into {folder}, since nothing outside is changed."
    )


@pytest.mark.parametrize(("name", "found"), [("file", True), ("folder", False), ("link", False), ("none/x", False)])
def test_a_file_is_one_by_itself_and_not_by_a_link(tmp_path, name, found):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    assert files.is_file(f"{tmp_path}/{name}") is found
