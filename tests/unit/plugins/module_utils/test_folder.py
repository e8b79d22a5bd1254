# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _folder
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._folder import find, open_folder

STRANGER = 12345

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")


@pytest.fixture
def roots(tmp_path):
    """Root's folder, and in it one of somebody else's."""
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", STRANGER, STRANGER)
    return tmp_path


@pytest.mark.parametrize(("mode", "owner"), [(0o755, 0), (0o700, 0), (0o777, 0), (0o775, 0), (0o755, STRANGER)])
def test_a_folder_in_roots_own_is_opened_whoever_has_it(tmp_path, mode, owner):
    (tmp_path / "queue").mkdir()
    os.chmod(tmp_path / "queue", mode)
    os.chown(tmp_path / "queue", owner, -1)
    with open_folder(str(tmp_path / "queue")) as found:
        assert found.names() == []


def test_a_link_is_followed_where_root_alone_could_have_put_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "main.cf").write_bytes(b"x")
    os.symlink("real", tmp_path / "relative")
    os.symlink(tmp_path / "relative", tmp_path / "absolute")
    os.symlink("../real/main.cf", tmp_path / "real" / "up")
    for name in ("relative", "absolute"):
        with open_folder(str(tmp_path / name)) as found:
            assert found.read("main.cf") == b"x"
    place = find(str(tmp_path / "absolute" / "up"))
    with place.folder as folder:
        assert (folder.read(place.name), place.name) == (b"x", "main.cf")


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777, 0o1777])
def test_a_link_that_others_could_have_put_there_is_refused(roots, mode):
    if mode == 0o755:
        shared = roots / "theirs"
    else:
        shared = roots / "shared"
        shared.mkdir()
        os.chmod(shared, mode)
    os.symlink("/root", shared / "smtp_hardening")
    with pytest.raises(
        HardeningError, match="smtp_hardening is a symbolic link in a folder that others can write to; nothing"
    ):
        open_folder(str(shared / "smtp_hardening" / "history"))
    with pytest.raises(HardeningError, match="is a symbolic link"):
        open_folder(str(shared / "smtp_hardening"))


@pytest.mark.parametrize("below", ["", "history"])
def test_beyond_a_folder_that_others_can_write_to_theirs_are_not_entered(roots, below):
    (roots / "theirs" / "smtp_hardening" / "history").mkdir(parents=True)
    os.chown(roots / "theirs" / "smtp_hardening", STRANGER, STRANGER)
    with pytest.raises(HardeningError, match="smtp_hardening does not belong to root alone, and lies in a folder"):
        open_folder(str(roots / "theirs" / "smtp_hardening" / below))
    os.chown(roots / "theirs" / "smtp_hardening", 0, 0)
    open_folder(str(roots / "theirs" / "smtp_hardening" / below)).close()


def test_links_that_lead_in_a_circle_come_to_an_end(tmp_path):
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_folder(str(tmp_path / "a"))


def test_what_is_done_in_a_folder_is_done_there_wherever_its_path_leads_meanwhile(tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "secret").mkdir()
    with open_folder(str(tmp_path / "copy")) as copy:
        os.rename(tmp_path / "copy", tmp_path / "moved")
        os.symlink(tmp_path / "secret", tmp_path / "copy")
        copy.write("file", b"x", 0o600)
        copy.make("inner").close()
    assert sorted(os.listdir(tmp_path / "moved")) == ["file", "inner"]
    assert os.listdir(tmp_path / "secret") == []


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_only_a_regular_file_is_read_and_nobody_is_waited_for(tmp_path, kind):
    (tmp_path / "real").write_bytes(b"x")
    make = {"link": lambda path: os.symlink("real", path), "fifo": os.mkfifo, "folder": os.mkdir}[kind]
    make(tmp_path / "given")
    with open_folder(str(tmp_path)) as folder, pytest.raises((HardeningError, OSError)):
        folder.read("given")


def test_a_write_that_is_ended_just_after_the_rename_tells_its_own_end(tmp_path, monkeypatch):
    def ended(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise SystemExit(143)

    monkeypatch.setattr(os, "fsync", ended)
    move = _folder.Folder.move

    def moved(folder, *names):
        move(folder, *names)
        raise SystemExit(143)

    for patched in (move, moved):
        monkeypatch.setattr(_folder.Folder, "move", patched)
        with open_folder(str(tmp_path)) as folder, pytest.raises(SystemExit):
            folder.write("main.cf", b"new", 0o644)
        assert os.listdir(tmp_path) == ["main.cf"]


def test_two_files_change_places_in_one_step(tmp_path):
    (tmp_path / "live").write_bytes(b"old")
    (tmp_path / "staged").write_bytes(b"new")
    with open_folder(str(tmp_path)) as folder:
        folder.exchange("staged", folder, "live")
    assert ((tmp_path / "live").read_bytes(), (tmp_path / "staged").read_bytes()) == (b"new", b"old")


def test_a_folder_however_deep_is_removed(tmp_path):
    with open_folder(str(tmp_path)) as top:
        here = top.make("deep")
        for _each in range(3000):
            inner = here.make("d")
            inner.write("file", b"", 0o600)
            here.close()
            here = inner
        here.close()
        top.remove("deep")
    assert os.listdir(tmp_path) == []


def test_errors_tell_the_whole_path(tmp_path):
    with open_folder(str(tmp_path)) as folder, pytest.raises(FileNotFoundError) as problem:
        folder.read("main.cf")
    assert problem.value.filename == str(tmp_path / "main.cf")


def test_attributes_are_taken_from_what_was_opened(tmp_path):
    (tmp_path / "live").mkdir()
    os.chown(tmp_path / "live", STRANGER, 54321)
    os.chmod(tmp_path / "live", 0o2710)
    with open_folder(str(tmp_path)) as folder, folder.folder("live") as live, folder.make("copy") as copy:
        _folder.like(copy.descriptor, live.descriptor)
    found = (tmp_path / "copy").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (STRANGER, 54321, 0o2710)


def test_a_file_has_an_end_where_one_is_set(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 10)
    with open_folder(str(tmp_path)) as folder, folder.opened("x") as descriptor:
        assert _folder.read_whole(descriptor, "x", 10) == b"x" * 10
        os.lseek(descriptor, 0, os.SEEK_SET)
        with pytest.raises(OSError, match="File too large: '/x'"):
            _folder.read_whole(descriptor, "/x", 9)


@pytest.mark.parametrize("left", ["file", "link", "folder"])
def test_where_nobody_clears_up_what_was_left_is_in_nobodys_way(tmp_path, left):
    (tmp_path / "other").write_text("other")
    if left == "folder":
        (tmp_path / ".new").mkdir()
        (tmp_path / ".new" / "x").touch()
    elif left == "link":
        (tmp_path / ".new").symlink_to("other")
    else:
        (tmp_path / ".new").write_text("half")
    with open_folder(str(tmp_path)) as folder:
        folder.write("x", b"whole", 0o644, temporary=".new")
    assert sorted(os.listdir(tmp_path)) == ["other", "x"]
    assert [(tmp_path / name).read_text() for name in ("other", "x")] == ["other", "whole"]
