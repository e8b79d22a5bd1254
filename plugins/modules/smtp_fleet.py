#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_fleet
short_description: Know on the controller what each node of a fleet is, and go no further while one is not ready
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - A fleet is all hosts of the inventory with the same C(smtp_profile) and the same CA in C(smtp_fleet_ca), whatever a run is
    limited to. Hosts without C(smtp_profile) belong to none.
  - What was last known of each node lies in one document on the controller, C(smtp_fleet_state), by default C(.smtp_fleet.json) in
    the inventory's folder. O(note) writes to it; O(every) reads it and asks no host, so that a run over some nodes knows of the
    others what the last run over them has seen. It holds no secret. Controllers that share a fleet share it, or hand it on.
  - Where there are several inventories, the host with C(smtp_profile) that comes first in them says where the document lies.
  - What was seen of a node counts for C(smtp_fleet_days) days, 7 by default. Nodes in C(smtp_absent) are out of the fleet for now.
  - Runs once for all hosts of the play, and only on the controller.
options:
  note:
    description:
      - The variable in which the hosts of the play have registered what M(mailfleet.smtp_hardening.smtp_tls_info) returned.
      - Nothing is written in check mode.
    type: str
  pending:
    description:
      - The variable of the hosts that says whether one of them is not as its profile says yet. Noted with the rest.
      - Of a host that does not have it, what was known before stays.
    type: str
  every:
    description:
      - What every node of the fleet must be, or the task fails with the names of those of which that is not known.
      - V(shows) a certificate of the fleet's CA, receiving and sending; V(trusts) that CA; V(uses_tls), which is to offer STARTTLS,
        and to use it when sending, in TLS 1.3; V(demands_nothing) of its peers, which are all hosts with the same CA, whatever their
        profile.
      - In check mode the hosts of the play are taken to be what a run would make of them.
    type: list
    elements: str
    choices: [shows, trusts, uses_tls, demands_nothing]
    default: []
  of:
    description: The hosts whose fleets are looked at. Those of the play, by default.
    type: list
    elements: str
  ca:
    description: The variable of the hosts that names the CA which O(every) means.
    type: str
    choices: [smtp_fleet_ca, smtp_next_fleet_ca]
    default: smtp_fleet_ca
  before:
    description: How the sentence begins with which the task fails.
    type: str
    default: Nothing of this is done
attributes:
  check_mode:
    description: Writes nothing, and says what a run would say.
    support: full
  diff_mode:
    description: Has nothing to show, for no node is changed.
    support: none
"""

EXAMPLES = r"""
- name: See what the nodes are
  mailfleet.smtp_hardening.smtp_tls_info:
  register: found

- name: Let no node demand certificates before all have one
  mailfleet.smtp_hardening.smtp_fleet:
    note: found
    every: [shows, trusts]
"""

RETURN = r"""
unready:
  description: By name, the nodes of which it is not known that they are what O(every) one is to be, and why.
  returned: always
  type: dict
  sample: {mx3: no run has looked at it yet}
may_demand_more:
  description:
    - The hosts of the play that do not demand everything of their peers yet that their inventory may have them demand. That is all
      that a node can demand under V(trusted_agents_strict), and TLS under V(lenient_default) with C(smtp_server), C(smtp_client) or
      C(smtp_services) whose level demands it.
  returned: always
  type: list
  elements: str
  sample: [mx1]
to_use_tls:
  description: The hosts of the play of whose fleet one host, in the play or not, may demand TLS of the others by its inventory.
  returned: always
  type: list
  elements: str
  sample: [mx1, mx2]
pending:
  description: The hosts of the play that were not as their profile says when they were noted.
  returned: always
  type: list
  elements: str
  sample: [mx1]
canaries:
  description: Those in RV(pending) that go first, by C(smtp_canary) of all hosts of the play, or else the first of them.
  returned: always
  type: list
  elements: str
  sample: [mx1]
"""
