# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks in which the controller signs for a node, and the node's half of them."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import read_certificates
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key

NAME = "relay : Bring the certificate"
HOST = "mx1.example.com"
NODE_KEY = make_key(KeySpec("ecdsa", 256))
INSTALLED = {"changed": True, "active": {"server": True, "client": True}}
NOBODYS = {"active": {"server": [], "client": []}, "trust": {"ca_file": "", "authorities": [], "pins": []}}
"""What smtp_tls_info returns of a node that belongs to no CA."""


class Node:
    """The module on the other side: asks for a signature once, then installs it."""

    def __init__(self, *answers, facts=None):
        self.answers = list(answers)
        self.facts = NOBODYS if facts is None else facts
        self.calls = []
        self.asked = []

    def execute(self, module_args=None, task_vars=None, module_name=None):
        if module_name is not None:
            self.asked.append((module_name, module_args))
            return self.facts
        self.calls.append(module_args)
        return self.answers.pop(0)


def asks(names=(HOST,), keys=(NODE_KEY,)):
    csr = b"".join(request(names, key) for key in keys).decode()
    return {"changed": True, "signing_request": {"csr": csr, "names": list(names)}}


def task(**own_ca):
    return {"name": "fleet", "provider": "own_ca", "own_ca": own_ca, "use": ["server", "client"]}


def sent(node, turn=1):
    """What the controller has signed for the node."""
    return read_certificates("signed", node.calls[turn]["own_ca"]["certificate"].encode())
