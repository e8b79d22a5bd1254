# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the posture share: configurations of a node with tables of their own."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.configuration import Configuration
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.maps import Maps
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.posture import read_posture
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import TODAY
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


def table(node, name, rows, kind="hash"):
    """An operator's own table, built: how main.cf names it."""
    path = write(node.path(name), "".join(f"{key}\t{value}\n" for key, value in rows.items()))
    node.postfix.build_table(path, kind)
    return f"{kind}:{path}"


def configured(node, parameters=None, planned=None):
    """The configuration of a node, once main.cf says so too."""
    node.append("".join(f"{name} = {value}\n" for name, value in (parameters or {}).items()))
    return Configuration(node.state, Maps(node.postfix, planned or {}), planned or {})


def posture(node, parameters=None, today=TODAY):
    return read_posture(configured(node, parameters), today)


def service(node, key):
    """An entry of master.cf."""
    return node.state.service(*key.split("/"))


def said(protections):
    """Protections as a person reads them."""
    return {name: None if value is None else str(value) for name, value in protections.items()}


def weaker(node, parameters=None, services=None, unset=()):
    """What falls, as a person reads it, once main.cf says so and master.cf has these entries."""
    before = posture(node)
    node.postfix.edit(parameters or {}, unset)
    if services is not None:
        node.services = services
    return [str(item) for item in posture(node).weaker_than(before)]
