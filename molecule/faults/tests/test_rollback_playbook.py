# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rollback, as a person uses it."""

from on_node import sh
from tasks import playbook, succeed

NODE = "node1"
testinfra_hosts = ["local://"]


def rollback(*words):
    return playbook("rollback", "-l", NODE, *words)


def test_the_last_change_is_listed_with_its_task_and_taken_back():
    before = sh(NODE, "postconf -h smtpd_banner")
    succeed(NODE, "smtp_settings", parameters={"smtpd_banner": "odd ESMTP"}, task="Be odd")
    listed = " ".join(rollback().split())
    assert "Be odd" in listed and "set: smtpd_banner" in listed
    assert sh(NODE, "postconf -h smtpd_banner") == "odd ESMTP\n"
    rollback("-e", "smtp_rollback_to=previous")
    assert sh(NODE, "postconf -h smtpd_banner") == before
