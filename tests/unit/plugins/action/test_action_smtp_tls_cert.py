# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_tls_cert as action
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    is_issued_by,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
    write_key,
)

NAME = "relay : Bring the certificate"
NODE_KEY = make_key(KeySpec("ecdsa", 256))


class Node:
    """The module on the other side: asks for a signature once, then installs it."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def execute(self, module_args=None, task_vars=None):
        self.calls.append(module_args)
        return self.answers.pop(0)


def asks(names=("mx1.example.com",)):
    csr = request(names, NODE_KEY).decode()
    return {"changed": True, "signing_request": {"csr": csr, "names": list(names), "days": 90}}


INSTALLED = {"changed": True, "active": {"server": True, "client": True}}


@pytest.fixture
def run(monkeypatch):
    """Run the action on a task against a node."""

    def go(node, args, check_mode=False):
        task = SimpleNamespace(
            args=args, async_val=0, check_mode=check_mode, action="smtp_tls_cert", get_name=lambda: NAME
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        monkeypatch.setattr(action.ActionModule, "_execute_module", node.execute)
        return action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, {})

    return go


@pytest.fixture
def ca(fleet_ca):
    """The fleet's CA as content, its key with a passphrase."""
    return {
        "ca_certificate": certificates_pem([fleet_ca[0]]).decode(),
        "ca_private_key": write_key(fleet_ca[1], "secret").decode(),
        "ca_passphrase": "secret",
    }


def task(**own_ca):
    return {"name": "fleet", "provider": "own_ca", "own_ca": own_ca, "use": ["server", "client"]}


@pytest.mark.parametrize(
    "args", [{}, {"provider": "self_signed"}, {"provider": "pem", "pem": {}}, {"provider": "own_ca"}]
)
def test_a_task_that_needs_no_ca_goes_to_the_node_as_it_is(run, args):
    node = Node({"changed": False})
    assert run(node, args) == {"changed": False}
    assert node.calls == [{"task": NAME, **args}]


def test_the_controller_signs_what_the_node_asks_for(run, ca, fleet_ca):
    node = Node(asks(), INSTALLED)
    assert run(node, task(**ca)) == INSTALLED
    assert [call["task"] for call in node.calls] == [NAME, NAME]
    (leaf,) = read_certificates("signed", node.calls[1]["own_ca"]["certificate"].encode())
    assert is_issued_by(leaf, fleet_ca[0])
    assert dns_names(leaf) == ["mx1.example.com"]
    assert public_bytes(leaf.public_key()) == public_bytes(NODE_KEY.public_key())


def test_the_cas_key_and_its_passphrase_never_reach_the_node(run, ca):
    node = Node(asks(), INSTALLED)
    given = task(**ca)
    run(node, given)
    assert len(node.calls) == 2
    for call in node.calls:
        assert "PRIVATE KEY" not in str(call)
        assert "secret" not in str(call)
        assert not set(action.CONTROLLER_ONLY) & set(call["own_ca"])
    assert given["own_ca"]["ca_private_key"] == ca["ca_private_key"]


def test_names_of_the_task_win_over_those_that_the_node_asks_for(run, ca):
    node = Node(asks(["mx9.example.com"]), INSTALLED)
    run(node, task(names=["mx1.example.com", "smtp.example.com"], **ca))
    (leaf,) = read_certificates("signed", node.calls[1]["own_ca"]["certificate"].encode())
    assert dns_names(leaf) == ["mx1.example.com", "smtp.example.com"]


@pytest.mark.parametrize("answer", [{"changed": False}, {"failed": True, "msg": "no main.cf"}, {"changed": True}])
def test_a_node_that_asks_for_no_signature_is_called_once(run, ca, answer):
    node = Node(dict(answer))
    assert run(node, task(**ca)) == answer
    assert len(node.calls) == 1


def test_a_request_for_a_signature_never_reaches_the_playbook(run, ca):
    node = Node({**asks(), "failed": True})
    assert "signing_request" not in run(node, task(**ca))


@pytest.mark.parametrize("missing", ["ca_certificate", "ca_private_key"])
def test_half_a_ca_is_refused_before_the_node_is_called(run, ca, missing):
    node = Node()
    with pytest.raises(AnsibleActionFail, match=f"own_ca.{missing}: is missing; give it as a path on the controller"):
        run(node, task(**{**ca, missing: None}))
    assert node.calls == []


def test_a_wrong_passphrase_fails_the_task_without_a_word_of_it(run, ca):
    node = Node(asks())
    with pytest.raises(AnsibleActionFail, match="the passphrase is wrong") as failure:
        run(node, task(**{**ca, "ca_passphrase": "hunter2"}))
    assert "hunter2" not in str(failure.value)
    assert len(node.calls) == 1


@pytest.fixture
def files(monkeypatch):
    """Ansible's own file lookup; outside a playbook run it goes by its short name only."""
    get = action.lookup_loader.get
    monkeypatch.setattr(action.lookup_loader, "get", lambda name, **options: get(name.rpartition(".")[2], **options))


def test_a_ca_is_made_where_that_is_asked_for_and_used_again(run, files, tmp_path):
    paths = {"ca_certificate": str(tmp_path / "ca.pem"), "ca_private_key": str(tmp_path / "ca.key")}
    issued = []
    for _turn in range(2):
        node = Node(asks(), INSTALLED)
        run(node, task(ca_create=True, ca_passphrase="secret", **paths))
        issued.extend(read_certificates("signed", node.calls[1]["own_ca"]["certificate"].encode()))
        assert node.calls[0]["own_ca"]["ca_certificate"].startswith("-----BEGIN CERTIFICATE-----")
    (made,) = read_certificates("ca", (tmp_path / "ca.pem").read_bytes())
    assert all(is_issued_by(leaf, made) for leaf in issued)
    assert oct(os.stat(paths["ca_private_key"]).st_mode & 0o777) == "0o600"


def test_check_mode_makes_no_ca_and_says_so(run, tmp_path):
    paths = {"ca_certificate": str(tmp_path / "ca.pem"), "ca_private_key": str(tmp_path / "ca.key")}
    node = Node()
    result = run(node, task(ca_create=True, **paths), check_mode=True)
    assert (result["changed"], result["reason"]) == (True, "the CA does not exist yet and check mode makes none")
    assert os.listdir(tmp_path) == []
    assert node.calls == []


def test_a_node_is_told_when_the_controller_lacks_cryptography(run, ca, monkeypatch):
    monkeypatch.setattr(action.library, "MISSING", "Traceback")
    with pytest.raises(AnsibleActionFail, match="missing on the controller; install python3-cryptography there"):
        run(Node(), task(**ca))
