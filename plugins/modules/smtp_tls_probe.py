#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_tls_probe
short_description: See on the wire how SMTP listeners and deliveries are protected
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Talks SMTP to the node's own listeners, or to O(targets), and returns what was seen. Whether STARTTLS is offered and
    plaintext accepted, which TLS versions are spoken, which certificate is shown, and whether a client certificate is
    asked for. No message is sent.
  - With O(deliver) it sends one short message to each address through the node's own queue and returns what the log says
    of its delivery.
  - With O(rehearse) it asks Postfix's own client, posttls-finger, what the records of domains would do if they were enforced.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.attributes
options:
  targets:
    description:
      - Listeners to talk to. Left out, the node's own, each from the first of the node's addresses that it does not treat
        otherwise than its clients (C(source) of the result); an empty list for none.
    type: list
    elements: dict
    suboptions:
      address:
        description: Host name or IP address.
        type: str
        required: true
      port:
        description: TCP port.
        type: int
        default: 25
      name:
        description: The name that the certificate should carry. Default is O(targets[].address).
        type: str
      implicit_tls:
        description: Whether TLS begins before SMTP does, as on port 465 (RFC 8314).
        type: bool
        default: false
      proxy_protocol:
        description:
          - The version of the PROXY protocol in whose header a load balancer tells the listener who its client is, as with
            C(smtpd_upstream_proxy_protocol=haproxy). The node sends that header in its place. The node's own listeners are
            asked as C(main.cf) and C(master.cf) say.
        type: int
        choices: [1, 2]
  ca_file:
    description: PEM file on the node with the CAs to verify what the listeners show. Left out, nothing is verified.
    type: path
  deliver:
    description: Addresses to send one message each. Nothing is sent in check mode.
    type: list
    elements: str
    default: []
  sender:
    description: The envelope sender of those messages. The default is C(postmaster) at C(myhostname).
    type: str
  rehearse:
    description:
      - The records of M(mailfleet.smtp_hardening.smtp_domain_policy) to try at their own level, whatever their mode. A TLS
        session is made with the first host of each next hop that answers; no message is sent. Records for C(.domain)
        without a route are left out, since they name no domain to try.
      - What V(testing) mail would have waited for is written to Postfix's log as well, marked C(smtp_hardening). V(all) takes
        a second or so for each domain.
    type: str
    choices: [none, testing, all]
    default: none
  timeout:
    description: Seconds to wait for all deliveries.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: See what this node's own listeners show
  mailfleet.smtp_hardening.smtp_tls_probe:

- name: See whether the partner's gateway can be verified, and send it a message
  mailfleet.smtp_hardening.smtp_tls_probe:
    targets:
      - address: mx.partner.example
    ca_file: /etc/ssl/certs/ca-certificates.crt
    deliver: [postmaster@partner.example]
"""

RETURN = r"""
observations:
  description: >-
    What each listener showed; V(none) for what could not be seen. Of the node's own, the C(service) in C(master.cf) and, as
    C(problems), how that falls short of what is configured.
  returned: success
  type: list
  elements: dict
  sample:
    - service: smtp/inet
      listener: 127.0.0.1:25
      implicit_tls: false
      starttls: true
      plaintext: refused
      plaintext_reply: 530 5.7.0 Must issue a STARTTLS command first
      protocols: {TLSv1: refused, TLSv1.1: refused, TLSv1.2: refused, TLSv1.3: accepted}
      protocol: TLSv1.3
      cipher: TLS_AES_256_GCM_SHA384
      client_certificate: require
      with_own_certificate: true
      verified: true
      verify_error: null
      source: null
      proxy_protocol: {}
      error: null
      problems: []
deliveries:
  description: What became of each message of O(deliver).
  returned: success
  type: list
  elements: dict
  sample:
    - recipient: postmaster@partner.example
      message_id: 0c7d@mx1.example.com
      queue_id: 4Zx0
      status: sent
      relay: mx.partner.example[192.0.2.25]:25
      reply: "250 2.0.0 Ok: queued as 4Zx1"
      tls: Verified
      tls_detail: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
rehearsals:
  description: What enforcement would do to mail for each domain of O(rehearse).
  returned: success
  type: list
  elements: dict
  sample:
    - domain: partner.example
      level: secure
      next_hop: "[mx.partner.example]:25"
      delivered: false
      tls: Trusted
      reason: "server certificate verification failed for mx.partner.example[192.0.2.25]:25: num=62:hostname mismatch"
interrupted:
  description: >-
    A change that was killed in the middle and that this run has found and undone (in check mode, would undo), with the
    module, the task and the time that began it.
  returned: always; null where there was none
  type: dict
  sample: null
"""

import time
from typing import Callable, List, Optional

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificates.validity import utc_now
from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._errors import present
from ..module_utils._model.domains import DomainPolicy, Mode
from ..module_utils._model.levels import ClientLevel
from ..module_utils._postfix import store
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.records import current_folder, read_records
from ..module_utils._postfix.state import State, read_state
from ..module_utils._proof.connection import BINARY, TEXT, Target
from ..module_utils._proof.delivery import deliver
from ..module_utils._proof.listeners import Listener, own_listeners
from ..module_utils._proof.observe import Observation, observe
from ..module_utils._proof.prove import falls_short
from ..module_utils._proof.rehearsal import rehearse, report
from ..module_utils._proof.vantages import TURNED_AWAY, vantages
from ..module_utils._task.work import COMMON_ARGUMENTS

TARGET_ARGUMENTS = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 25},
    "name": {"type": "str"},
    "implicit_tls": {"type": "bool", "default": False},
    "proxy_protocol": {"type": "int", "choices": [TEXT, BINARY]},
}


PATIENCE = 3.0
"""Seconds in which a listener of the node may come to show what its configuration says."""


def records(state: State, which: str) -> List[DomainPolicy]:
    """Those whose level could hold mail back."""
    if which == "none":
        return []
    today = utc_now().date()
    found = [r for r in read_records(current_folder(state)) if r.level and not r.has_expired(today)]
    return [
        r
        for r in found
        if not r.next_hops[0].startswith(".")
        and r.level not in (ClientLevel.NONE, ClientLevel.MAY)
        and (which == "all" or r.mode is Mode.TESTING)
    ]


def work(postfix: Postfix, options: Options, check_mode: bool) -> Callable[[], Result]:
    """Reads the node; what talks to others does so without the lock."""
    state = read_state(postfix)
    wanted = records(state, options["rehearse"])
    return lambda: talk(postfix, state, options, wanted, check_mode)


def from_any(listener: Listener, look: Callable[[Target], Observation]) -> Observation:
    """As the first of the node's addresses sees it that is neither turned away nor offered no TLS; without one, as the first."""
    first: Optional[Observation] = None
    for target in vantages(listener.target, listener.state.effective):
        seen = look(target)
        if seen.starttls or seen.implicit_tls or not (seen.error is None or TURNED_AWAY.match(seen.error)):
            return seen
        first = first or seen
    return present(first)


def judged(postfix: Postfix, listener: Listener, look: Callable[[Target], Observation]) -> Result:
    """What one of the node's own listeners shows, and how that falls short of its configuration. Who falls short is asked
    again: processes from before a reload may answer once more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = from_any(listener, look)
        problems = falls_short(postfix, listener, seen)
        if not problems or time.monotonic() > deadline:
            return {"service": listener.service, **seen.as_facts(), "problems": problems}
        time.sleep(0.25)


def given(options: Options) -> Target:
    """One of O(targets)."""
    return Target(
        address=options["address"],
        port=options["port"],
        name=options["name"] or options["address"],
        implicit_tls=options["implicit_tls"],
        proxy_protocol=options.get("proxy_protocol"),
    )


def talk(postfix: Postfix, state: State, options: Options, wanted: List[DomainPolicy], check_mode: bool) -> Result:
    own_pem = store.own_client_pem(state)

    def look(target: Target) -> Observation:
        return observe(postfix.run, target, ca_file=options["ca_file"], own_pem=own_pem)

    if options["targets"] is None:
        seen = [judged(postfix, listener, look) for listener in own_listeners(state)]
    else:
        seen = [look(target).as_facts() for target in map(given, options["targets"])]
    sender = options["sender"] or f"postmaster@{state.effective['myhostname']}"
    recipients = [] if check_mode else options["deliver"]
    sent = deliver(postfix, state, sender, recipients, options["timeout"]) if recipients else []
    rehearsals = [rehearse(postfix, state, record) for record in wanted]
    for rehearsal in rehearsals:
        if not rehearsal.delivered and not check_mode:
            report(postfix, rehearsal)
    return {
        "changed": False,
        "rehearsals": [rehearsal.as_facts() for rehearsal in rehearsals],
        "observations": seen,
        "deliveries": [delivery.as_facts() for delivery in sent],
    }


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "targets": {"type": "list", "elements": "dict", "options": TARGET_ARGUMENTS},
            "ca_file": {"type": "path"},
            "deliver": {"type": "list", "elements": "str", "default": []},
            "sender": {"type": "str"},
            "rehearse": {"type": "str", "choices": ["none", "testing", "all"], "default": "none"},
            "timeout": {"type": "int", "default": 60},
            **COMMON_ARGUMENTS,
        },
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
