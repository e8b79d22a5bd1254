# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._folder import open_folder
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import mirror

POSTFIX = 12345

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")


@pytest.fixture
def queue(tmp_path):
    """A queue in which an account has the folder of the sockets."""
    (tmp_path / "queue" / "private").mkdir(parents=True)
    os.chmod(tmp_path / "queue" / "private", 0o700)
    os.chown(tmp_path / "queue" / "private", POSTFIX, POSTFIX)
    (tmp_path / "spool").mkdir()
    return tmp_path


def mirrored(root, own=frozenset()):
    with open_folder(str(root / "queue")) as source, open_folder(str(root / "spool")) as copy:
        mirror.mirror_queue(source, copy, own)
    return root / "spool"


def attributes(path):
    found = os.lstat(path)
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def test_a_copy_has_the_owner_and_mode_of_what_it_copies_at_every_depth(queue):
    inner = queue / "queue" / "private" / "milter"
    inner.mkdir()
    os.chown(inner, POSTFIX, 54321)
    os.chmod(inner, 0o2770)
    spool = mirrored(queue)
    for path in ("private", "private/milter"):
        assert attributes(spool / path) == attributes(queue / "queue" / path)


def test_sockets_of_others_can_be_reached_in_the_copy(queue):
    with socket.socket(socket.AF_UNIX) as milter:
        milter.bind(str(queue / "queue" / "private" / "opendkim"))
        milter.listen()
        spool = mirrored(queue)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(spool / "private" / "opendkim"))


def test_a_link_is_copied_as_a_link_and_nothing_is_done_to_what_it_points_to(queue):
    secret = queue / "secret"
    secret.mkdir()
    os.chmod(secret, 0o700)
    os.symlink(secret, queue / "queue" / "private" / "milter")
    os.symlink(secret, queue / "queue" / "elsewhere")
    spool = mirrored(queue)
    assert os.readlink(spool / "private" / "milter") == str(secret)
    assert os.listdir(spool) == ["private"]
    assert attributes(secret) == (0o700, 0, 0)


@pytest.mark.parametrize("shape", ["deep", "wide"])
def test_a_queue_that_somebody_fills_with_folders_costs_no_more_than_a_bound(queue, monkeypatch, shape):
    monkeypatch.setattr(mirror, "_MOST", 100)
    here = queue / "queue" / "private"
    for number in range(200):
        made = here / f"d{number}"
        made.mkdir()
        here = made if shape == "deep" and number < 60 else here
    spool = mirrored(queue)
    made = sum(len(folders) for _path, folders, _files in os.walk(spool))
    assert made <= 101


def test_nobody_else_can_reach_a_copy_before_all_in_it_is_complete(queue, monkeypatch):
    (queue / "queue" / "private" / "milter").mkdir()
    os.chown(queue / "queue" / "private" / "milter", POSTFIX, POSTFIX)
    seen = []
    like = mirror.like

    def watch(descriptor, source):
        seen.append(
            [attributes(path)[:2] for path in (queue / "spool" / "private", queue / "spool" / "private" / "milter")]
        )
        like(descriptor, source)

    monkeypatch.setattr(mirror, "like", watch)
    mirrored(queue)
    assert seen == [[(0o700, 0), (0o700, 0)], [(0o700, 0), (0o755, POSTFIX)]]


def test_a_folder_that_lies_deeper_than_any_is_copied_is_reached_where_it_is(queue):
    names = ["deep"] * (mirror._DEEPEST + 2)
    (queue / "queue").joinpath(*names).mkdir(parents=True)
    mirror.mirror_configuration(str(queue / "queue"), str(queue / "spool"))
    last = (queue / "spool").joinpath(*names[: mirror._DEEPEST + 1])
    assert os.readlink(last) == str((queue / "queue").joinpath(*names[: mirror._DEEPEST + 1]))
