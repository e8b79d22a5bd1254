# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _named_task as action


@pytest.mark.parametrize(
    ("name", "args", "sent"),
    [
        ("Set it", {"profile": "lenient_default"}, {"task": "Set it", "profile": "lenient_default"}),
        ("lenient_default : Set it", {}, {"task": "lenient_default : Set it"}),
        (" Set it\n", {}, {"task": "Set it"}),
        ("Set it", {"task": "Set by the night's run"}, {"task": "Set by the night's run"}),
    ],
)
@pytest.mark.parametrize("async_val", [0, 45])
def test_the_node_is_told_which_task_changes_it_also_in_the_background(monkeypatch, name, args, sent, async_val):
    calls = []

    def execute(self, **call):
        calls.append(call)
        return {"changed": True}

    monkeypatch.setattr(action.ActionModule, "_execute_module", execute)
    task = SimpleNamespace(
        args=args, async_val=async_val, check_mode=False, action="smtp_settings", get_name=lambda: name
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
    result = action.ActionModule(task, connection, None, DataLoader(), None, None).run(None, {"a": 1})
    assert result == {"changed": True}
    assert calls == [{"module_args": sent, "task_vars": {"a": 1}, "wrap_async": async_val}]
