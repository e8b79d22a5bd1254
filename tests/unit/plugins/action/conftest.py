# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader


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
