# SPDX-License-Identifier: GPL-3.0-or-later
"""Every supported ansible-core, from an environment of its own, on a fleet as the README's first playbook has it.

make test runs the oldest and the newest, make test-all each (ANSIBLE_CORES=all), and then twice.
"""

import os
import subprocess
import sys

import explain
import pytest
import yaml
from fleet_lab import FLEET
from lab import TOP
from on_node import begin_anew, sh

sys.path.insert(0, str(TOP / "tools"))
import ansible_core

ASKED = os.environ.get("ANSIBLE_CORES", "").split()
NODE = "node1"
PLAYS = ["playbooks/create_fleet_ca.yml", "playbooks/harden.yml", "molecule/shared/relay.yml"]
LEFT_ALONE = ["mydomain", "default_transport", "relay_transport", "smtp_fallback_relay", "smtpd_per_record_deadline"]
"""Parameters that nothing asks for here."""
testinfra_hosts = ["local://"]


def versions():
    """The oldest and the newest, but for the one that runs all other scenarios."""
    given = ansible_core.named(ASKED or ["oldest", "newest"])
    return given if ASKED else [version for version in given if version != ansible_core.here()]


@pytest.fixture
def inventory():
    """Of a fleet of one node, without a variable that has a default, beside a CA that is made with it."""
    folder = FLEET.state / "versions"
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    begin_anew(NODE)
    host = {"ansible_host": FLEET.nodes[NODE], "ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3"}
    host["ansible_ssh_common_args"] = f"-F {FLEET.state / 'ssh_config'}"
    authority = {"ca_certificate": "fleet-ca.pem", "ca_private_key": "fleet-ca.key", "names": [f"{NODE}.fleet.test"]}
    variables = {"smtp_profile": "trusted_agents_strict", "smtp_fleet_ca": authority}
    variables["relay_hostname"] = f"{NODE}.fleet.test"
    path = folder / "fleet.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {NODE: host}, "vars": variables}}))
    return path


def run(version, inventory):
    """What all plays say in one run, which must not fail."""
    try:
        program = ansible_core.environment(version) / "bin" / "ansible-playbook"
    except ansible_core.NoPython as problem:
        pytest.skip(str(problem))
    argv = [str(program), "-i", str(inventory), *(str(TOP / play) for play in PLAYS)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environment, timeout=600)
    explain.returned("the controller", version, done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", versions())
def test_a_supported_ansible_core_makes_a_node_strict_and_a_relay(inventory, version):
    run(version, inventory)
    assert sh(NODE, "postconf -hx smtpd_tls_security_level smtp_tls_security_level").split() == ["encrypt", "secure"]
    settings = {line.partition(" =")[0] for line in sh(NODE, "postconf -n").splitlines()}
    assert "smtpd_helo_required" in settings and settings & {*LEFT_ALONE} == set()
    assert not ASKED or " changed=0 " in run(version, inventory).rpartition(f"\n{NODE} ")[2]
