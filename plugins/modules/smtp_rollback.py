#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_rollback
short_description: Bring a node back to a state that it remembers, or to what it was without this collection
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Puts C(main.cf) and C(master.cf) back as they were in a state that the node remembers, with the certificates, tables
    and trust files that they named. Staged, proven on a twin, swapped, proven on the live listeners, or undone, as any
    other change; it becomes the newest state in the history.
  - A node remembers its last ten states and the first, number 1, in which it was found.
  - Changes made by hand since then are gone afterwards; the node remembers them as a state of their own.
  - A state that other means had made, and that was broken when it was found, is proven by behaving as it did then.
  - Where a file is gone that the state named, such as a certificate, the parameters or the service that named it stay as they
    are now, with a warning that says which; the certificates of one side stay together.
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
  state:
    description:
      - V(absent) takes out of the node what this collection has brought. What it set in C(main.cf) and C(master.cf) goes back to
        what it found, byte for byte where nobody else has edited these files since; then hooks, units, certificates, tables and
        the history go. The playbook C(remove) takes out what the role C(relay) brought as well.
      - What somebody has changed since it was set stays, and is returned in RV(theirs); where that names a file of the store,
        the file stays too.
    type: str
    choices: [present, absent]
    default: present
attributes:
  idempotent:
    description: A second run with the same O(to) changes nothing.
    support: partial
    details: With O(state=absent) too. Without either, each run goes to the state before the present one.
"""

EXAMPLES = r"""
- name: Undo the last change
  mailfleet.smtp_hardening.smtp_rollback:

- name: Go back to a state before strict
  mailfleet.smtp_hardening.smtp_rollback:
    to: 4
    allow_weaker: true

- name: Leave the node as it was found
  mailfleet.smtp_hardening.smtp_rollback:
    state: absent
    allow_weaker: true
"""

RETURN = r"""
to:
  description: The state that was brought back; with O(state=absent) the first one, null where nothing was brought.
  returned: success
  type: dict
  sample:
    number: 4
    time: "2026-11-24T12:00:00Z"
    module: smtp_tls_mode
    task: Set how mail is received and sent
    summary: "set: smtpd_tls_security_level"
    proven: true
theirs:
  description: >-
    With O(state=absent), what somebody has changed since it was set and what stays: C(file), C(name), its C(value), what was
    C(made) of it, and what was C(found).
  returned: success
  type: list
  elements: dict
  sample: [{file: main.cf, name: smtpd_banner, value: mx2 ESMTP, made: mx1 ESMTP, found: null}]
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
from ..module_utils._task.giving_back import work
from ..module_utils._task.work import CHANGE_ARGUMENTS


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "to": {"type": "int"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "allow_weaker": {"type": "raw", "default": False},
            **CHANGE_ARGUMENTS,
        },
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
