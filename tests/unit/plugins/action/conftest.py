# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_tls_cert
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _controller_files
from ansible_collections.mailfleet.smtp_hardening.tests.unit.signing_tasks import HOST, NAME


@pytest.fixture
def told(monkeypatch):
    """Run a task of the action that bears a module's name, on the controller; what the node is told, and how."""

    def run(action, module, args, name="relay : Do it", async_val=0):
        calls = []

        def execute(self, **call):
            calls.append(call)
            return {"changed": True}

        monkeypatch.setattr(action.ActionModule, "_execute_module", execute)
        task = SimpleNamespace(args=args, async_val=async_val, check_mode=False, action=module, get_name=lambda: name)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        result = action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, {})
        assert result == {"changed": True}
        (call,) = calls
        return call["module_args"], call["wrap_async"]

    return run


@pytest.fixture
def run(monkeypatch, files):
    """Run smtp_tls_cert on a task of one host, on the controller, against a node."""

    def go(node, args, check_mode=False, **variables):
        task = SimpleNamespace(
            args=args, async_val=0, check_mode=check_mode, action="smtp_tls_cert", get_name=lambda: NAME
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        monkeypatch.setattr(smtp_tls_cert.ActionModule, "_execute_module", node.execute)
        known = {"inventory_hostname": HOST, **variables}
        return smtp_tls_cert.ActionModule(task, connection, None, DataLoader(), None, None).run(None, known)

    return go


@pytest.fixture
def files(monkeypatch):
    """Ansible's own file lookup; outside a playbook run it goes by its short name only."""
    get = _controller_files.lookup_loader.get
    monkeypatch.setattr(
        _controller_files.lookup_loader, "get", lambda name, **options: get(name.rpartition(".")[2], **options)
    )


@pytest.fixture
def ca(fleet_ca):
    """The fleet's CA as content, its key with a passphrase."""
    return {
        "ca_certificate": certificates_pem([fleet_ca[0]]).decode(),
        "ca_private_key": write_key(fleet_ca[1], "secret").decode(),
        "ca_passphrase": "secret",
    }
