# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_file


@pytest.mark.parametrize(
    ("stated", "folder", "expected"),
    [
        (None, "/srv/inventory", "/srv/inventory/.smtp_fleet.json"),
        ("state/fleet.json", "/srv/inventory", "/srv/inventory/state/fleet.json"),
        ("/var/lib/fleet.json", "/srv/inventory", "/var/lib/fleet.json"),
        ("/var/lib/fleet.json", None, "/var/lib/fleet.json"),
    ],
)
def test_the_document_lies_beside_the_inventory_unless_somebody_says_where(stated, folder, expected):
    assert _fleet_file.place({"smtp_fleet_state": stated, "inventory_dir": folder}) == expected


def test_an_inventory_without_a_folder_needs_a_whole_path():
    with pytest.raises(HardeningError, match="smtp_fleet_state: .smtp_fleet.json is a relative path"):
        _fleet_file.place({"inventory_dir": None})


def test_runs_that_write_at_once_lose_nothing_of_each_other(tmp_path):
    path = str(tmp_path / "fleet.json")

    def note(name):
        with _fleet_file.changed(path) as nodes:
            nodes[name] = {"seen": name}

    writers = [threading.Thread(target=note, args=[f"mx{number}"]) for number in range(20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(_fleet_file.known(path)) == 20


def test_a_link_to_what_controllers_share_stays_one(tmp_path):
    shared, link = tmp_path / "shared.json", tmp_path / "fleet.json"
    link.symlink_to(shared)
    path = _fleet_file.place({"smtp_fleet_state": "fleet.json", "inventory_dir": str(tmp_path)})
    with _fleet_file.changed(path) as nodes:
        nodes["mx1"] = {"seen": "now"}
    assert link.is_symlink() and _fleet_file.known(str(shared)) == {"mx1": {"seen": "now"}}


def test_a_folder_that_is_not_there_is_named_with_a_remedy(tmp_path):
    with (
        pytest.raises(HardeningError, match="No such file or directory; name a file on the controller"),
        _fleet_file.changed(str(tmp_path / "nowhere" / "fleet.json")),
    ):
        pass


def test_a_document_of_bytes_that_are_no_text_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "fleet.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(HardeningError, match="remove it"):
        _fleet_file.known(str(path))


def test_what_is_refused_leaves_the_document_as_it_was(tmp_path):
    path = tmp_path / "fleet.json"
    path.write_text("of somebody else")
    with pytest.raises(HardeningError, match="remove it"), _fleet_file.changed(str(path)):
        pass
    assert path.read_text() == "of somebody else"
