#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_tls_info
short_description: Tell how a Postfix node protects SMTP now
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Returns the policies in effect for receiving and sending, the certificate store and the active certificates.
    Changes nothing.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.attributes
"""

EXAMPLES = r"""
- name: Ask how mail is protected on this node
  mailfleet.smtp_hardening.smtp_tls_info:
  register: smtp

- name: Show which certificate is served, to compare it across the fleet
  ansible.builtin.debug:
    msg: "{{ smtp.active.server | map(attribute='certificate_sha256') }}"
"""

RETURN = r"""
myhostname:
  description: The name with which Postfix introduces itself, and which MX records should give it.
  returned: success
  type: str
  sample: mx1.example.com
postfix_version:
  description: The version of Postfix.
  returned: success
  type: str
  sample: 3.10.13
server:
  description: The policy in effect for receiving.
  returned: success
  type: dict
  sample: {level: may, client_certificates: ignore, minimum_protocol: TLSv1.2, ciphers: medium, exclude_ciphers: [], ca_file: ""}
client:
  description: The policy in effect for sending.
  returned: success
  type: dict
  sample: {level: may, minimum_protocol: TLSv1.2, ciphers: medium, exclude_ciphers: [], ca_file: "", match: [], connection_reuse: false}
active:
  description: >-
    The active certificates for C(server) and C(client): what M(mailfleet.smtp_hardening.smtp_tls_cert) returns of a
    certificate, the C(file) that Postfix is told to use, and the C(name) in the store (null where it is not of the store).
    Compare C(certificate_sha256) and C(public_key_sha256) across nodes; C(tlsa) is what DNS is to say of the active ones.
  returned: success
  type: dict
  sample: {server: [{file: /etc/postfix/smtp_hardening/certificates/default/1.pem, name: default, self_signed: true}], client: []}
certificates:
  description: >-
    The store, by name: the chain file, for which side and which host names it is served, what its chains say, the tool on the
    node that renews it, if any, and C(next), the keys that are made and not served yet, with the TLSA records to announce.
  returned: success
  type: dict
  sample: {default: {active: {server: true, client: false}, sni: [], chains: [{self_signed: true, days_left: 3649}], renewed_by: null, next: null}}
sni:
  description: Each host name for which clients are shown a certificate of its own, and that certificate's name in the store.
  returned: success
  type: dict
  sample: {mail.example.net: public}
trust:
  description: The store's trust file, and the public keys of peers that are pinned.
  returned: success
  type: dict
  sample: {ca_file: /etc/postfix/smtp_hardening/trust/1.pem, pins: []}
domains:
  description: >-
    The records of M(mailfleet.smtp_hardening.smtp_domain_policy), C(expired) and C(in_force) (the level that counts today;
    null for the default) beside each.
  returned: success
  type: list
  elements: dict
  sample: [{name: partner.example, level: secure, mode: testing, expires: null, expired: false, in_force: may}]
unlisted_senders:
  description: What becomes of mail from domains that no record lets in.
  returned: success
  type: str
  sample: accept
history:
  description: The last proven states of the node, oldest first, to which M(mailfleet.smtp_hardening.smtp_rollback) goes back.
  returned: success
  type: list
  elements: dict
  sample:
    - number: 3
      time: "2026-11-24T12:00:00Z"
      module: smtp_tls_mode
      task: Set how mail is received and sent
      summary: "set: smtpd_tls_security_level"
      proven: true
interrupted:
  description: >-
    A change that was killed in the middle and that this run has found and undone (in check mode, would undo), with the
    module, the task and the time that began it.
  returned: always; null where there was none
  type: dict
  sample: null
"""

import datetime
from typing import Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificates.describe import describe
from ..module_utils._certificates.validity import utc_now
from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._hooks import renewed_by
from ..module_utils._model.domains import DomainPolicy
from ..module_utils._model.policies import as_facts
from ..module_utils._postfix import sni, store, supply, trust
from ..module_utils._postfix.certificates import describe_next
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.domains import current_folder, read_records
from ..module_utils._postfix.incoming import read_unlisted
from ..module_utils._postfix.levels import read_client, read_server
from ..module_utils._postfix.state import State, read_state
from ..module_utils._transaction.history import past
from ..module_utils._work import COMMON_ARGUMENTS


def stored(state: State, name: str, now: datetime.datetime) -> Dict[str, object]:
    """What the store holds under one name, and what it is used for."""
    path = store.current(state, name)
    return {
        "chain_file": path,
        "active": store.uses_of(state, name),
        "sni": list(sni.hosts_of(state, name)),
        "chains": [describe(chain.certificates, now) for chain in (store.stored_chains(state, name) if path else ())],
        "renewed_by": renewed_by(state, name),
        "next": describe_next(supply.next_kept(state, name)),
    }


def told(record: DomainPolicy, today: datetime.date) -> Dict[str, object]:
    """One domain's record, and what of it counts."""
    level = record.in_force(today).level
    return {
        **record.as_facts(),
        "expired": record.has_expired(today),
        "in_force": None if level is None else level.value,
    }


def work(postfix: Postfix, options: Options, check_mode: bool) -> Result:
    state = read_state(postfix)
    now = utc_now()
    return {
        "changed": False,
        "myhostname": state.effective["myhostname"],
        "postfix_version": state.effective["mail_version"],
        "server": as_facts(read_server(state.effective)),
        "client": as_facts(read_client(state.effective)),
        "active": {
            use: [
                {"file": path, "name": store.stored_name(state, path), **describe(chain.certificates, now)}
                for path, chain in store.active_chains(state, use)
            ]
            for use in store.USES
        },
        "certificates": {name: stored(state, name, now) for name in store.names(state)},
        "sni": {host: store.name_of(path) for host, path in sni.served(state).items()},
        "trust": {"ca_file": store.trust_file(state), "pins": list(trust.pins(state))},
        "domains": [told(record, now.date()) for record in read_records(current_folder(state))],
        "unlisted_senders": read_unlisted(state).value,
        "history": [state.as_facts() for state in past(postfix.config_dir)],
    }


def main() -> None:
    conduct(AnsibleModule, work, argument_spec=dict(COMMON_ARGUMENTS), supports_check_mode=True)


if __name__ == "__main__":
    main()
