# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet has one CA, which nobody makes by accident, and a node has the names that the inventory gives it."""

import json

import pytest
from mail import NODES, fqdn
from on_node import sh
from pki import authority
from sources import FLEET_CA, NAMES
from tasks import INVENTORY, TOP, playbook, refused

testinfra_hosts = ["local://"]
pytestmark = pytest.mark.usefixtures("fleet")
STRICT = ["-e", "smtp_profile=trusted_agents_strict"]
PATHS = {name: FLEET_CA[name] for name in ("ca_certificate", "ca_private_key")}
AS_FOUND = "find /etc/postfix -type f -printf '%p %T@ %i\\n' | sort"


def described(folder):
    return {"ca_certificate": str(folder / "ca.pem"), "ca_private_key": str(folder / "ca.key"), **NAMES}


def stopped(name, fleet_ca, *words):
    """What a playbook says that fails with this CA, and changes nothing on the nodes."""
    before = {node: sh(node, AS_FOUND) for node in NODES}
    with pytest.raises(AssertionError) as failure:
        playbook(name, *STRICT, "-e", json.dumps({"smtp_fleet_ca": fleet_ca}), *words)
    assert {node: sh(node, AS_FOUND) for node in NODES} == before
    return " ".join(str(failure.value).split())


@pytest.mark.parametrize("words", [[], ["--check"], ["--limit", "node2"]], ids=["all", "check", "limit"])
def test_a_second_controller_with_a_ca_of_its_own_is_stopped_at_a_node_by_name(tmp_path, words):
    theirs = authority("Their CA")
    (tmp_path / "ca.pem").write_text(theirs.pem)
    (tmp_path / "ca.key").write_text(theirs.key_pem)
    said = stopped("harden", described(tmp_path), *words)
    node = "node2" if "node2" in words else "node1"
    assert f"{node} holds a certificate of CN=SMTP fleet CA 20" in said
    assert f"which is not the CA in {tmp_path}/ca.pem; copy that CA" in said


def test_a_second_controller_makes_no_ca_beside_the_first(tmp_path):
    said = stopped("create_fleet_ca", described(tmp_path))
    assert f"and {tmp_path}/ca.pem is not there, so that no CA is made beside it" in said
    task = {"name": "trial", "provider": "own_ca", "own_ca": {**described(tmp_path), "ca_create": True}}
    assert "node1 holds a certificate of CN=SMTP fleet CA 20" in refused("node1", **task)
    assert list(tmp_path.iterdir()) == []


def test_harden_makes_no_ca(tmp_path):
    said = stopped("harden", {**described(tmp_path), "ca_create": True})
    assert f"'{tmp_path}/ca.pem' is not there on the controller; make a CA once with the playbook" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {},
            f"own_ca.names: node1 asks for a certificate as {fqdn('node1')}, and by the inventory it is node1 alone; ",
        ),
        ({"domains": ["fleet.test"]}, "own_ca.domains: ['fleet.test'] does not cover node1, as which the node is "),
    ],
)
def test_a_node_is_not_certified_under_a_name_that_the_inventory_did_not_give_it(given, said):
    for words in ([], ["--check"]):
        assert refused("node1", *words, name="trial", provider="own_ca", own_ca={**PATHS, **given}).startswith(said)
    assert sh("node1", "ls /etc/postfix/smtp_hardening/certificates").split() == ["fleet"]


def test_a_node_that_is_taken_over_gets_no_other_nodes_name():
    """Its Postfix calls itself as its neighbour does."""
    sh("node1", "postconf -e myhostname=node2.fleet.test")
    asked = {**PATHS, "names": ["node1.fleet.test"]}
    found = refused("node1", name="fleet", provider="own_ca", own_ca=asked, use=["server"], renew_now=True)
    assert "node2.fleet.test" in found
    names = "openssl x509 -noout -ext subjectAltName -in $(postconf -hx smtpd_tls_chain_files)"
    assert "node2" not in sh("node1", names)


def test_a_relative_path_is_in_the_inventorys_folder():
    """Wherever the command is run."""
    given = {**PATHS, "ca_certificate": "../nowhere/ca.pem", **NAMES}
    said = refused("node1", name="trial", provider="own_ca", own_ca=given)
    assert f"'../nowhere/ca.pem' is not there on the controller, in {INVENTORY.parent}; " in said
    assert not (TOP / "nowhere").exists()
