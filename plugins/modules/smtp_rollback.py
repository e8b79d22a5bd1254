#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_rollback
short_description: Bring a node back to one of its last ten states
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Puts C(main.cf) and C(master.cf) back as they were in a state that the node remembers, with the certificates, tables
    and trust files that they named. Staged, proven on a twin, swapped, proven on the live listeners, or undone, as any
    other change; it becomes the newest state in the history.
  - Changes made by hand since then are gone afterwards; the node remembers them as a state of their own.
  - M(mailfleet.smtp_hardening.smtp_tls_info) lists the states.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.ratchet
  - mailfleet.smtp_hardening.smtp.attributes
options:
  to:
    description:
      - The number of the state. Without it, the newest one that differs from what is in effect now, so a second run
        goes forward again.
    type: int
attributes:
  idempotent:
    description: A second run with the same O(to) changes nothing.
    support: partial
    details: Without O(to) each run goes to the state before the present one.
"""

EXAMPLES = r"""
- name: Undo the last change
  mailfleet.smtp_hardening.smtp_rollback:

- name: Go back to a state before strict
  mailfleet.smtp_hardening.smtp_rollback:
    to: 4
    allow_weaker: true
"""

RETURN = r"""
to:
  description: The state that was brought back.
  returned: success
  type: dict
  sample:
    number: 4
    time: "2026-11-24T12:00:00Z"
    module: smtp_tls_mode
    task: Set how mail is received and sent
    summary: "set: smtpd_tls_security_level"
    proven: true
restart_needed:
  description: Whether a parameter that came back needs more than the reload that was done.
  returned: success
  type: bool
  sample: false
pending:
  description: What differed, as whole files.
  returned: success
  type: dict
  sample: {set: {}, unset: [], services: [], services_gone: [], overrides: {}, contents: [main.cf]}
lowered:
  description: What protects less than before, which C(allow_weaker) let pass (in check mode, would).
  returned: success
  type: list
  elements: dict
  sample: []
proof:
  description: What each listener of the node showed after the change, as in M(mailfleet.smtp_hardening.smtp_tls_mode).
  returned: success, and when the proof fails
  type: list
  elements: dict
  sample: []
unproven:
  description: >-
    The listeners that the last proven change let pass by name (O(unproven)), each with the C(problem) that stood in the way of
    its proof. Of this run, or of an earlier one.
  returned: success
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


from ansible.module_utils.basic import AnsibleModule

from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._model.allowance import read_allowance
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.rollback import needs_restart, plan_rollback
from ..module_utils._postfix.state import read_state
from ..module_utils._task.work import CHANGE_ARGUMENTS, bring_about, restart
from ..module_utils._transaction.history import contents, find
from ..module_utils._transaction.journal import Author


def work(postfix: Postfix, options: Options, check_mode: bool) -> Result:
    past = find(postfix.config_dir, options["to"])
    now, then = read_state(postfix), read_state(postfix.at(past.folder))
    plan = plan_rollback(now, contents(postfix.config_dir, past))
    author, allowance = Author("smtp_rollback", options["task"]), read_allowance(options["allow_weaker"])
    result = bring_about(
        postfix,
        now,
        plan,
        check_mode=check_mode,
        author=author,
        allowance=allowance,
        unproven=options.get("unproven"),
    )
    restarting = restart(needs_restart(now, then))
    warnings = [*result["warnings"], *restarting["warnings"]]
    return {**result, "to": past.as_facts(), **restarting, "warnings": warnings}


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "to": {"type": "int"},
            "allow_weaker": {"type": "raw", "default": False},
            **CHANGE_ARGUMENTS,
        },
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
