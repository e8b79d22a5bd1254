# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import os

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_tls_cert as action
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    is_issued_by,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import not_after, utc_now
from ansible_collections.mailfleet.smtp_hardening.tests.unit.signing_tasks import (
    INSTALLED,
    NAME,
    NOBODYS,
    NODE_KEY,
    Node,
    asks,
    sent,
    task,
)
from pki import authority


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


def test_a_ca_is_made_where_that_is_asked_for_and_used_again(run, tmp_path):
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


THEIRS = authority("Theirs")
OF_THEIRS = {**NOBODYS, "trust": {"authorities": [{"chain": THEIRS.pem}]}}


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_task_that_makes_a_ca_makes_none_for_a_node_of_another(run, tmp_path, *, there, check_mode):
    paths = {"ca_certificate": str(tmp_path / "ca.pem"), "ca_private_key": str(tmp_path / "ca.key")}
    if there:
        action._fleet_ca.create_if_missing(*paths.values(), None)
    node = Node(facts=OF_THEIRS)
    with pytest.raises(AnsibleActionFail, match=r"^mx1\.example\.com trusts CN=Theirs"):
        run(node, {**task(ca_create=True, **paths), "config_dir": "/etc/postfix-out"}, check_mode=check_mode)
    assert node.asked == [("mailfleet.smtp_hardening.smtp_tls_info", {"config_dir": "/etc/postfix-out"})]
    assert node.calls == [] and len(os.listdir(tmp_path)) == 2 * there


@pytest.mark.parametrize(
    "more",
    [{"trust": {"authorities": [THEIRS.pem]}}, {"accept": ["distrusted_issuer"]}, {"accept": "distrusted_issuer"}],
)
def test_a_ca_is_made_beside_another_where_the_task_says_so(run, tmp_path, more):
    paths = {"ca_certificate": str(tmp_path / "ca.pem"), "ca_private_key": str(tmp_path / "ca.key")}
    assert run(Node(asks(), INSTALLED, facts=OF_THEIRS), {**task(ca_create=True, **paths), **more}) == INSTALLED


def test_a_node_that_cannot_say_to_whom_it_belongs_gets_no_ca(run, tmp_path):
    paths = {"ca_certificate": str(tmp_path / "ca.pem"), "ca_private_key": str(tmp_path / "ca.key")}
    with pytest.raises(AnsibleActionFail, match="^no main.cf"):
        run(Node(facts={"failed": True, "msg": "no main.cf"}), task(ca_create=True, **paths))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("certificate", ["ca.pem", "/nowhere/ca.pem"])
def test_a_ca_that_is_not_there_is_refused_with_the_playbook_that_makes_one(run, tmp_path, certificate):
    node = Node()
    with pytest.raises(AnsibleActionFail, match="^own_ca.ca_certificate: .*create_fleet_ca"):
        run(node, task(ca_private_key="x.key", ca_certificate=certificate), inventory_dir=str(tmp_path))
    assert node.calls == []


def test_a_relative_path_is_in_the_inventorys_folder(run, tmp_path):
    action._fleet_ca.create_if_missing(str(tmp_path / "ca.pem"), str(tmp_path / "ca.key"), None)
    node = Node(asks(), INSTALLED)
    run(node, task(ca_certificate="ca.pem", ca_private_key="ca.key"), inventory_dir=str(tmp_path))
    assert sent(node)
    with pytest.raises(AnsibleActionFail, match="mx1.example.com is from no inventory that lies in one"):
        run(Node(), task(ca_certificate="ca.pem", ca_private_key="ca.key"))


def test_a_node_is_told_when_the_controller_lacks_cryptography(run, ca, monkeypatch):
    monkeypatch.setattr(action.library, "MISSING", "Traceback")
    with pytest.raises(AnsibleActionFail, match="missing on the controller; install python3-cryptography there"):
        run(Node(), task(**ca))


def test_each_of_several_requests_is_signed_in_their_order(run, ca, fleet_ca):
    keys = [NODE_KEY, make_key(KeySpec("rsa", 2048))]
    node = Node(asks(keys=keys), INSTALLED)
    run(node, task(key_type="both", **ca))
    leaves = sent(node)
    assert [public_bytes(leaf.public_key()) for leaf in leaves] == [public_bytes(key.public_key()) for key in keys]
    assert all(is_issued_by(leaf, fleet_ca[0]) for leaf in leaves)
    assert len({leaf.serial_number for leaf in leaves}) == 2


@pytest.mark.parametrize(("days", "lifetime"), [(None, 90), (40, 40), ("40", 40)])
def test_a_certificate_lives_as_long_as_the_task_says(run, ca, days, lifetime):
    node = Node(asks(), INSTALLED)
    run(node, task(days=days, **ca))
    (leaf,) = sent(node)
    left = not_after(leaf) - utc_now()
    assert datetime.timedelta(days=lifetime - 1) < left < datetime.timedelta(days=lifetime)


# The next CA


@pytest.fixture
def next_ca(tmp_path):
    return {"ca_certificate": str(tmp_path / "next.pem"), "ca_private_key": str(tmp_path / "next.key")}


def test_the_next_ca_is_made_and_trusted_and_signs_nothing(run, ca, fleet_ca, next_ca):
    node = Node(asks(), INSTALLED)
    run(node, task(next_ca={**next_ca, "ca_create": True, "ca_passphrase": "secret"}, **ca))
    for call in node.calls:
        assert list(call["own_ca"]["next_ca"]) == ["ca_certificate"]
        assert call["own_ca"]["next_ca"]["ca_certificate"].startswith("-----BEGIN CERTIFICATE-----")
        assert "PRIVATE KEY" not in str(call) and "secret" not in str(call)
    assert is_issued_by(sent(node)[0], fleet_ca[0])


@pytest.mark.parametrize("there", [False, True])
def test_check_mode_makes_no_next_ca(run, ca, next_ca, *, tmp_path, there):
    if there:
        action._fleet_ca.create_if_missing(next_ca["ca_certificate"], next_ca["ca_private_key"], None)
    before = sorted(os.listdir(tmp_path))
    node = Node({"changed": False})
    result = run(node, task(next_ca={**next_ca, "ca_create": True}, **ca), check_mode=True)
    assert len(node.calls) == there
    assert result["changed"] is not there
    assert sorted(os.listdir(tmp_path)) == before


def test_a_next_ca_that_exists_needs_no_private_key(run, ca, fleet_ca):
    node = Node({"changed": False})
    content = certificates_pem([fleet_ca[0]]).decode()
    run(node, task(next_ca={"ca_certificate": content}, **ca))
    assert node.calls[0]["own_ca"]["next_ca"] == {"ca_certificate": content}


@pytest.mark.parametrize("missing", ["ca_certificate", "ca_private_key"])
def test_a_next_ca_that_is_to_be_made_needs_both_paths(run, ca, next_ca, missing):
    given = {**next_ca, "ca_create": True, missing: None}
    for options in (given, {name: value for name, value in given.items() if name != missing}):
        with pytest.raises(AnsibleActionFail, match=f"own_ca.next_ca.{missing}: is missing"):
            run(Node(), task(next_ca=options, **ca))


# What never reaches a node


@pytest.mark.parametrize(
    "over",
    [{"state": "absent"}, {"provider": "self_signed"}, {"provider": "stored"}, {"state": "absent", "provider": "pem"}],
)
def test_a_cas_key_never_reaches_the_node_whatever_the_task_does(run, ca, over):
    node = Node({"changed": False})
    following = {"ca_certificate": ca["ca_certificate"], "ca_private_key": "next.key", "ca_passphrase": "secret"}
    run(node, {**task(next_ca=following, **ca), **over})
    (call,) = node.calls
    assert "PRIVATE KEY" not in str(call)
    assert "secret" not in str(call)
    assert "next.key" not in str(call)


def test_a_second_request_for_a_signature_never_reaches_the_playbook(run, ca):
    with pytest.raises(AnsibleActionFail, match="another signature"):
        run(Node(asks(), asks()), task(**ca))


# Authorities


@pytest.mark.parametrize("provider", ["self_signed", "stored", "own_ca"])
def test_authorities_lie_on_the_controller_and_reach_the_node_as_content(run, ca, tmp_path, provider):
    path = tmp_path / "partner.pem"
    path.write_text(ca["ca_certificate"])
    args = {**task(**ca), "provider": provider} if provider == "own_ca" else {"provider": provider}
    trust = {"authorities": [str(path), ca["ca_certificate"]], "pins": ["AB"]}
    node = Node({"changed": False})
    run(node, {**args, "trust": trust})
    (call,) = node.calls
    assert [content.strip() for content in call["trust"]["authorities"]] == [ca["ca_certificate"].strip()] * 2
    assert call["trust"]["pins"] == ["AB"]
    assert trust["authorities"][0] == str(path)


@pytest.mark.parametrize("trust", [None, {}, {"authorities": None}, {"pins": []}])
def test_a_task_that_lists_no_authorities_goes_to_the_node_as_it_is(run, trust):
    node = Node({"changed": False})
    run(node, {"trust": trust})
    assert node.calls == [{"task": NAME, "trust": trust}]


def test_one_authority_that_is_no_list_is_a_list_of_one(run, ca, tmp_path):
    path = tmp_path / "partner.pem"
    path.write_text(ca["ca_certificate"])
    node = Node({"changed": False})
    run(node, {"trust": {"authorities": str(path)}})
    assert "BEGIN CERTIFICATE" in str(node.calls[0]["trust"]["authorities"])
