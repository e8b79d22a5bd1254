# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_proof_failures import FilterModule, proof_failures
from ansible_collections.mailfleet.smtp_hardening.tests.unit.recorded_fleet import LISTENER, mail, node

STRANGE = {**LISTENER, "problems": ["answers \x1b[2J"]}
SEEN = {"observations": [STRANGE], "deliveries": [mail("mx2", "bounced", "550 5.1.1 unknown", None)]}


def test_each_failure_of_the_hosts_is_told_with_its_node_and_can_be_shown():
    hostvars = {"mx1": node("mx1", smtp_harden_seen=SEEN), "mx2": node("mx2"), "mx3": {}}
    found = proof_failures(["mx1", "mx2", "mx3"], hostvars)
    assert [(one["node"], one["kind"]) for one in found] == [("mx1", "listener"), ("mx1", "mail"), ("mx3", "stopped")]
    assert found[0]["reason"] == r"smtp/inet at 127.0.0.1:25 answers \x1b[2J"
    assert set(found[0]) == {"node", "kind", "about", "reason", "remedy"}


def test_it_is_a_filter():
    assert FilterModule().filters() == {"smtp_proof_failures": proof_failures}
