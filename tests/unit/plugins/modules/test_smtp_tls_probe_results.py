# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at and what is sent."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import PROBE, load, run


def test_a_probe_looks_at_a_target_and_sends_nothing_in_check_mode(node, listen, tmp_path):
    server = listen()
    target = {"address": "127.0.0.1", "port": server.port, "name": "mx1.example.com", "implicit_tls": False}
    options = {**PROBE, "targets": [target], "ca_file": str(tmp_path / "fleet-ca.pem"), "deliver": ["a@mx2"]}
    result = run("smtp_tls_probe", node, options, check_mode=True)
    assert result["observations"][0]["verified"] is True
    assert (result["changed"], result["deliveries"]) == (False, [])
    assert not [argv for argv in node.commands if argv[0] == "sendmail"]


def test_a_probe_looks_at_the_nodes_own_listeners_where_no_target_is_named(node, listen):
    server = listen(level="encrypt")
    node.services = f"127.0.0.1:{server.port} inet n - y - - smtpd\n"
    (seen,) = run("smtp_tls_probe", node, PROBE)["observations"]
    assert (seen["listener"], seen["plaintext"]) == (f"127.0.0.1:{server.port}", "refused")


def test_a_probe_sends_as_postmaster_of_the_node(node, tmp_path):
    node.write(f"maillog_file = {tmp_path / 'mail.log'}\nmyhostname = mx7.example.com\n")
    sent = []

    def command(argv, stdin=None):
        sent.append(argv)
        return node.run(argv, stdin) if argv[0] != "sendmail" else Completed(0, "", "")

    options = {**PROBE, "targets": [], "deliver": ["a@mx2"], "timeout": -1}
    result = load("smtp_tls_probe").work(Postfix(command, node.config_dir), options, False)()
    assert result["deliveries"][0]["status"] is None
    assert sent[-1][4:6] == ["-f", "postmaster@mx7.example.com"]
