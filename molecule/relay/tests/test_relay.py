# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay runs, knows its name, takes its own mail and relays for nobody else."""

from mail import fqdn, swaks


def test_postfix_runs_now_and_at_every_boot(host):
    assert host.service("postfix").is_running
    assert host.service("postfix").is_enabled


def test_it_greets_with_its_own_name(node):
    assert f"220 {fqdn(node)} ESMTP" in swaks(node, "--quit-after", "EHLO").stdout


def test_it_announces_the_size_limit(node):
    assert "250-SIZE 20971520" in swaks(node, "--quit-after", "EHLO").stdout


def test_mail_for_a_stranger_is_not_relayed(host, node):
    done = swaks(node, "--to", "somebody@stranger.test", "--quit-after", "RCPT")
    assert "Relay access denied" in done.stdout


def test_vrfy_is_not_announced(node):
    assert "250-VRFY" not in swaks(node, "--quit-after", "EHLO").stdout
