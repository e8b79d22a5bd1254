# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_tls_mode as action


@pytest.mark.parametrize(
    "args",
    [
        {"profile": "trusted_agents_strict", "server": {"level": "encrypt"}},
        {"client": {"level": "secure", "match": ["hostname"]}, "allow_weaker": True},
        {"services": [{"name": "submission", "level": "encrypt"}]},
    ],
)
@pytest.mark.parametrize("async_val", [0, 300])
def test_a_mode_goes_to_the_node_as_it_is_with_the_name_of_its_task(told, args, async_val):
    assert told(action, "smtp_tls_mode", args, "relay : Do it", async_val) == (
        {"task": "relay : Do it", **args},
        async_val,
    )


def test_who_names_the_task_otherwise_is_believed(told):
    given, _async_val = told(action, "smtp_tls_mode", {"task": "Ticket 7"})
    assert given == {"task": "Ticket 7"}
