# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of hosts to which the role relay hands mail, as its variables make them."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

SMART = "[smtp.a.example]:587"


@pytest.fixture(scope="module")
def made():
    """A variable of the role, or an item of one, with these beside it."""
    loader = DataLoader()
    found = {}
    for name in ("defaults/main/main.yml", "defaults/main/base.yml", "vars/main.yml"):
        found.update(loader.load_from_file(str(RELAY.parent / name), trusted_as_template=True))

    def template(name, item=None, **over):
        value = found[name] if item is None else found[name][item]
        return Templar(loader=loader, variables={**found, **over}).template(value)

    return template


@pytest.mark.parametrize(
    ("over", "records"),
    [
        ({}, []),
        ({"relay_smarthost": SMART}, []),
        (
            {"relay_smarthost": SMART, "relay_smarthost_level": "encrypt"},
            [("smtp.a.example", SMART, False, "encrypt", None)],
        ),
        ({"relay_smarthost": SMART, "relay_smarthost_user": "ann"}, [("smtp.a.example", SMART, False, "secure", None)]),
        (
            {"relay_smarthost": "smtp.a.example:465"},
            [("smtp.a.example", "smtp.a.example:465", True, "secure", None)],
        ),
        (
            {"relay_smarthost": "[a.example]:4650", "relay_smarthost_implicit_tls": True},
            [("a.example", "[a.example]:4650", True, "secure", None)],
        ),
        (
            {
                "relay_smarthost": SMART,
                "relay_smarthost_level": "verify",
                "relay_smarthost_servername": "x.example",
                "relay_sender_smarthosts": {"@b.example": "[b.example]", "@c.example": SMART},
            },
            [
                ("smtp.a.example", SMART, False, "verify", "x.example"),
                ("b.example", "[b.example]", None, "verify", None),
            ],
        ),
        (
            {"relay_fallback_smarthosts": ["[b.example]:587"], "relay_smarthost_servername": "nexthop"},
            [("b.example", "[b.example]:587", None, "secure", "nexthop")],
        ),
    ],
)
def test_each_host_that_mail_is_handed_to_by_name_has_a_record(made, over, records):
    found = made("relay_hop_records", **over)
    assert [tuple(r[k] for k in ("name", "route", "implicit_tls", "level", "servername")) for r in found] == records


@pytest.mark.parametrize(
    ("smarthost", "by_starttls", "by_tls"),
    [
        ("", ["[b.example]"], []),
        (SMART, ["[b.example]"], []),
        ("[a.example]:465", None, [["[b.example]"]]),
    ],
)
def test_a_client_falls_back_on_hosts_that_speak_as_it_does(made, smarthost, by_starttls, by_tls):
    over = {
        "relay_smarthost": smarthost,
        "relay_fallback_smarthosts": ["[b.example]"],
    }
    assert made("relay_base_settings", "smtp_fallback_relay", **over) == by_starttls
    assert made("relay_implicit_tls_services", **over) == [
        {
            "name": "smtps/unix",
            "command": "smtp",
            "parameters": {"smtp_tls_wrappermode": True, "smtp_fallback_relay": hosts},
        }
        for hosts in by_tls
    ]
