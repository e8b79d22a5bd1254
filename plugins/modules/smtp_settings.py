#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_settings
short_description: Set other parameters of Postfix with the same care
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Sets parameters of C(main.cf) that no other module of this collection owns, such as C(myhostname) or C(mynetworks),
    in one call. Staged, checked by Postfix, swapped in one step, proven on the node's own listeners, or undone.
  - What this collection demands of senders and clients stays first in C(smtpd_sender_restrictions),
    C(smtpd_client_restrictions) and C(smtpd_restriction_classes), whatever is set there.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.attributes
options:
  parameters:
    description:
      - Names and values as in postconf(5). V(none) takes a parameter out, so that Postfix's default holds.
      - Booleans become C(yes) and C(no), lists are joined by commas.
    type: dict
    required: true
notes:
  - Postfix reads C(inet_interfaces) and C(inet_protocols) at its start only; RV(restart_needed) says so.
"""

EXAMPLES = r"""
- name: Name the host and the networks that may relay through it
  mailfleet.smtp_hardening.smtp_settings:
    parameters:
      myhostname: mx1.example.com
      mynetworks: [127.0.0.0/8, "[::1]/128", 192.0.2.0/24]
      relayhost: null
"""

RETURN = r"""
pending:
  description: What differed, as parameters to set and to take out.
  returned: success
  type: dict
  sample: {set: {myhostname: mx1.example.com}, unset: [], services: []}
restart_needed:
  description: Whether a changed parameter needs more than the reload that was done.
  returned: success
  type: bool
  sample: false
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

from ..module_utils._model.settings import read_parameters
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.plan import plan_parameters
from ..module_utils._postfix.shared_lists import beside_ours
from ..module_utils._postfix.state import read_state
from ..module_utils._work import CHANGE_ARGUMENTS, Author, attempt, bring_about, restart


def work(postfix: Postfix, options: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    wanted = read_parameters(options["parameters"])
    state = read_state(postfix)
    plan = plan_parameters(state, beside_ours(state, wanted))
    result = bring_about(postfix, state, plan, check_mode, Author("smtp_settings", options["task"]))
    return {**result, **restart(plan.needs_restart)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"parameters": {"type": "dict", "required": True}, **CHANGE_ARGUMENTS},
        supports_check_mode=True,
    )
    outcome = attempt(work, module.params, module.check_mode, module.run_command)
    outcome.report(module.warn, module.fail_json, module.exit_json)


if __name__ == "__main__":
    main()
