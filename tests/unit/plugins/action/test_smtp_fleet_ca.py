# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's CA: found, made where that is asked for, and never beside another."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_fleet_ca as action
from ansible_collections.mailfleet.smtp_hardening.plugins.modules import smtp_fleet_ca as module
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _controller_files
from ansible_collections.mailfleet.smtp_hardening.tests.unit.signing_tasks import NOBODYS
from pki import authority

OURS, THEIRS = authority("Ours"), authority("Theirs")
OF_THEIRS = {**NOBODYS, "trust": {"authorities": [{"chain": THEIRS.pem}]}}
RELATIVE = {"ca_certificate": "ca/fleet-ca.pem", "ca_private_key": "ca/fleet-ca.key"}


@pytest.fixture
def run(tmp_path, files, monkeypatch):
    """Run a task of a host whose inventory lies in tmp_path, as if that were kept; no node is called."""
    monkeypatch.setattr(_controller_files, "EMPTIED", ())
    monkeypatch.setattr(_controller_files.tempfile, "gettempdir", lambda: "/nowhere")

    def go(check_mode=False, **args):
        task = SimpleNamespace(args=args, async_val=0, check_mode=check_mode, action="x", get_name=lambda: "Find it")
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        variables = {"inventory_hostname": "mx1.example.com", "inventory_dir": str(tmp_path)}
        monkeypatch.setattr(action.ActionModule, "_execute_module", None)
        return action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, variables)

    return go


def described(identity, **more):
    return {"ca_certificate": identity.pem, "ca_private_key": identity.key_pem, **more}


def test_a_ca_is_made_once_in_the_inventorys_folder_and_it_is_said_where(run, tmp_path):
    first = run(fleet_ca={**RELATIVE, "ca_passphrase": "x y"}, node=NOBODYS, create=True)
    there = {name: (tmp_path / "ca" / name).read_text() for name in ("fleet-ca.pem", "fleet-ca.key")}
    assert first["changed"] and "ENCRYPTED" in there["fleet-ca.key"]
    (said,) = first["said"]
    assert f"its certificate is {tmp_path}/ca/fleet-ca.pem, its key {tmp_path}/ca/fleet-ca.key. Keep a copy" in said
    assert first["authorities"][0].startswith("CN=SMTP fleet CA ")
    again = run(fleet_ca=RELATIVE, node=NOBODYS, create=True)
    assert not again["changed"] and again["said"][0].startswith("The fleet's CA is there: ")
    assert {name: (tmp_path / "ca" / name).read_text() for name in there} == there
    assert run(fleet_ca=RELATIVE, node=NOBODYS)["authorities"] == first["authorities"]


def test_check_mode_makes_none_and_says_where_it_would_be(run, tmp_path):
    result = run(fleet_ca=RELATIVE, node=NOBODYS, create=True, check_mode=True)
    assert result["changed"] and "would have a new CA" in result["said"][0]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("key", [THEIRS.key_pem, "lost.key"])
def test_the_ca_that_will_follow_is_made_beside_the_first_whose_key_may_be_lost(run, tmp_path, key):
    following = {name: value.replace("fleet", "next") for name, value in RELATIVE.items()}
    first = {"ca_certificate": THEIRS.pem, "ca_private_key": key}
    result = run(fleet_ca=first, next_fleet_ca=following, node=OF_THEIRS, create=True)
    assert result["changed"] and sorted(os.listdir(tmp_path / "ca")) == ["next-ca.key", "next-ca.pem"]
    assert len(result["authorities"]) == 2


def test_no_ca_follows_one_that_is_not_there(run, tmp_path):
    following = {name: value.replace("fleet", "next") for name, value in RELATIVE.items()}
    with pytest.raises(AnsibleActionFail, match="^fleet_ca.ca_certificate: .* is not there"):
        run(fleet_ca=RELATIVE, next_fleet_ca=following, create=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("create", [None, False, "no"])
def test_a_ca_that_is_not_there_is_refused_with_the_playbook_that_makes_one(run, tmp_path, create):
    with pytest.raises(AnsibleActionFail) as refusal:
        run(fleet_ca={**RELATIVE, "ca_create": True}, node=NOBODYS, create=create)
    assert str(refusal.value) == (
        f"fleet_ca.ca_certificate: 'ca/fleet-ca.pem' is not there on the controller, in {tmp_path}; make a CA once with the playbook "
        "mailfleet.smtp_hardening.create_fleet_ca, or copy the fleet's from the controller that has it."
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("args", "check_mode"),
    [
        ({"fleet_ca": RELATIVE, "create": True}, False),
        ({"fleet_ca": RELATIVE, "create": True}, True),
        ({"fleet_ca": described(OURS)}, False),
        ({"fleet_ca": described(OURS), "next_fleet_ca": RELATIVE, "create": True}, False),
    ],
)
def test_a_node_that_belongs_to_another_ca_stops_the_task_before_anything_is_made(run, tmp_path, args, check_mode):
    with pytest.raises(AnsibleActionFail, match=r"^mx1\.example\.com trusts CN=Theirs, "):
        run(node=OF_THEIRS, check_mode=check_mode, **args)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "args",
    [
        {"fleet_ca": described(THEIRS)},
        {"fleet_ca": described(OURS), "next_fleet_ca": described(THEIRS)},
        {"fleet_ca": described(OURS, next_ca={"ca_certificate": THEIRS.pem})},
        {"fleet_ca": described(OURS), "authorities": [THEIRS.pem]},
        {"fleet_ca": described(OURS), "authorities": THEIRS.pem},
        {"fleet_ca": RELATIVE, "authorities": [THEIRS.pem], "create": True},
    ],
)
def test_a_node_may_belong_to_every_ca_that_the_inventory_names(run, args):
    assert run(node=OF_THEIRS, **args)["authorities"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "fleet_ca: is no description of a CA; give ca_certificate and ca_private_key."),
        ({"fleet_ca": "ca.pem"}, "fleet_ca: is no description of a CA"),
        ({"fleet_ca": {}}, "fleet_ca.ca_certificate: is missing; give it as a path on the controller or as content."),
        ({"fleet_ca": {"ca_certificate": "ca.pem"}, "create": True}, "fleet_ca.ca_private_key: is missing"),
        ({"fleet_ca": RELATIVE, "next_fleet_ca": {"ca_certificate": 7}}, "next_fleet_ca.ca_certificate: is missing"),
        ({"fleet_ca": RELATIVE, "ca_create": True}, "ca_create: is no option of smtp_fleet_ca; it has fleet_ca, "),
        (
            {"fleet_ca": {**RELATIVE, "ca_certificate": "hunter2 hunter2"}},
            "fleet_ca.ca_certificate: '(not shown)' is not",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(run, args, said):
    with pytest.raises(AnsibleActionFail) as refusal:
        run(**args)
    assert str(refusal.value).startswith(said)
    assert "hunter2" not in str(refusal.value)


def test_half_a_ca_is_not_made_whole(run, tmp_path):
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "fleet-ca.pem").write_text(OURS.pem)
    with pytest.raises(AnsibleActionFail, match="finds only one of"):
        run(fleet_ca=RELATIVE, create=True)
    assert os.listdir(tmp_path / "ca") == ["fleet-ca.pem"]


def test_the_controller_needs_cryptography(run, monkeypatch):
    monkeypatch.setattr(action.library, "MISSING", "Traceback")
    with pytest.raises(AnsibleActionFail, match="missing on the controller; install python3-cryptography there"):
        run(fleet_ca=RELATIVE)


def test_the_action_takes_the_options_that_its_documentation_has():
    documentation = yaml.safe_load(module.DOCUMENTATION)
    assert list(documentation["options"]) == list(action.OPTIONS)
    assert all("mailfleet.smtp_hardening.smtp_fleet_ca" in task for task in yaml.safe_load(module.EXAMPLES)[:1])
    assert list(yaml.safe_load(module.RETURN)) == ["authorities", "said"]
