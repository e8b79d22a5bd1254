# SPDX-License-Identifier: GPL-3.0-or-later
"""Single tasks, as an operator runs them from the controller."""

import json
import os
import re

import explain
from ansible_calls import Calls
from fleet_lab import FLEET
from lab import TOP

INVENTORY = FLEET.inventory / "hosts.yml"
LAB = FLEET.state
COLLECTION = "mailfleet.smtp_hardening"
# Without the colors that Molecule asks for where its output goes to a terminal, which tests would have to read.
CALLS = Calls({**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"})


def ansible(node, module, options, *words):
    """The completed process of one task on one node, or on a group of nodes."""
    arguments = json.dumps({"config_dir": "/etc/postfix", **options})
    explain.used(node)
    argv = ["ansible", "-i", str(INVENTORY), node, "-m", f"{COLLECTION}.{module}", "-a", arguments, *words]
    return CALLS.run(argv, 300, ANSIBLE_CALLBACK_RESULT_FORMAT="json")


def results(node, module, options, *words):
    """What a task returned, by node."""
    done = ansible(node, module, options, *words)
    parts = re.split(r"^(\w+) \| (?:\w+!?) => ", done.stdout, flags=re.MULTILINE)
    found = {name: json.JSONDecoder().raw_decode(text)[0] for name, text in zip(parts[1::2], parts[2::2])}
    assert found, done.stdout + done.stderr
    for name, result in found.items():
        explain.returned(name, module, result)
    return found


def succeed(node, module, *words, **options):
    """The result of a task on one node, which must not fail."""
    result = results(node, module, options, *words)[node]
    assert not result.get("failed") and "msg" not in result, result.get("msg")
    return result


def cert(node, *words, **options):
    """The result of smtp_tls_cert, which must not fail."""
    return succeed(node, "smtp_tls_cert", *words, **options)


def refused(node, *words, **options):
    """The sentence with which smtp_tls_cert fails."""
    result = results(node, "smtp_tls_cert", options, *words)[node]
    assert "msg" in result, result
    return result["msg"]


def relay(node, *words, **variables):
    """The output of the role relay on one node, with these variables of it."""
    return playbook("../molecule/shared/relay", "-e", json.dumps({"relay_hosts": node, **variables}), *words)


def playbook(name, *words):
    """The output of a playbook of the collection, which must not fail."""
    argv = ["ansible-playbook", "-i", str(INVENTORY), str(TOP / "playbooks" / f"{name}.yml"), *words]
    done = CALLS.run(argv, 600)
    explain.returned("the controller", name, done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
