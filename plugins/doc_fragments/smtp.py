# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  config_dir:
    description:
      - The configuration directory of the Postfix instance, as C(postfix -c) takes it.
    type: path
    default: /etc/postfix
requirements:
  - Postfix 3.5 or later on the node
  - python3-cryptography 3.3.2 or later on the node
seealso:
  - name: Postfix TLS support
    description: The parameters behind the options.
    link: https://www.postfix.org/TLS_README.html
"""

    CHANGE = r"""
options:
  task:
    description:
      - Who makes this change, for the journal and the history that the node keeps. The task's name where it is left out.
    type: str
  unproven:
    description:
      - Listeners (C(name/type) in C(master.cf)) whose proof may fail, since they treat every address of the node otherwise than
        their clients. What was seen there stands in the result (C(unproven)) and in every later one, with a warning.
      - A listener that turns the node away, or hides STARTTLS from it, is first asked from the node's other addresses, and where
        connections are counted, from addresses of loopback that no client has.
      - Left out, those of the last proven change, as long as they cannot be proven. An empty list has all of them proven again.
    type: list
    elements: str
"""

    RATCHET = r"""
options:
  allow_weaker:
    description:
      - Whether mail may be protected less than before. V(true), or a list of the items that may fall, each as the refusal
        names it, such as C(client.level) or C(domain bank.example.level); C(client) covers all of its own.
      - Without it a change is refused after which a server, a client, or the way of a domain's mail (transport, next hop and
        policy, as Postfix would choose them) guaranteed less. The error lists each item before and after.
      - Tables that somebody else keeps (socketmap, ldap, ...) are asked for the TLS policies of the domains that a change touches,
        unless everything may fall. Where they do not answer within 30 seconds, the item C(policy_sources) of the domain falls.
    type: raw
    default: false
"""

    DNSSEC = r"""
options:
  dnssec_test:
    description: What the resolvers of the node are asked before DANE is switched on.
    type: dict
    suboptions:
      signed:
        description: A name in a signed zone, which a validating resolver vouches for.
        type: str
        default: "."
      bogus:
        description: A name in a zone with wrong signatures, which a validating resolver refuses to answer.
        type: str
        default: dnssec-failed.org
"""

    ATTRIBUTES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/mailfleet.smtp_hardening.smtp) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - mailfleet.smtp_hardening.smtp
  check_mode:
    description: Can run in check mode and tells what would change without changing it.
    support: full
  diff_mode:
    description: Returns what has changed, or would change, in diff format.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: Works where Postfix runs.
    support: full
    platforms: posix
"""
