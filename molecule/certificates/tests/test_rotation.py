# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet whose certificates, and then its CA, are rotated while it works, and that is given back in the end: nobody notices."""

import json
import pathlib
import re
import shlex
import subprocess

import pytest
from mail import NODES, fqdn, wait_for
from on_node import begin_anew, sh, start
from sources import NAMES
from tasks import LAB, playbook

AGENT = (pathlib.Path(__file__).parents[1] / "node" / "agent.py").read_text()
STRICT = ["-e", "smtp_profile=trusted_agents_strict"]
testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """The inventory's CA, and the one that is to follow, as the playbooks take them."""
    following = tmp_path_factory.mktemp("next")
    return tuple(
        {"ca_certificate": f"{path}.pem", "ca_private_key": f"{path}.key", **NAMES}
        for path in (LAB / "fleet-ca", following / "ca")
    )


@pytest.fixture
def agents():
    """An agent on every node, at work."""
    yield from at_work()


@pytest.fixture
def writers(fleet):
    """The same who only write mail, into mailboxes that are empty, in a fleet that exchanged mail before it became strict."""
    for node in NODES:
        begin_anew(node)
        sh(node, "rm -rf /etc/postfix/smtp_hardening /var/mail/probe; : > /var/log/mail.log")
    playbook("harden", *STRICT)
    yield from at_work("--mail")


def at_work(*words):
    started = {}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    for node in NODES:
        sh(node, "cat > /root/agent.py", AGENT)
        neighbours = [fqdn(other) for other in NODES if other != node]
        command = shlex.join(["python3", "-B", "/root/agent.py", *words, fqdn(node), *neighbours])
        started[node] = start(node, command, **pipes, text=True)
    for process in started.values():
        assert process.stdout.readline() == "running\n"
    yield started
    for process in started.values():
        process.kill()


def arrivals(node):
    """How often each numbered message was delivered to the node's mailbox."""
    found = re.findall(r"^Message-ID: <(\S+)@load.test>", sh(node, "cat /var/mail/probe"), re.MULTILINE)
    return {number: found.count(number) for number in found}


def empty_queue(node):
    """Wait until all has gone out, what was deferred without its usual pause of minutes; why something was deferred."""
    wait_for(lambda: "Mail queue is empty" in sh(node, "postqueue -f && postqueue -p"), 60)
    return re.findall("^.* to=<probe@.*status=deferred.*", sh(node, "cat /var/log/mail.log"), re.MULTILINE)


def test_leaf_and_ca_are_rotated_and_no_handshake_fails_and_no_message_is_lost(agents, authorities, capsys):
    leaf = playbook("rotate_certificates", *STRICT)
    ca = rotate(*authorities)
    seen = {node: json.loads(process.communicate("")[0]) for node, process in agents.items()}
    sent = [number for one in seen.values() for number in one["sent"]]
    deferred = [line for node in NODES for line in empty_queue(node)]
    arrived = {}
    for node in NODES:
        arrived.update(arrivals(node))
    trouble = [line for one in seen.values() for line in one["trouble"]]
    shown = [count for one in seen.values() for count in one["certificates"]]
    with capsys.disabled():
        handshakes = sum(one["handshakes"] for one in seen.values())
        print(f"\n{handshakes} handshakes, {len(trouble)} failed; {len(sent)} messages sent, {len(arrived)} arrived")
        print(*deferred, f"{len(deferred)} deferred", sep="\n")
    assert trouble == []
    assert handshakes >= 2000
    assert arrived == dict.fromkeys(sent, 1)
    assert min(shown) >= 3, "each neighbour was seen with the first, the rotated and the new CA's certificate"
    assert re.search(r"node1\s+server\s+node1.fleet.test", leaf) and "the same" not in leaf + ca


def test_going_back_to_the_old_ca_at_once_is_refused(authorities):
    """The inventory still names the old CA, which nobody trusts any more: as if another controller had one of its own."""
    with pytest.raises(AssertionError, match="node1 holds a certificate of CN=SMTP fleet CA"):
        playbook("harden", *STRICT)
    rotate(*reversed(authorities))
    playbook("harden", *STRICT)


def rotate(now, following):
    words = [*STRICT, "-e", json.dumps({"smtp_fleet_ca": now, "smtp_next_fleet_ca": following})]
    said = playbook("create_fleet_ca", *words)
    assert following["ca_private_key"] in said
    return playbook("rotate_certificates", *words)


def test_a_strict_fleet_is_given_back_and_no_node_refuses_another_on_the_way(writers):
    removed = playbook("remove", "-e", "smtp_allow_weaker=true")
    sent = [number for process in writers.values() for number in json.loads(process.communicate("")[0])["sent"]]
    refused = [line for node in NODES for line in empty_queue(node) if " said: " in line]
    arrived = {number for node in NODES for number in arrivals(node)}
    assert (arrived, refused) == ({*sent}, []), (
        "a restart may bring one twice, or let one wait, and nothing else happens"
    )
    assert len(sent) >= 100 and "Deliver always" in removed
    for node in NODES:
        assert "smtp_hardening" not in sh(node, "postconf -n; ls /etc/postfix")
