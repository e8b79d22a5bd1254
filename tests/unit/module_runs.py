# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules do on a node with the options that Ansible hands to them, as a task would give them."""

from __future__ import annotations

import importlib

from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, task

CERTIFICATE = task("self_signed", SMALL, use=["server"])
NOTHING_ELSE = {"where_known": {}, "public_networks": [], "services": [], "secrets": {}, "allow_weaker": False}
SETTINGS = {**NOTHING_ELSE, "parameters": {"myhostname": "mx2.example.com"}, "task": "Name it"}
DOMAINS = {
    "domains": [{"name": "example.com", "local": True}],
    "src": None,
    "exclusive": False,
    "unlisted_senders": None,
    "policy_sources": None,
    "dnssec_test": None,
    "tls_required_no": None,
    "allow_weaker": False,
    "task": "Route it",
}
MODE = {"profile": None, "server": None, "client": None, "services": None, "allow_weaker": False, "task": None}
PROBE = {"targets": None, "ca_file": None, "deliver": [], "sender": None, "timeout": 0, "rehearse": "none"}


def load(name):
    return importlib.import_module(f"ansible_collections.mailfleet.smtp_hardening.plugins.modules.{name}")


def run(name, node, options, check_mode=False):
    found = load(name).work(node.postfix, options, check_mode)
    return found() if callable(found) else found


def host(node, name):
    return run("smtp_settings", node, {**SETTINGS, "parameters": {"myhostname": name}, "task": f"Call it {name}"})
