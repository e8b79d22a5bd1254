# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _given
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._given import exists, opened, read_given

TOOL, OTHER = 12345, 54321

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")


@pytest.fixture
def live(tmp_path):
    """A certificate tool's folders, which the tool owns: live/key is a link to archive/key1."""
    os.chmod(tmp_path, 0o755)
    for folder in (tmp_path.parent, tmp_path.parent.parent):
        os.chmod(folder, 0o755)
    for name in ("live", "archive"):
        (tmp_path / name).mkdir()
    (tmp_path / "archive" / "key1").write_bytes(b"key")
    os.symlink("../archive/key1", tmp_path / "live" / "key")
    return tmp_path / "live" / "key"


def give(owner, *paths, mode=None):
    for path in paths:
        os.chown(path, owner, owner, follow_symlinks=False)
        if mode is not None:
            os.chmod(path, mode)


def test_a_file_is_read_through_the_links_of_roots_own_tool(live):
    assert read_given(str(live)) == b"key"


def test_a_file_of_the_tool_is_read_through_its_own_links(live):
    root = live.parent.parent
    give(TOOL, root / "live", root / "archive", live)
    give(TOOL, root / "archive" / "key1", mode=0o600)
    assert read_given(str(live)) == b"key"


@pytest.mark.parametrize(
    ("owner", "mode", "read"), [(0, 0o600, False), (0, 0o644, True), (OTHER, 0o600, False), (OTHER, 0o640, False)]
)
def test_nobody_has_root_read_what_they_may_not_read_themselves(live, owner, mode, read):
    give(TOOL, live.parent, live)
    give(owner, live.parent.parent / "archive" / "key1", mode=mode)
    if read:
        assert read_given(str(live)) == b"key"
        return
    with pytest.raises(
        HardeningError, match=f"leads through a folder where the account {TOOL} can put links, to a file that"
    ):
        read_given(str(live))


def test_nor_what_lies_in_a_folder_that_they_may_not_enter(live):
    give(TOOL, live.parent, live)
    give(0, live.parent.parent / "archive" / "key1", mode=0o644)
    os.chmod(live.parent.parent / "archive", 0o700)
    with pytest.raises(HardeningError, match="they may not read"):
        read_given(str(live))


@pytest.mark.parametrize(("mode", "who"), [(0o775, "the group 12345"), (0o777, "anybody")])
def test_who_may_write_to_a_folder_by_its_mode_could_have_put_links_there_too(live, mode, who):
    os.chown(live.parent, 0, TOOL)
    os.chmod(live.parent, mode)
    give(0, live.parent.parent / "archive" / "key1", mode=0o600)
    with pytest.raises(HardeningError, match=who):
        read_given(str(live))


def test_a_second_name_for_a_file_of_roots_is_no_way_to_it(tmp_path, live):
    secret = tmp_path / "shadow"
    secret.write_bytes(b"secret")
    secret.chmod(0o600)
    give(TOOL, live.parent)
    os.link(secret, live.parent / "cert")
    with pytest.raises(HardeningError, match="they may not read"):
        read_given(str(live.parent / "cert"))


def test_roots_own_file_in_a_folder_of_others_is_read(live):
    (live.parent / "own").write_bytes(b"own")
    (live.parent / "own").chmod(0o600)
    give(TOOL, live.parent)
    assert read_given(str(live.parent / "own")) == b"own"


def test_in_a_folder_for_all_each_has_power_over_their_own(live):
    os.chmod(live.parent, 0o1777)
    give(0, live.parent.parent / "archive" / "key1", mode=0o600)
    assert read_given(str(live)) == b"key"
    give(TOOL, live)
    with pytest.raises(HardeningError, match=f"the account {TOOL}"):
        read_given(str(live))


def test_the_path_that_a_library_gets_leads_to_the_file_that_was_judged(live):
    with opened(str(live)) as path:
        os.unlink(live)
        os.symlink("/etc/shadow", live)
        with open(path, "rb") as handle:
            assert handle.read() == b"key"


def test_a_file_that_is_not_there_is_told_as_ever(live):
    with pytest.raises(FileNotFoundError):
        read_given(str(live.parent / "none"))
    assert (exists(str(live)), exists(str(live.parent / "none"))) == (True, False)


@pytest.mark.parametrize(("members", "read"), [([], True), (["tool"], True), (["tool", "guest"], False)])
def test_a_group_that_an_account_has_to_itself_is_that_account(live, monkeypatch, members, read):
    """As useradd makes one for each, and umask 002 lets it write."""
    key = live.parent / "own.key"
    key.write_bytes(b"key")
    give(TOOL, live.parent, key)
    os.chmod(live.parent, 0o775)
    key.chmod(0o600)
    monkeypatch.setattr(_given.grp, "getgrgid", lambda gid: SimpleNamespace(gr_name="tool", gr_mem=members))
    monkeypatch.setattr(_given.pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name="tool", pw_gid=TOOL))
    monkeypatch.setattr(_given.os, "getgrouplist", lambda name, gid: [gid])
    if read:
        assert read_given(str(key)) == b"key"
        return
    with pytest.raises(HardeningError, match="the group 12345"):
        read_given(str(key))


def test_a_file_is_read_as_far_as_it_has_an_end(live):
    assert read_given(str(live), largest=3) == b"key"
    with pytest.raises(OSError, match="File too large"):
        read_given(str(live), largest=2)
