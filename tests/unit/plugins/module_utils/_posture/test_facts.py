# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.facts import as_facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.ratchet import posture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PARTNER, apply


def test_a_posture_is_plain_data_with_each_hop_and_what_has_chosen_it(node):
    node.append("smtp_tls_CAfile = /etc/ssl/ca.pem\ndefault_transport = smtp\n")
    apply(node, PARTNER)
    facts = as_facts(posture(node.postfix, node.state))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["servers"]["server"]["level"] == "none"
    assert facts["clients"]["smtp/unix"]["level"] == "none"
    way = facts["ways"]["partner.example"]
    assert (way["level"], way["match"]) == ("secure", ["dot-nexthop", "nexthop"])
    hop = {"transport": "smtp", "next_hop": "[mx.partner.example]:25", "by": "transport_maps"}
    assert way["hops"] == [{**hop, "policy": "[mx.partner.example]:25"}]
