#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_fleet_ca
short_description: Find or make the fleet's CA on the controller, and stop at a node that belongs to another
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Makes sure that the CA which signs for the fleet is on the controller, and that a node neither holds a certificate of another CA
    nor trusts one in its place, as where two controllers have made one each. The playbooks C(create_fleet_ca), C(harden) and
    C(rotate_certificates) ask it of every node before they change any.
  - It runs on the controller alone, as an action plugin. No node is called.
attributes:
  action:
    description: Runs as an action plugin on the controller.
    support: full
  check_mode:
    description: Can run in check mode and tells what would be made without making it.
    support: full
  diff_mode:
    description: Returns what has changed in diff format.
    support: none
  platform:
    description: The controller, whatever the node runs.
    support: full
    platforms: posix
requirements:
  - The Python library cryptography on the controller
options:
  fleet_ca:
    description:
      - The CA, as O(mailfleet.smtp_hardening.smtp_tls_cert#module:own_ca). Of its options C(ca_certificate), C(ca_private_key),
        C(ca_passphrase) and C(next_ca) count, where a relative path is in the folder of the host's inventory.
    type: dict
    required: true
  next_fleet_ca:
    description: The CA that will follow, in the same words. A node may belong to either.
    type: dict
  authorities:
    description: Other CAs that a node may hold a certificate of or trust, as partners' are, each in PEM, as a path on the controller or as content.
    type: list
    elements: str
    default: []
  node:
    description: What M(mailfleet.smtp_hardening.smtp_tls_info) has returned of the node. Without it no node is looked at.
    type: dict
  create:
    description:
      - Make O(fleet_ca), or O(next_fleet_ca) where that is given, where neither its certificate nor its key is there (ECDSA P-256, 10
        years). With C(ca_passphrase) the key is encrypted. Each CA that is made has a name of its own.
      - A path inside a collection is refused, since the next installation of the collection deletes the folder. So is a relative path
        where the inventory lies in a folder that does not last, below C(/tmp), C(/var/tmp), C(/run), C(/dev/shm), C(/runner) or
        C(TMPDIR). An absolute path there is taken for what its author wants.
    type: bool
    default: false
seealso:
  - module: mailfleet.smtp_hardening.smtp_tls_cert
  - module: mailfleet.smtp_hardening.smtp_tls_info
"""

EXAMPLES = r"""
- name: Make the CA once, and never for a node that belongs to another
  mailfleet.smtp_hardening.smtp_fleet_ca:
    fleet_ca:
      ca_certificate: ca/fleet-ca.pem
      ca_private_key: ca/fleet-ca.key
      ca_passphrase: "{{ fleet_ca_passphrase }}"
    node: "{{ smtp_tls_info }}"
    create: true
  register: fleet_ca

- name: Say where it is
  ansible.builtin.debug:
    msg: "{{ fleet_ca.said }}"
"""

RETURN = r"""
authorities:
  description: The certificates of the CAs that are on the controller, by name and serial number.
  returned: success
  type: list
  elements: str
  sample: ["CN=SMTP fleet CA 2026-11-28 3F2A9C41 (serial 5D3C)"]
said:
  description: With O(create), for each CA, where it is, and what to do about it.
  returned: success
  type: list
  elements: str
  sample: ["The fleet's CA is there: its certificate is /srv/mail/ca/fleet-ca.pem, its key /srv/mail/ca/fleet-ca.key."]
"""
