#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_tls_cert
short_description: Keep named certificates on a Postfix node and make them active for receiving and sending
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Keeps key and chain of a named certificate in the store below the configuration directory, readable by root alone,
    and names them in C(smtpd_tls_chain_files) and C(smtp_tls_chain_files).
  - A certificate is made anew only where the stored one does not fit the options or is about to expire.
  - After a change the module talks SMTP to each of the node's own listeners. Where they do not show the new
    certificate, everything is restored byte for byte and the task fails.
  - With O(provider=own_ca) the controller takes part through an action plugin. The node makes key and request, the
    controller signs, the node installs. The node's key never leaves the node, the CA's key never leaves the controller.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.attributes
requirements:
  - For O(provider=own_ca), the Python library cryptography on the controller too
options:
  name:
    description: The certificate's name in the store. Up to 64 letters, digits, C(-) and C(_).
    type: str
    default: default
  provider:
    description:
      - Where the certificate comes from. Its own options stand in the suboption of the same name.
      - V(self_signed) encrypts and proves no identity.
      - V(own_ca) is signed by a CA whose key lies on the controller. The CA's certificate becomes the store's trust file.
      - V(pem) installs a key and certificates that exist already.
    type: str
    choices: [self_signed, own_ca, pem]
    default: self_signed
  use:
    description: For what the certificate becomes active. A side that is not listed stays as it is.
    type: list
    elements: str
    choices: [server, client]
    default: []
  renew_before:
    description: A certificate that was made here and has fewer days left than this is made anew.
    type: int
    default: 30
  self_signed:
    description: Options of O(provider=self_signed). By default RSA 4096, signed with SHA-256.
    type: dict
    suboptions:
      key_type:
        description: The kind of key.
        type: str
        choices: [rsa, ecdsa]
        default: rsa
      key_size:
        description: Bits. 2048, 3072 or 4096 for RSA (default 4096), 256 or 384 for ECDSA (default 256).
        type: int
      names:
        description: DNS names in the certificate, the first one also as common name. Default is C(myhostname) of the node.
        type: list
        elements: str
      days:
        description: The lifetime. Default is 3650.
        type: int
  own_ca:
    description: Options of O(provider=own_ca). By default ECDSA P-256, which signs faster than RSA.
    type: dict
    suboptions:
      ca_certificate:
        description:
          - The CA's certificate in PEM, as a path on the controller or as content.
          - Several certificates, the issuing one first, where the CA is an intermediate.
        type: str
      ca_private_key:
        description: The CA's private key in PEM, as a path on the controller (a vaulted file too) or as content. It stays on the controller.
        type: str
      ca_passphrase:
        description: The passphrase of O(own_ca.ca_private_key).
        type: str
      ca_create:
        description:
          - Make a CA (ECDSA P-256, 10 years) on the controller at the paths O(own_ca.ca_certificate) and O(own_ca.ca_private_key)
            where neither file exists yet. With O(own_ca.ca_passphrase) the key is encrypted.
        type: bool
        default: false
      certificate:
        description: What the controller signed. Set by the action plugin; not for playbooks.
        type: str
      key_type:
        description: The kind of key.
        type: str
        choices: [rsa, ecdsa]
        default: ecdsa
      key_size:
        description: Bits. 2048, 3072 or 4096 for RSA (default 4096), 256 or 384 for ECDSA (default 256).
        type: int
      names:
        description: DNS names in the certificate, the first one also as common name. Default is C(myhostname) of the node.
        type: list
        elements: str
      days:
        description: The lifetime. Default is 90.
        type: int
  pem:
    description: Options of O(provider=pem).
    type: dict
    suboptions:
      private_key:
        description: The private key in PEM, as a path on the node or as content.
        type: str
        required: true
      certificate:
        description: The certificate and its intermediates in PEM, in any order, as a path on the node or as content.
        type: str
        required: true
      passphrase:
        description: The passphrase of O(pem.private_key). The key is stored without it, for root alone.
        type: str
notes:
  - In check mode no key is made, so the certificate's fingerprints are not known and RV(certificate) is V(none).
"""

EXAMPLES = r"""
- name: The Default Cert, self-signed RSA 4096, shown to clients that connect
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: default
    use: [server]

- name: A certificate of the fleet's own CA, for receiving and sending
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: fleet
    provider: own_ca
    own_ca:
      ca_certificate: files/fleet-ca.pem
      ca_private_key: files/fleet-ca.key
      ca_passphrase: "{{ fleet_ca_passphrase }}"
    use: [server, client]

- name: A certificate that another tool put on the node
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: public
    provider: pem
    pem:
      private_key: /etc/letsencrypt/live/mx.example.com/privkey.pem
      certificate: /etc/letsencrypt/live/mx.example.com/fullchain.pem
    use: [server]
"""

RETURN = r"""
certificate:
  description: What the certificate says. Never a byte of its key.
  returned: success, when the certificate exists
  type: dict
  sample:
    subject: CN=mx1.example.com
    issuer: CN=Fleet CA
    self_signed: false
    subject_alternative_names: [mx1.example.com]
    serial: 3F2A
    not_before: "2026-01-01T00:00:00Z"
    not_after: "2026-04-01T00:00:00Z"
    days_left: 89
    key_type: ecdsa
    key_size: 256
    signature_hash: sha256
    certificate_sha256: "5A:0F:(32 pairs)"
    public_key_sha256: "9C:41:(32 pairs)"
    chain: "-----BEGIN CERTIFICATE-----..."
chain_file:
  description: The file in the store with the key and its chain.
  returned: success
  type: str
  sample: /etc/postfix/smtp_hardening/certificates/default/1.pem
signing_request:
  description: What the action plugin signs between its two calls. Not for playbooks.
  returned: never to a playbook
  type: dict
  sample: {}
reason:
  description: Why the certificate was made anew, or would be; V(none) where the stored one stays.
  returned: success
  type: str
  sample: no certificate of this name is stored
active:
  description: For which side the certificate is active.
  returned: success
  type: dict
  sample: {server: true, client: false}
ca_file:
  description: The store's trust file, for C(ca_file) of M(mailfleet.smtp_hardening.smtp_tls_mode).
  returned: success
  type: str
  sample: /etc/postfix/smtp_hardening/trust/1.pem
pending:
  description: What differed in C(main.cf), as parameters to set and to take out.
  returned: success
  type: dict
  sample: {set: {smtpd_tls_chain_files: /etc/postfix/smtp_hardening/certificates/default/1.pem}, unset: [], services: []}
proof:
  description: What each listener of the node showed after the change, as in M(mailfleet.smtp_hardening.smtp_tls_mode).
  returned: success, and when the proof fails
  type: list
  elements: dict
  sample: []
restored:
  description: The configuration was brought back to what it was.
  returned: when a change failed after something was written
  type: bool
  sample: true
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

from ..module_utils._model.certificates import PROVIDERS, read_wish
from ..module_utils._postfix import store
from ..module_utils._postfix.certificates import plan_certificate, report
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.state import read_state
from ..module_utils._signing import begin_request
from ..module_utils._work import CHANGE_ARGUMENTS, Author, attempt, bring_about


def made_here(key_type: str) -> Dict[str, Any]:
    return {
        "key_type": {"type": "str", "choices": ["rsa", "ecdsa"], "default": key_type},
        "key_size": {"type": "int", "no_log": False},
        "names": {"type": "list", "elements": "str"},
        "days": {"type": "int"},
    }


OWN_CA_ARGUMENTS = {
    "ca_certificate": {"type": "str"},
    "ca_private_key": {"type": "str", "no_log": True},
    "ca_passphrase": {"type": "str", "no_log": True},
    "ca_create": {"type": "bool", "default": False},
    "certificate": {"type": "str"},
    **made_here("ecdsa"),
}
PEM_ARGUMENTS = {
    "private_key": {"type": "str", "required": True, "no_log": True},
    "certificate": {"type": "str", "required": True},
    "passphrase": {"type": "str", "no_log": True},
}


def work(postfix: Postfix, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    state = read_state(postfix)
    wish = read_wish(options, state.effective["myhostname"], store.read)
    planned = plan_certificate(state, wish, check_mode)
    facts = report(state, wish, planned)
    if planned.awaits_signature and not check_mode:
        return {**facts, "changed": True, "signing_request": begin_request(state, wish)}
    author = Author("smtp_tls_cert", options["task"])
    return {**bring_about(postfix, state, planned.plan, check_mode, author), **facts}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "default"},
            "provider": {"type": "str", "choices": list(PROVIDERS), "default": "self_signed"},
            "use": {"type": "list", "elements": "str", "choices": ["server", "client"], "default": []},
            "renew_before": {"type": "int", "default": 30},
            "self_signed": {"type": "dict", "options": made_here("rsa")},
            "own_ca": {"type": "dict", "options": OWN_CA_ARGUMENTS},
            "pem": {"type": "dict", "options": PEM_ARGUMENTS},
            **CHANGE_ARGUMENTS,
        },
        required_if=[("provider", "own_ca", ["own_ca"]), ("provider", "pem", ["pem"])],
        supports_check_mode=True,
    )
    outcome = attempt(work, module.params, module.check_mode, module.run_command)
    outcome.report(module.warn, module.fail_json, module.exit_json)


if __name__ == "__main__":
    main()
