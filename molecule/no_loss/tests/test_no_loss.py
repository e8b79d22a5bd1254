# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that is hardened, rotated, drained, struck by a power cut and made lenient again while thousands of messages pass
through it: each arrives once, but for what the power cut strikes between its mailbox and its queue."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate
from mail import NODES, fqdn, swaks, wait_for
from on_node import begin_anew, sh
from pki import Identity, certify, ec_key
from seen import certificate_seen
from tasks import LAB, playbook

HERE = pathlib.Path(__file__).parents[1]
MAILBOX = pathlib.PurePosixPath("/var/spool/no_loss/probe")
LOG = "/var/log/mail.log"
MESSAGES = int(os.environ.get("MESSAGES", "2000"))
RATE = MESSAGES / 250
"""A second; what the cluster goes through takes about as long as all of them."""
DRAINED, KILLED = "node2", "node3"
testinfra_hosts = ["local://"]


class Senders:
    """senders.py at work, and what the cluster is going through meanwhile."""

    def __init__(self, chain):
        nodes = [f"{fqdn(node)}={address}" for node, address in NODES.items()]
        options = [f"--rate={RATE}", f"--certificate={chain}", f"--ca={LAB / 'fleet-ca.pem'}"]
        argv = [sys.executable, "-B", str(HERE / "senders.py"), *options, *nodes]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.phases = []

    def enter(self, phase):
        self.phases.append(phase)
        self.say(phase)

    def say(self, phase):
        """Name the phase; how many messages have been accepted."""
        self.process.stdin.write(f"{phase}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def pass_on(self, messages):
        """Wait until so many more have been accepted."""
        self.pass_on_to(self.say(self.phases[-1]) + messages)

    def pass_on_to(self, messages):
        wait_for(lambda: self.say(self.phases[-1]) >= messages, 600)

    def end(self):
        said, _nothing = self.process.communicate(timeout=120)
        return json.loads(said)


@pytest.fixture
def senders(tmp_path):
    """Clients with a certificate of the fleet's CA, which every node lets in at every moment."""
    key = serialization.load_pem_private_key((LAB / "fleet-ca.key").read_bytes(), None)
    authority = Identity(key, load_pem_x509_certificate((LAB / "fleet-ca.pem").read_bytes()))
    client = certify("load.test", ec_key(), authority, ["load.test"])
    chain = tmp_path / "client.pem"
    chain.write_text(client.key_pem + client.pem)
    for node in NODES:
        sh(node, f"find {MAILBOX} -type f -delete; : > {LOG}")
    started = Senders(chain)
    yield started
    started.process.kill()
    for node in NODES:
        begin_anew(node)
        sh(node, f"postsuper -d ALL; rm -r {MAILBOX.parent}")


def test_every_message_arrives_once_while_the_cluster_is_hardened_rotated_drained_and_struck_by_a_power_cut(
    senders, capsys
):
    begin = time.monotonic()
    senders.enter("lenient")
    senders.pass_on(100)
    senders.enter("from lenient to strict")
    harden("trusted_agents_strict", drain=True)
    assert {plaintext(node) for node in NODES} == {"530"}
    senders.enter("strict")
    senders.pass_on(200)
    rotate(senders)
    drain(senders, DRAINED)
    cut = cut_the_power(senders, KILLED)
    senders.enter("from strict to lenient")
    harden("lenient_default", "-e", "smtp_allow_weaker=true")
    assert {plaintext(node) for node in NODES} == {"250"}
    senders.enter("lenient again")
    senders.pass_on(100)
    senders.pass_on_to(MESSAGES)
    sent = senders.end()
    for node in NODES:
        let_run_out(node)
    arrived = {node: arrivals(node) for node in NODES}
    with capsys.disabled():
        print(report(sent, arrived, time.monotonic() - begin))
    judge(sent, arrived, taken_up_again(KILLED, cut))
    assert len(sent["accepted"]) >= MESSAGES
    phases = set(senders.phases)
    taken = counts(sent)
    assert [taken[node].keys() for node in NODES] == [phases, phases - {"drained"}, phases - {"without power"}]
    assert hops(sent, arrived, "lenient") == {(2, 0)}
    assert hops(sent, arrived, "strict") == hops(sent, arrived, "drained") == {(2, 2)}


def let_run_out(node, seconds=120):
    """Wait until nothing is queued on a node; what is, and why, where that does not happen.

    A message that an old process still holds when Postfix is reloaded goes back to the incoming queue for a minute, where the
    queue manager looks again at the next message, or after five minutes (qmgr_active.c; qmgr(8) in master.cf). Hence the
    flush: no next message comes.
    """
    deadline = time.monotonic() + seconds
    while "Mail queue is empty" not in (queue := sh(node, "postqueue -f; postqueue -p")):
        if time.monotonic() > deadline:
            ids = "|".join(re.findall(r"^(\w{8,})", queue, re.M)[:5])
            files = "cd /var/spool/postfix && find incoming active deferred maildrop corrupt hold -type f -ls"
            asked = f"date; {files}; grep -E '{ids}|reload|refresh|fatal|warning' {LOG} | tail -n 60; ps -eo pid,etimes,args"
            raise AssertionError(f"{node} still has after {seconds} s:\n{queue}\n{sh(node, asked, check=False)}")
        time.sleep(2)


def harden(profile, *words, drain=False):
    playbook("harden", "-e", f"smtp_profile={profile}", "-e", f"smtp_harden_drain={str(drain).lower()}", *words)


def plaintext(node):
    """The code with which a node answers MAIL FROM outside of TLS."""
    return re.search(r"-> MAIL FROM.*\n<..? *(\d+)", swaks(node, "--quit-after", "MAIL").stdout)[1]


def rotate(senders):
    before = {node: certificate_seen(node) for node in NODES}
    senders.enter("certificates rotate")
    playbook("rotate_certificates", "-e", "smtp_profile=trusted_agents_strict")
    after = {node: certificate_seen(node) for node in NODES}
    assert len({*before.values(), *after.values()}) == 6, "each node shows a certificate that it has not shown before"


def drain(senders, node):
    senders.enter("a node is drained")
    set_state(node, "draining")
    senders.enter("drained")
    before = len(arrivals(node))
    senders.pass_on(200)
    # Complete queue files are executable (mail_stream.c); what a kill has left incomplete is no message.
    assert not sh(
        node, "cd /var/spool/postfix && find maildrop incoming active -ignore_readdir_race -type f -perm -u=x"
    )
    assert len(arrivals(node)) == before, "its neighbours keep what is for it"
    senders.enter("it returns")
    set_state(node, "running")
    senders.pass_on(200)


def set_state(node, state):
    playbook("../molecule/no_loss/drain", "-e", json.dumps({"drain_host": node, "relay_state": state}))


def cut_the_power(senders, node):
    """Every process of Postfix is killed at once (cgroups(7), cgroup.kill), and systemd is kept from starting it again. How long
    the node's log was until it came back."""
    group = sh(node, "sed -n s/^0:://p /proc/$(pgrep -x master)/cgroup").strip()
    sh(node, f"echo 1 > /sys/fs/cgroup{group}/cgroup.kill; systemctl stop postfix")
    senders.enter("without power")
    assert not sh(node, "pgrep -x 'master|qmgr|smtpd|smtp|local'", check=False)
    senders.pass_on(200)
    cut = int(sh(node, f"stat -c %s {LOG}"))
    sh(node, "systemctl start postfix")
    senders.enter("power is back")
    senders.pass_on(200)
    return cut


def arrivals(node):
    """For each message in the node's mailbox its number, the count of its hops, and how many of these were verified."""
    found = json.loads(sh(node, f"python3 -B - {MAILBOX}/new", (HERE / "node" / "mailbox.py").read_text()))
    return [tuple(message) for message in found]


def counts(sent):
    """How many messages each node has accepted in each phase."""
    found = {node: collections.Counter() for node in NODES}
    for phase, name, _trust in sent["accepted"].values():
        found[name.split(".")[0]][phase] += 1
    return found


def hops(sent, arrived, phase):
    """By how many hops the messages of a phase have come, and how many of these were verified."""
    of_phase = {int(number) for number, accepted in sent["accepted"].items() if accepted[0] == phase}
    return {tuple(rest) for messages in arrived.values() for number, *rest in messages if number in of_phase}


def report(sent, arrived, seconds):
    """The counts for people, as a few lines and a table of who has accepted how many when."""
    times = collections.Counter(number for messages in arrived.values() for number, *_rest in messages)
    accepted = {int(number): found for number, found in sent["accepted"].items()}
    lost, doubled = len(accepted.keys() - times.keys()), sum(count > 1 for count in times.values())
    lines = [
        f"\n{len(accepted)} messages sent in {seconds:.0f} s, {len(times)} arrived, {lost} lost, {doubled} doubled;"
        f" {sent['passed_over']} times a client went on to another node, {len(sent['in_doubt'])} times in doubt"
    ]
    taken, trust = counts(sent), collections.Counter((phase, trust) for phase, _node, trust in accepted.values())
    lines.append(f"{'accepted by':24}" + "".join(f"{node:>8}" for node in NODES) + "  verified")
    for phase in dict.fromkeys(phase for phase, *_rest in accepted.values()):
        row = "".join(f"{taken[node][phase]:8}" for node in NODES)
        lines.append(f"{phase:24}{row}{trust[phase, 'verified']:10}")
    return "\n".join(lines)


def judge(sent, arrived, struck):
    assert sent["given_up"] == []
    times = collections.Counter(number for messages in arrived.values() for number, _hops, _verified in messages)
    allowed = {number: {1, 2} if number in struck else {1} for number in map(int, sent["accepted"])}
    wrong = {number: times[number] for number, counts in allowed.items() if times[number] not in counts}
    trails = "\n".join(trail(number) for number in list(wrong)[:3])
    assert wrong == {}, f"how often they arrived: {wrong}; in doubt: {sent['in_doubt']}; the logs say:\n{trails}"
    assert times.keys() == set(map(int, sent["accepted"])), "nothing else has arrived"


def taken_up_again(node, cut):
    """Messages that were in the node's queue when its power was cut, at that byte of its log. One that had reached its mailbox
    in that moment, and not left the queue, is delivered once more: RFC 5321 section 6.1 prefers that to a loss."""
    log = sh(node, f"cat {LOG}").encode()
    before, after = log[:cut].decode(), log[cut:].decode()
    numbers = dict(re.findall(r": (\w+): message-id=<(\d+)@load\.test>", before))
    return {
        int(numbers[queue_id]) for queue_id in re.findall(r"qmgr\[\d+\]: (\w+): from=", after) if queue_id in numbers
    }


def trail(number):
    """What each node has logged about a message."""
    find = f"grep -oP '\\w+(?=: message-id=<{number}@load.test>)' {LOG} | xargs -I ID grep -hw ID {LOG}"
    return "\n".join(sh(node, find, check=False) for node in NODES)
