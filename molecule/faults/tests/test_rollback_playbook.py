# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rollback, as a person uses it."""

from tasks import playbook, succeed

testinfra_hosts = ["ssh://node1"]


def rollback(node, *words):
    return playbook("rollback", "-l", node, *words)


def test_the_last_change_is_listed_with_its_task_and_taken_back(host, node):
    before = host.check_output("postconf -h smtpd_banner")
    succeed(node, "smtp_settings", parameters={"smtpd_banner": "odd ESMTP"}, task="Be odd")
    listed = rollback(node)
    assert "Be odd" in listed and "set: smtpd_banner" in listed
    assert host.check_output("postconf -h smtpd_banner") == "odd ESMTP"
    rollback(node, "-e", "smtp_rollback_to=previous")
    assert host.check_output("postconf -h smtpd_banner") == before
