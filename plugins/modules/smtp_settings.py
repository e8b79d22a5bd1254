#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_settings
short_description: Set other parameters and services of Postfix with the same care
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Sets parameters of C(main.cf) that no other module of this collection owns, such as C(myhostname) or C(mynetworks),
    and entries of C(master.cf) in one call. Staged, checked by Postfix, swapped in one step, proven on the node's own listeners, or undone.
  - What this collection demands of senders and clients stays first in C(smtpd_sender_restrictions),
    C(smtpd_client_restrictions) and C(smtpd_restriction_classes), whatever is set there.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.ratchet
  - mailfleet.smtp_hardening.smtp.attributes
options:
  parameters:
    description:
      - Names and values as in postconf(5). V(none) takes a parameter out, so that Postfix's default holds.
      - Booleans become C(yes) and C(no), lists are joined by commas.
      - C(mynetworks) must not let everybody relay; see O(public_networks).
    type: dict
    default: {}
  where_known:
    description:
      - The same for parameters that not every version of Postfix has. One that this Postfix does not know is passed over.
    type: dict
    default: {}
  public_networks:
    description:
      - Ranges of public addresses that C(mynetworks) may hold. Any other is refused, a single address is not. A prefix of
        length 0 is always refused.
      - What a file or a table holds is not written out in the task, so new ranges in it, and a new table, need O(allow_weaker).
    type: list
    elements: str
    default: []
  services:
    description:
      - Entries of C(master.cf), such as listeners. An entry keeps what is not named here.
      - How TLS protects an entry that is there already is what O(services) of M(mailfleet.smtp_hardening.smtp_tls_mode)
        sets; a new listener is protected from its first moment where its TLS parameters are given here.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The service as C(name/type) in the first two columns of C(master.cf). C(/inet) may be left out.
        type: str
        required: true
      state:
        description: Whether the entry is to be there.
        type: str
        choices: [present, absent]
        default: present
      command:
        description: The daemon, without arguments. Needed where the entry is not there yet.
        type: str
      chroot:
        description: Whether it runs in a chroot. A new entry does what the entry C(smtp/unix) does.
        type: bool
      process_limit:
        description:
          - How many of its processes run at most; V(0) for no limit, V(default) for C(default_process_limit).
          - Daemons that run with one limit only, such as C(tlsproxy) and C(postscreen), get it without being told.
        type: str
      parameters:
        description: Parameters that hold for this entry alone (C(-o)). V(none) takes one out.
        type: dict
        default: {}
  secrets:
    description:
      - Lookup tables whose values are secrets, as key and value by the parameter that names the table, which can be
        C(smtp_sasl_password_maps). The module makes the table, readable by root alone, and names it in C(main.cf).
      - An empty table takes the parameter out. Values are in no output, diff or log.
    type: dict
    default: {}
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
    public_networks: [192.0.2.0/24]

- name: Take mail of users who log in, over TLS from the first byte (RFC 8314)
  mailfleet.smtp_hardening.smtp_settings:
    services:
      - name: submissions
        command: smtpd
        parameters:
          syslog_name: postfix/submissions
          smtpd_tls_wrappermode: true
          smtpd_sasl_auth_enable: true
          smtpd_relay_restrictions: [permit_sasl_authenticated, reject]

# A record with level: secure and this route comes before (smtp_domain_policy), or no password is shown. The role relay does both.
- name: Hand everything to the provider's server, where we log in
  mailfleet.smtp_hardening.smtp_settings:
    parameters:
      relayhost: "[smtp.provider.example]:587"
      smtp_sasl_auth_enable: true
      smtp_sasl_tls_security_options: [noanonymous, noplaintext]
      smtp_sasl_tls_verified_security_options: [noanonymous]
    secrets:
      smtp_sasl_password_maps:
        "[smtp.provider.example]:587": "{{ provider_user }}:{{ vaulted_provider_password }}"
"""

RETURN = r"""
pending:
  description: What differed, as parameters to set and to take out.
  returned: success
  type: dict
  sample: {set: {myhostname: mx1.example.com}, unset: [], services: [], services_gone: [], overrides: {}, contents: []}
restart_needed:
  description: Whether a changed parameter needs more than the reload that was done.
  returned: success
  type: bool
  sample: false
next_hops:
  description: >-
    The servers that are logged in to with O(secrets) of this run, and those that are held to more than before, or to something else, each asked before
    the change, as in M(mailfleet.smtp_hardening.smtp_tls_mode); C(login) is whether name and password were taken, after TLS that
    was verified at level V(secure) or V(verify). No mail is sent.
  returned: success
  type: list
  elements: dict
  sample: []
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

from typing import Callable, Union

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._model.allowance import Allowance, read_allowance
from ..module_utils._model.entries import read_entries
from ..module_utils._model.networks import are_written_out
from ..module_utils._model.secrets import read_secrets
from ..module_utils._model.settings import read_settings
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.settings import SettingsWish, plan_settings
from ..module_utils._postfix.state import read_state
from ..module_utils._task.asking import Asked, Change, ask_first
from ..module_utils._task.work import CHANGE_ARGUMENTS, bring_about, restart
from ..module_utils._transaction.journal import Author

SERVICE_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "command": {"type": "str"},
    "chroot": {"type": "bool"},
    "process_limit": {"type": "str"},
    "parameters": {"type": "dict", "default": {}},
}


def work(postfix: Postfix, options: Options, check_mode: bool) -> Union[Result, Callable[[], Result]]:
    """Servers that are logged in to are asked first, without the lock."""
    wish = SettingsWish(
        settings=read_settings(options["parameters"], options["where_known"], options["public_networks"]),
        entries=read_entries(options["services"], options["public_networks"]),
        secrets=read_secrets(options["secrets"]),
    )
    state = read_state(postfix)
    plan = plan_settings(state, wish)
    change = Change(plan, _allowance(options), check_mode, wish.passwords if plan.files else {})

    def carry_out(asked: Asked) -> Result:
        result = bring_about(
            postfix,
            state,
            plan,
            check_mode=check_mode,
            author=Author("smtp_settings", options["task"]),
            compared=asked.compared,
            unproven=options.get("unproven"),
        )
        restarting = restart(plan.needs_restart)
        warnings = [*result["warnings"], *restarting["warnings"], *asked.warnings()]
        return {**result, **restarting, "next_hops": asked.facts(), "warnings": warnings}

    return ask_first(postfix, state, change, carry_out)


def _allowance(options: Options) -> Allowance:
    """Networks that the task writes out have been looked at (public_networks)."""
    stated = [options["parameters"], *(service.get("parameters") or {} for service in options["services"])]
    networks = [values["mynetworks"] for values in stated if "mynetworks" in values]
    said = {"relay_networks"} if networks and all(map(are_written_out, networks)) else set()
    return read_allowance(options["allow_weaker"], frozenset(said))


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "parameters": {"type": "dict", "default": {}},
            "where_known": {"type": "dict", "default": {}},
            "public_networks": {"type": "list", "elements": "str", "default": []},
            "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE_ARGUMENTS},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "allow_weaker": {"type": "raw", "default": False},
            **CHANGE_ARGUMENTS,
        },
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
