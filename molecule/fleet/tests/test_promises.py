# SPDX-License-Identifier: GPL-3.0-or-later
"""A run over a fleet that is not in shape: who stops it, what stays as it was, and how it goes on.

Each test begins with a fleet that its fixture has made; all are strict once the first that needs it has made them so.
"""

import itertools
import json
import os
import re
import shlex
import signal
import subprocess

import explain
import pytest
from lab import TOP
from mail import NODES, probe, wait_for
from on_node import begin_anew, sh, start
from tasks import CALLS, INVENTORY, LAB

STRICT = ("-e", "smtp_profile=trusted_agents_strict")
LENIENT = ("-e", "smtp_profile=lenient_default", "-e", "smtp_allow_weaker=true")
STATE = LAB / "fleet.json"
WEAKER = ("-e", json.dumps({"smtp_server": {"minimum_protocol": "TLSv1.2"}, "smtp_allow_weaker": True}))
"""What every strict node would have to change for."""
testinfra_hosts = ["local://"]


def run(name, *words, inventories=(INVENTORY,), **environment):
    """The completed process of a playbook of the collection."""
    sources = [word for source in inventories for word in ("-i", str(source))]
    argv = ["ansible-playbook", *sources, str(TOP / "playbooks" / f"{name}.yml"), *words]
    done = CALLS.run(argv, 600, **environment)
    explain.returned("the controller", name, done.stdout)
    return done


def said(done):
    return " ".join((done.stdout + done.stderr).split())


def succeed(name, *words):
    done = run(name, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return said(done)


def levels():
    """By node, whether a client needs TLS."""
    return {node: sh(node, "postconf -hx smtpd_tls_security_level").strip() for node in NODES}


def deliver(sender, recipient, subject):
    """A message from one node to another, as soon as it has arrived."""
    sh(sender, f"printf 'Subject: {subject}\\n\\n' | /usr/sbin/sendmail -f {probe(sender)} {probe(recipient)}")
    wait_for(lambda: f"Subject: {subject}\n" in sh(recipient, "cat /var/mail/probe || true"))


@pytest.fixture(scope="module")
def fresh():
    """Nodes of which no run has seen anything."""
    for node in NODES:
        begin_anew(node)
    STATE.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def strict(fresh):
    """A strict fleet."""
    succeed("harden", *STRICT)


@pytest.fixture
def inventory(tmp_path):
    """A second inventory, in INI, for variables of single hosts."""

    def make(*lines):
        path = tmp_path / "hosts.ini"
        path.write_text("\n".join([*lines, ""]))
        return (INVENTORY, path)

    return make


@pytest.mark.parametrize(
    ("words", "inventories", "content"),
    [
        pytest.param([], "none", None, id="no such file"),
        pytest.param([], "local.ini", "localhost ansible_connection=local\n", id="localhost alone"),
        pytest.param([], "databases.ini", "db1\n", id="hosts without a profile"),
        pytest.param(["-e", "smtp_hosts=nobody"], None, None, id="a pattern that nobody matches"),
        pytest.param(
            ["--limit", "db1"],
            "databases.ini",
            "db1\nmx1 smtp_profile=lenient_default\n",
            id="a limit that leaves none",
        ),
        pytest.param(["--limit", "localhost"], None, None, id="a limit to the controller"),
        pytest.param(["--tags", "letters"], None, None, id="tags that leave nothing"),
    ],
)
def test_a_run_that_does_nothing_says_so_and_fails(tmp_path, words, inventories, content):
    if content:
        (tmp_path / inventories).write_text(content)
    sources = [tmp_path / inventories] if inventories else [INVENTORY]
    done = run("harden", *words, *STRICT[: 0 if content else 2], inventories=sources)
    assert done.returncode != 0
    assert re.search("has no host with smtp_profile|No host within --limit|harden has no tags", said(done))


def test_a_stage_without_hosts_says_so_and_ends_well(tmp_path):
    (tmp_path / "databases.ini").write_text("db1\n")
    assert run("harden_rest", inventories=[tmp_path / "databases.ini"]).returncode == 0


@pytest.mark.parametrize("missing", ["out of the limit", "unreachable"])
def test_no_node_goes_strict_before_another_is_known_to_have_its_certificate(fresh, inventory, missing):
    if missing == "unreachable":
        done = run("harden", *STRICT, inventories=inventory("node3 ansible_host=127.0.0.1 ansible_port=1"))
    else:
        done = run("harden", *STRICT, "--limit", "node1", ANSIBLE_STRATEGY="free")
    assert done.returncode != 0
    assert "No node goes strict before every node of the fleet is known to be ready: " in said(done)
    assert "node3: no run has looked at it yet" in said(done)
    assert "encrypt" not in levels().values()
    deliver("node1", "node3", f"while one was {missing}")


def test_a_stage_by_itself_has_no_node_go_strict_before_the_others_are_ready(fresh):
    for stage in ("certificates", "survey"):
        succeed(f"harden_{stage}", *STRICT, "--limit", "node1")
    done = run("harden_canary", *STRICT, "--limit", "node1")
    assert done.returncode != 0 and "No node goes strict before" in said(done)
    assert "encrypt" not in levels().values()


def test_no_lenient_node_demands_tls_before_another_uses_it(fresh):
    encrypt = ("-e", json.dumps({"smtp_profile": "lenient_default", "smtp_server": {"level": "encrypt"}}))
    done = run("harden", *encrypt, "--limit", "node1")
    assert done.returncode != 0 and "No node demands TLS before every node of the fleet is known to be ready: " in said(
        done
    )
    succeed("harden_certificates", *encrypt)
    assert {sh(node, "postconf -h smtp_tls_security_level").strip() for node in NODES} == {"may"}
    succeed("harden_barrier", *encrypt)


def test_the_ca_is_made_for_a_fleet_in_whose_inventory_other_hosts_are(tmp_path):
    ca = 'smtp_fleet_ca=\'{"ca_certificate": "ca.pem", "ca_private_key": "ca.key"}\''
    hosts = ["db1 ansible_host=127.0.0.1 ansible_port=1", "node1 smtp_profile=trusted_agents_strict", "[all:vars]", ca]
    (tmp_path / "hosts.ini").write_text("\n".join([*hosts, ""]))
    done = run("create_fleet_ca", "--check", "--limit", "node1,db1", inventories=(INVENTORY, tmp_path / "hosts.ini"))
    assert done.returncode == 0 and "db1" not in done.stdout.partition("Ask each node")[2].partition("RECAP")[0]


@pytest.mark.parametrize(("path", "why"), [("nowhere/report.json", "is not there"), (".", "is a folder")])
def test_a_report_that_cannot_be_written_stops_the_run_before_any_node_is_changed(path, why):
    done = run("harden", *STRICT, "-e", f"smtp_report={path}")
    assert done.returncode != 0 and "Bring certificates" not in done.stdout
    assert f"smtp_report: {path} cannot be written: " in said(done) and why in said(done)


def test_a_profile_that_nobody_knows_stops_the_run_before_any_node_is_changed(fresh, inventory):
    profiles = {"node1": "trusted_agents_strict", "node2": "trusted_agents_strict", "node3": "trusted_agent_strict"}
    before = {node: sh(node, "postconf -n") for node in NODES}
    done = run("harden", inventories=inventory(*(f"{node} smtp_profile={name}" for node, name in profiles.items())))
    assert done.returncode != 0
    assert "smtp_profile: trusted_agent_strict is not known for node3" in said(done)
    assert {node: sh(node, "postconf -n") for node in NODES} == before


def test_a_strict_host_for_which_no_ca_is_set_stops_the_run_by_the_name_of_what_is_missing(tmp_path):
    source = tmp_path / "hosts.ini"
    source.write_text("mx1 ansible_connection=local smtp_profile=trusted_agents_strict\n")
    done = run("harden_certificates", "--check", inventories=[source])
    assert done.returncode != 0 and "smtp_fleet_ca: is not set for mx1" in said(done)
    assert "mailfleet.smtp_hardening.create_fleet_ca" in said(done)


def test_a_controller_that_was_killed_goes_on_where_it_stopped(fresh):
    argv = ["ansible-playbook", "-i", str(INVENTORY), str(TOP / "playbooks" / "harden.yml"), *STRICT]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True) as killed:
        told = "".join(itertools.takewhile(lambda line: "PLAY [Choose who goes now]" not in line, killed.stdout))
        os.killpg(killed.pid, signal.SIGKILL)
    assert list(levels().values()).count("encrypt") == 1, told
    for sender, recipient in (("node1", "node2"), ("node2", "node1")):
        deliver(sender, recipient, f"while one is strict, from {sender}")
    again = succeed("harden", *STRICT)
    assert set(levels().values()) == {"encrypt"}
    assert "Change the canary" in again and re.search(r"node1 .* changed=0", again)


@pytest.mark.sampled("promises", 2)
def test_a_node_that_comes_back_is_brought_in(strict):
    begin_anew("node3")
    known = json.loads(STATE.read_text())
    del known["nodes"]["node3"]
    STATE.write_text(json.dumps(known))
    succeed("harden", *STRICT)
    assert set(levels().values()) == {"encrypt"}
    deliver("node3", "node1", "from the one that came back")


def test_check_mode_looks_at_every_node_and_fails_for_what_a_run_would_refuse(strict):
    before = STATE.read_text()
    sh("node2", "systemctl stop postfix")
    try:
        done = run("harden", *STRICT, *WEAKER, "--check")
    finally:
        sh("node2", "systemctl start postfix")
    assert done.returncode != 0
    assert re.search(r"node2\]: FAILED.*Postfix", said(done))
    assert "node[1-3]: server.minimum_protocol TLSv1.3 to TLSv1.2" in said(done)
    assert STATE.read_text() == before


HANGS = "import fcntl, glob, time\nlocks = [open(path) for path in glob.glob('/run/smtp_hardening/*.lock')]\n"
HANGS += "locks += [open(path) for path in glob.glob('/var/lib/smtp_hardening/*.lock')]\n"
HANGS += "[fcntl.flock(lock, fcntl.LOCK_EX) for lock in locks]\nprint(len(locks), flush=True)\ntime.sleep(600)\n"
"""Holds what a change waits for."""


@pytest.mark.sampled("promises", 2)
@pytest.mark.parametrize("canary", ["fails", "hangs"])
def test_a_canary_that_does_not_come_back_stops_the_run_and_no_other_node_changes(strict, inventory, canary):
    inventories = inventory("node2 smtp_canary=true")
    assert run("harden_survey", *STRICT, *WEAKER, inventories=inventories).returncode == 0
    before = {node: sh(node, "postconf -n") for node in NODES}
    holder = start(
        "node2",
        f"python3 -c {shlex.quote(HANGS)}" if canary == "hangs" else "systemctl stop postfix",
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.readline() if canary == "hangs" else holder.wait()
        words = ["-e", "smtp_harden_timeout=10"] if canary == "hangs" else ["-e", "smtp_harden_drain=true"]
        done = run("harden_canary", *STRICT, *WEAKER, *words, inventories=inventories)
        assert {node: sh(node, "postconf -n") for node in NODES} == before
    finally:
        sh("node2", "pkill -f fcntl.flock; systemctl start postfix", check=False)
        holder.terminate()
    assert done.returncode != 0 and re.search(r"node2\]: FAILED", done.stdout)
    wait_for(
        lambda: sh("node2", "systemctl start postfix && postfix status 2>&1 && echo runs", check=False).endswith(
            "runs\n"
        )
    )


@pytest.mark.sampled("promises", 2)
@pytest.mark.parametrize("lost", ["stopped", "unreachable"])
def test_a_run_whose_canary_is_lost_looks_at_every_node_and_sums_up(strict, inventory, lost):
    assert run("harden_survey", *STRICT, *WEAKER).returncode == 0
    before = {node: sh(node, "postconf -n") for node in ("node2", "node3")}
    away = inventory("node1 ansible_host=127.0.0.1 ansible_port=1") if lost == "unreachable" else (INVENTORY,)
    sh("node1", "systemctl stop postfix" if lost == "stopped" else "true")
    try:
        done = run("../molecule/fleet/stages", *STRICT, *WEAKER, inventories=away)
    finally:
        sh("node1", "systemctl start postfix")
    assert done.returncode != 0
    assert re.search(r"nodes strict and proven, 1 stopped.*STOPPED node1: ", said(done)), done.stdout
    assert {node: sh(node, "postconf -n") for node in before} == before


def test_a_canary_that_one_task_did_not_reach_stops_the_run_though_it_can_be_reached_again(strict, inventory, tmp_path):
    away = tmp_path / "away"
    port = f"{{{{ 1 if '{away}' is exists else 22 }}}}"
    assert run("harden_survey", *STRICT, *WEAKER).returncode == 0
    before = {node: sh(node, "postconf -n") for node in NODES}
    away.touch()
    lost = f'node1 ansible_port="{port}" ansible_ssh_extra_args="-o ControlMaster=no -o ControlPath=none"'
    sources = [word for source in inventory(lost) for word in ("-i", str(source))]
    argv = ["ansible-playbook", *sources, str(TOP / "molecule/fleet/stages.yml"), *STRICT, *WEAKER]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}
    ) as process:
        told = []
        for line in process.stdout:
            told.append(line)
            if "UNREACHABLE" in line:
                away.unlink(missing_ok=True)
    told = " ".join("".join(told).split())
    assert process.returncode != 0 and not away.exists(), told
    assert "STOPPED node1: not reached: " in told, told
    assert {node: sh(node, "postconf -n") for node in NODES} == before
    assert json.loads(STATE.read_text())["nodes"]["node1"]["pending"]


def test_mail_that_does_not_arrive_in_the_end_fails_the_run(strict):
    done = run("harden_proof", *STRICT, "-e", "smtp_test_mailbox=no-such-box@node1.fleet.test")
    assert done.returncode != 0
    assert "no-such-box@node1.fleet.test" in said(done)


@pytest.mark.sampled("promises", 2)
def test_a_node_that_was_made_anew_and_fails_is_known_as_it_is_and_not_as_it_was(strict):
    for node in NODES:
        begin_anew(node)
    assert "node3" in json.loads(STATE.read_text())["nodes"]
    sh("node3", "systemctl stop postfix")
    try:
        done = run("harden", *STRICT)
    finally:
        sh("node3", "systemctl start postfix")
    assert done.returncode != 0
    assert "node3: it does not show a certificate of the fleet's CA" in said(done)
    assert "encrypt" not in levels().values()
    succeed("harden", *STRICT)


@pytest.mark.sampled("promises", 2)
def test_a_node_whose_lists_end_before_tls_1_3_takes_part_in_it_before_another_demands_it(strict):
    begin_anew("node3")
    ends = "smtp_tls_security_level=may smtp_tls_protocols=TLSv1.2 smtpd_tls_protocols=TLSv1.2"
    sh("node3", f"postconf -e {ends} && postfix reload")
    succeed("harden_certificates", *STRICT)
    assert sh("node3", "postconf -h smtp_tls_protocols smtpd_tls_protocols").split() == [">=TLSv1.2"] * 2
    succeed("harden", *STRICT)


@pytest.mark.sampled("promises", 2)
def test_a_node_that_was_left_drained_takes_mail_again_by_the_same_command(strict):
    drained = "permit_inet_interfaces, check_client_access static:{421 4.3.2 This server takes no mail now}"
    sh("node2", f"postconf -e {shlex.quote(f'smtpd_data_restrictions = {drained}')} && postfix reload")
    succeed("harden", *STRICT, "-e", "smtp_harden_drain=true")
    assert "421" not in sh("node2", "postconf -h smtpd_data_restrictions")


@pytest.mark.sampled("promises", 2)
def test_one_node_that_is_to_be_lenient_keeps_its_certificate_for_strict_ones_with_the_same_ca(strict, inventory):
    rest = ("node2 smtp_profile=trusted_agents_strict", "node3 smtp_profile=trusted_agents_strict")
    done = run("harden", inventories=inventory("node1 smtp_profile=lenient_default smtp_allow_weaker=true", *rest))
    assert done.returncode == 0, done.stdout + done.stderr
    assert levels() == {"node1": "may", "node2": "encrypt", "node3": "encrypt"}
    deliver("node1", "node2", "from the lenient one")
    deliver("node2", "node1", "to the lenient one")


@pytest.mark.sampled("promises", 2)
@pytest.mark.parametrize("words", [(), ("--check",)], ids=["run", "check mode"])
@pytest.mark.parametrize("broken", ["fails", "unreachable"])
def test_a_node_that_an_early_stage_has_given_up_is_told_and_fails_the_run(strict, inventory, broken, words):
    line = {"fails": "node3 smtp_config_dir=/nowhere", "unreachable": "node3 ansible_host=127.0.0.1 ansible_port=1"}
    done = run("harden", *STRICT, *words, inventories=inventory(line[broken]))
    assert done.returncode != 0
    assert re.search("[12] of 3 nodes (strict and proven|looked at)", said(done)) and "STOPPED node3: " in said(done)


@pytest.mark.sampled("promises", 2)
def test_on_the_way_back_the_certificate_stays_as_long_as_anybody_demands_it(strict):
    told = succeed("harden", *LENIENT, "--limit", "node1")
    assert "node2: it demands TLS or certificates of the others" in told
    deliver("node1", "node2", "from the first that is lenient")
    succeed("harden", *LENIENT)
    assert set(levels().values()) == {"may"}
    shown = {node: sh(node, "postconf -hx smtpd_tls_chain_files") for node in NODES}
    assert not any("/fleet/" in path for path in shown.values()), shown
