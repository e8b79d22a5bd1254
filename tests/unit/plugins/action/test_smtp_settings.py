# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_settings as action


@pytest.mark.parametrize(
    "args",
    [
        {"parameters": {"relayhost": "[mx.example.com]", "mynetworks": ["127.0.0.0/8"]}},
        {"secrets": {"smtp_sasl_password_maps": {"mx.example.com": "ann:hidden"}}},
        {},
    ],
)
@pytest.mark.parametrize("async_val", [0, 300])
def test_settings_go_to_the_node_as_they_are_with_the_name_of_their_task(told, args, async_val):
    assert told(action, "smtp_settings", args, "relay : Do it", async_val) == (
        {"task": "relay : Do it", **args},
        async_val,
    )


def test_who_names_the_task_otherwise_is_believed(told):
    given, _async_val = told(action, "smtp_settings", {"task": "Ticket 7"})
    assert given == {"task": "Ticket 7"}
