# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path on the controller leads, and which are refused."""

from __future__ import annotations

import os

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _controller_files
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._controller_files import ControllerFiles
from pki import authority

OPTION = "own_ca.ca_certificate"
CA = authority("Fleet CA")
INSTALLED = "/home/ann/.ansible/collections/ansible_collections/mailfleet/smtp_hardening"


def files(inventory_dir=None):
    found = {} if inventory_dir is None else {"inventory_dir": str(inventory_dir)}
    return ControllerFiles(DataLoader(), None, {"inventory_hostname": "mx1.example.com", **found})


@pytest.fixture
def lasting(monkeypatch):
    """As if tests had no folder that is emptied."""
    monkeypatch.setattr(_controller_files, "EMPTIED", ("/nowhere",))
    monkeypatch.setattr(_controller_files.tempfile, "gettempdir", lambda: "/nowhere")


@pytest.fixture
def lookup(monkeypatch):
    get = _controller_files.lookup_loader.get
    monkeypatch.setattr(
        _controller_files.lookup_loader, "get", lambda name, **options: get(name.rpartition(".")[2], **options)
    )


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("ca/fleet-ca.pem", "/srv/mail/ca/fleet-ca.pem"),
        ("fleet-ca.pem", "/srv/mail/fleet-ca.pem"),
        ("/etc/ca.pem", "/etc/ca.pem"),
        ("~/ca.pem", os.path.expanduser("~/ca.pem")),
    ],
)
@pytest.mark.parametrize("how", ["place", "new_place"])
def test_a_relative_path_begins_in_the_inventorys_folder(value, place, how, monkeypatch):
    monkeypatch.chdir("/")
    assert getattr(files("/srv/mail"), how)(OPTION, value) == place


@pytest.mark.parametrize("value", ["/etc/ca.pem", "~/ca.pem"])
def test_a_host_of_no_inventory_file_takes_absolute_paths(value):
    assert files().place(OPTION, value) == os.path.expanduser(value)


@pytest.mark.parametrize(
    ("folder", "value", "said"),
    [
        (
            None,
            "ca.pem",
            "is relative to the inventory's folder, and mx1.example.com is from no inventory that lies in",
        ),
        ("", "ca.pem", "is relative to the inventory's folder"),
        (f"{INSTALLED}/playbooks", "ca.pem", "inside a collection, whose next installation deletes it"),
        (INSTALLED, "ca.pem", "inside a collection"),
        ("/srv", "ansible_collections/a/b/ca.pem", "inside a collection"),
        (f"{INSTALLED}/playbooks", "../ca.pem", "inside a collection"),
    ],
)
@pytest.mark.parametrize("how", ["place", "new_place", "content", "is_there"])
def test_a_relative_path_to_nowhere_or_into_a_collection_is_refused(folder, value, said, how):
    with pytest.raises(InvalidValue) as refusal:
        getattr(files(folder), how)(OPTION, value)
    sentence = str(refusal.value)
    assert sentence.startswith(f"{OPTION}: {value!r} ") and said in sentence
    assert "write an absolute path" in sentence


@pytest.mark.parametrize("folder", ["/srv/ansible_collections", "/srv/ansible_collections/a", "/srv/collections/a/b"])
def test_a_folder_that_holds_collections_is_none(folder):
    assert files(folder).new_place(OPTION, "ca.pem") == f"{folder}/ca.pem"


def test_an_inventory_that_is_led_out_of_a_collection_by_a_link_is_not_in_it(tmp_path, lasting):
    inside = tmp_path / "ansible_collections" / "a"
    (tmp_path / "kept").mkdir()
    inside.mkdir(parents=True)
    (inside / "b").symlink_to(tmp_path / "kept")
    (tmp_path / "outside").symlink_to(inside.parent)
    assert files(inside / "b").new_place(OPTION, "ca.pem")
    (inside / "c").mkdir()
    with pytest.raises(InvalidValue, match="inside a collection"):
        files(tmp_path / "outside" / "a" / "c").place(OPTION, "ca.pem")


@pytest.mark.parametrize("folder", ["/tmp", "/tmp/x", "/var/tmp/x", "/run/user/1", "/dev/shm", "/runner/inventory"])
def test_nothing_is_made_by_a_relative_path_where_it_does_not_last(folder):
    with pytest.raises(InvalidValue) as refusal:
        files(folder).new_place(OPTION, "ca/fleet-ca.pem")
    assert str(refusal.value) == (
        f"{OPTION}: 'ca/fleet-ca.pem' leads to {folder}/ca/fleet-ca.pem, which does not last; "
        "put the inventory into a folder that is kept, or write an absolute path."
    )
    assert files(folder).place(OPTION, "ca/fleet-ca.pem"), "what is there may be read"
    assert files(folder).new_place(OPTION, f"{folder}/ca.pem"), "an absolute path is its author's wish"


def test_the_users_own_temporary_folder_does_not_last(tmp_path, monkeypatch):
    monkeypatch.setattr(_controller_files, "EMPTIED", ())
    monkeypatch.setattr(_controller_files.tempfile, "gettempdir", lambda: str(tmp_path / "mine"))
    with pytest.raises(InvalidValue, match="does not last"):
        files(tmp_path / "mine" / "x").new_place(OPTION, "ca.pem")
    assert files(tmp_path / "mineral").new_place(OPTION, "ca.pem")


def test_nothing_is_made_inside_a_collection_by_an_absolute_path_either():
    with pytest.raises(
        InvalidValue, match="lies inside a collection, whose next installation deletes it; name another"
    ):
        files("/srv").new_place(OPTION, f"{INSTALLED}/ca.pem")
    assert files("/srv").place(OPTION, f"{INSTALLED}/ca.pem"), "what is there may be read"


@pytest.mark.parametrize("given", ["content", "absolute", "relative"])
def test_content_is_what_was_given_or_what_the_file_holds(tmp_path, lookup, given):
    (tmp_path / "ca.pem").write_text(CA.pem)
    value = {"content": CA.pem, "absolute": str(tmp_path / "ca.pem"), "relative": "ca.pem"}[given]
    found = files(tmp_path)
    assert found.is_there(OPTION, value)
    assert found.content(OPTION, value).strip() == CA.pem.strip()
    assert found.certificates(OPTION, [value, CA.pem]) == [CA.certificate] * 2
    assert found.shown(OPTION, value) == (OPTION if given == "content" else str(tmp_path / "ca.pem"))


@pytest.mark.parametrize(("value", "where"), [("ca.pem", ", in {}"), ("/nowhere/ca.pem", "")])
def test_a_file_that_is_not_there_is_named_with_its_folder_and_a_remedy(tmp_path, value, where):
    found = files(tmp_path)
    assert not found.is_there(OPTION, value)
    with pytest.raises(InvalidValue) as refusal:
        found.content(OPTION, value, "do something")
    said = f"is not there on the controller{where.format(tmp_path)}; do something."
    assert str(refusal.value) == f"{OPTION}: {value!r} {said}"


def test_a_secret_that_has_lost_its_way_is_not_shown(tmp_path):
    with pytest.raises(InvalidValue) as refusal:
        files(tmp_path).content("own_ca.ca_private_key", "correct horse battery staple")
    assert "horse" not in str(refusal.value)
