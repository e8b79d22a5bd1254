#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_domain_policy
short_description: Say for each domain how its mail is routed and protected
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Keeps the records of all domains in one call and renders from them the tables behind C(smtp_tls_policy_maps),
    C(transport_maps) and C(relay_domains), so that these cannot disagree.
  - Postfix looks a policy up by the next hop verbatim, so the key of a domain with a route is derived from the route.
  - Tables that an operator put into those parameters stay there, after ours.
  - Each table is built beside the old one and asked before C(main.cf) names it. After a change the module talks SMTP to
    the node's own listeners, and restores everything byte for byte where they fail.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.ratchet
  - mailfleet.smtp_hardening.smtp.attributes
options:
  domains:
    description: The records, one for each domain.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The domain, or C(.domain) for all names below it. Internationalized names as A-labels.
        type: str
        required: true
      state:
        description: Whether the record is wanted.
        type: str
        choices: [present, absent]
        default: present
      level:
        description: The level toward the domain's next hop (postconf(5), C(smtp_tls_policy_maps)). Left out, the default level holds.
        type: str
        choices: [none, may, encrypt, dane, dane-only, fingerprint, verify, secure]
      match:
        description:
          - DNS names that the next hop's certificate must carry at V(secure) and V(verify); SHA-256 fingerprints of
            its certificate or public key at V(fingerprint).
        type: list
        elements: str
        default: []
      route:
        description:
          - The next hop instead of what DNS says (transport(5)), as V([host]:port), V([host]), or a domain whose MX to
            ask. C(lmtp:) before it speaks LMTP.
        type: str
      local:
        description: Whether mail for the domain is accepted from anywhere (C(relay_domains)).
        type: bool
        default: false
  exclusive:
    description: Whether records that are not listed are removed.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Mail for a partner goes to its gateway, verified, or waits
  mailfleet.smtp_hardening.smtp_domain_policy:
    domains:
      - name: partner.example
        level: secure
        route: "[mx.partner.example]:25"
        match: [mx.partner.example]

- name: These domains and no others
  mailfleet.smtp_hardening.smtp_domain_policy:
    exclusive: true
    domains:
      - {name: example.com, local: true, route: "[mailstore.example.com]:24"}
      - {name: bank.example, level: encrypt}
"""

RETURN = r"""
before:
  description: The records before.
  returned: success
  type: list
  elements: dict
  sample: []
after:
  description: The records after, or in check mode those that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: partner.example, level: secure, match: [mx.partner.example], route: "smtp:[mx.partner.example]:25", local: false}
pending:
  description: What differed in C(main.cf), as parameters to set and to take out.
  returned: success
  type: dict
  sample: {set: {transport_maps: "lmdb:/etc/postfix/smtp_hardening/domains/1/transport"}, unset: [], services: []}
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

from ..module_utils._model.domains import read_domains
from ..module_utils._model.levels import VERIFY_WARNING, ClientLevel
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.domains import plan_domains
from ..module_utils._postfix.state import read_state
from ..module_utils._work import CHANGE_ARGUMENTS, Author, attempt, bring_about

DOMAIN_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "level": {"type": "str", "choices": ClientLevel.words()},
    "match": {"type": "list", "elements": "str", "default": []},
    "route": {"type": "str"},
    "local": {"type": "bool", "default": False},
}


def work(postfix: Postfix, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    present, absent = read_domains(options["domains"])
    state = read_state(postfix)
    domains = plan_domains(state, present, absent, options["exclusive"], options["allow_weaker"])
    return {
        **bring_about(postfix, state, domains.plan, check_mode, Author("smtp_domain_policy", options["task"])),
        "before": [record.as_facts() for record in domains.before],
        "after": [record.as_facts() for record in domains.after],
        "warnings": [f"{r.name}: {VERIFY_WARNING}" for r in present if r.level is ClientLevel.VERIFY],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domains": {"type": "list", "elements": "dict", "options": DOMAIN_ARGUMENTS, "required": True},
            "exclusive": {"type": "bool", "default": False},
            "allow_weaker": {"type": "bool", "default": False},
            **CHANGE_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    outcome = attempt(work, module.params, module.check_mode, module.run_command)
    outcome.report(module.warn, module.fail_json, module.exit_json)


if __name__ == "__main__":
    main()
