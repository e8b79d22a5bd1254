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
  description: The active certificates for C(server) and C(client), each with the C(file) that Postfix is told to use.
  returned: success
  type: dict
  sample: {server: [{file: /etc/postfix/smtp_hardening/certificates/default/1.pem, self_signed: true}], client: []}
certificates:
  description: The certificates in the store, by name.
  returned: success
  type: dict
  sample: {default: {self_signed: true, days_left: 3649}}
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

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificates.describe import describe, utc_now
from ..module_utils._model.policies import as_facts
from ..module_utils._postfix import store
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.levels import read_client, read_server
from ..module_utils._postfix.state import read_state
from ..module_utils._transaction.history import past
from ..module_utils._work import COMMON_ARGUMENTS, attempt


def work(postfix: Postfix, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    state = read_state(postfix)
    now = utc_now()
    return {
        "changed": False,
        "postfix_version": state.effective["mail_version"],
        "server": as_facts(read_server(state.effective)),
        "client": as_facts(read_client(state.effective)),
        "active": {
            use: [
                {"file": path, **describe(chain.certificates, now)} for path, chain in store.active_chains(state, use)
            ]
            for use in store.USES
        },
        "certificates": {
            name: describe(store.stored_chain(state, name).certificates, now) for name in store.names(state)
        },
        "history": [state.as_facts() for state in past(postfix.config_dir)],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=dict(COMMON_ARGUMENTS), supports_check_mode=True)
    outcome = attempt(work, module.params, module.check_mode, module.run_command)
    outcome.report(module.warn, module.fail_json, module.exit_json)


if __name__ == "__main__":
    main()
