# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import change as change_module
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import handover
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, write


def test_the_daemons_of_this_master_are_waited_for_by_the_name_under_which_they_were_found(node, monkeypatch):
    write(f"{node.queue_dir}/pid/master.pid", "4711\n")
    node.append("smtp_tls_connection_reuse = yes\nsmtp_tls_chain_files = /a.pem\n")
    waited = []
    monkeypatch.setattr(change_module, "daemons", lambda master, name: [(master, name)])
    monkeypatch.setattr(handover, "wait_for_end", lambda *given: waited.append(given))
    change(node, Plan(set={"smtp_tls_chain_files": "/b.pem"}))
    assert waited == [([(4711, name)], 4711, name) for name in ("smtp", "tlsproxy")]
