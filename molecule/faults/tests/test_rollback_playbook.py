# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rollback, as a person uses it."""

import json
import pathlib
import subprocess

TOP = pathlib.Path(__file__).parents[3]
INVENTORY = TOP / "molecule" / "inventory" / "hosts.yml"


def rollback(node, *words):
    argv = ["ansible-playbook", "-i", str(INVENTORY), str(TOP / "playbooks" / "rollback.yml"), "-l", node, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_last_change_is_listed_with_its_task_and_taken_back(host, node):
    before = host.check_output("postconf -h smtpd_banner")
    options = json.dumps({"parameters": {"smtpd_banner": "odd ESMTP"}, "task": "Be odd"})
    module = ["-m", "mailfleet.smtp_hardening.smtp_settings", "-a", options]
    subprocess.run(["ansible", "-i", str(INVENTORY), node, *module], check=True)
    listed = rollback(node)
    assert "Be odd" in listed and "set: smtpd_banner" in listed
    assert host.check_output("postconf -h smtpd_banner") == "odd ESMTP"
    rollback(node, "-e", "smtp_rollback_to=previous")
    assert host.check_output("postconf -h smtpd_banner") == before
