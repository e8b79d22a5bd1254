# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role relay makes of the hosts that mail is handed to, where no list of all records stands in the inventory."""

from __future__ import annotations

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

ROLE = RELAY.parent
SMART = "[smtp.example]:587"
LOGIN = {"relay_smarthost": SMART, "relay_smarthost_user": "ann", "relay_smarthost_password": "secret"}


def made(name, **over):
    """A variable of the role."""
    return _templar(over).template(trust_as_template(f"{{{{ {name} }}}}"))


def _templar(over):
    loader, found = DataLoader(), {}
    for part in ("defaults/main/main.yml", "defaults/main/base.yml", "vars/main.yml"):
        found.update(loader.load_from_file(str(ROLE / part), trusted_as_template=True))
    return Templar(loader=loader, variables={**found, "inventory_hostname": "a.example", **over})


def record(name, route, **over):
    return {"name": name, "route": route, "implicit_tls": None, "level": "secure", "servername": None, **over}


@pytest.mark.parametrize(
    ("over", "records"),
    [
        ({}, []),
        ({"relay_smarthost": SMART}, []),
        (
            {"relay_smarthost": SMART, "relay_smarthost_level": "encrypt"},
            [record("_587._tcp.smtp.example", SMART, implicit_tls=False, level="encrypt")],
        ),
        (LOGIN, [record("_587._tcp.smtp.example", SMART, implicit_tls=False)]),
        (
            {"relay_smarthost": "[smtp.example]:465"},
            [record("_465._tcp.smtp.example", "[smtp.example]:465", implicit_tls=True)],
        ),
        (
            {"relay_smarthost": "[smtp.example]:4650", "relay_smarthost_implicit_tls": True},
            [record("_4650._tcp.smtp.example", "[smtp.example]:4650", implicit_tls=True)],
        ),
        (
            {**LOGIN, "relay_smarthost": "smtp.example", "relay_smarthost_servername": "nexthop"},
            [record("smtp.example", "smtp.example", servername="nexthop", implicit_tls=False)],
        ),
        (
            {
                **LOGIN,
                "relay_fallback_smarthosts": ["[smtp.example]:25"],
                "relay_sender_smarthosts": {"@b.example": SMART},
            },
            [
                record("_587._tcp.smtp.example", SMART, implicit_tls=False),
                record("_25._tcp.smtp.example", "[smtp.example]:25"),
            ],
        ),
        (
            {
                **LOGIN,
                "relay_smarthost_level": "verify",
                "relay_smarthost_servername": "x.example",
                "relay_sender_smarthosts": {"@b.example": "[b.example]"},
            },
            [
                record("_587._tcp.smtp.example", SMART, implicit_tls=False, level="verify", servername="x.example"),
                record("b.example", "[b.example]", level="verify"),
            ],
        ),
        (
            {"relay_fallback_smarthosts": ["[b.example]:587"], "relay_smarthost_servername": "nexthop"},
            [record("_587._tcp.b.example", "[b.example]:587", servername="nexthop")],
        ),
        (
            {"relay_fallback_smarthosts": ["[2001:db8::1]:587"]},
            [record("_587._tcp.2001-db8--1", "[2001:db8::1]:587")],
        ),
    ],
)
def test_each_host_and_port_has_a_record_of_its_own(over, records):
    assert made("relay_hop_records", **over) == records


@pytest.mark.parametrize(
    ("over", "listed"),
    [
        ({}, False),
        ({"smtp_domains_src": ""}, False),
        ({"smtp_domains": []}, True),
        ({"smtp_domains_src": "all.yml"}, True),
    ],
)
def test_a_list_of_all_records_is_the_only_place_for_them(over, listed):
    assert made("relay_records_are_listed", **over) is listed


@pytest.mark.parametrize(
    ("smarthost", "implicit_tls", "transport"),
    [
        (SMART, False, "smtp"),
        (SMART, True, "smtps"),
        ("[hub.example]:465", False, "smtp"),
        ("[hub.example]", False, "smtp"),
    ],
)
def test_a_senders_host_is_spoken_to_as_the_smarthost_is(smarthost, implicit_tls, transport):
    over = {"relay_smarthost": smarthost, "relay_smarthost_implicit_tls": implicit_tls}
    senders = {"ann@b.example": smarthost, "@c.example": "[c.example]:465"}
    table = f"inline:{{{{ ann@b.example = {transport}:{smarthost} }}, {{ @c.example = smtps:[c.example]:465 }}}}"
    assert made("relay_sender_transports", **over, relay_sender_smarthosts=senders) == table


@pytest.mark.parametrize(("port", "main", "own"), [("587", True, False), ("465", False, True)])
def test_who_comes_second_is_asked_by_the_client_that_speaks_as_it_does(port, main, own):
    hosts = [f"[second.example]:{port}"]
    over = {"relay_smarthost": f"[smtp.example]:{port}", "relay_sender_smarthosts": {"@b.example": "[b.example]:465"}}
    found = {"stdout": "mail_version = 3.10.1"}
    by_main = made("relay_base_settings_on_demand", **over, relay_found=found, relay_fallback_smarthosts=hosts)[
        "smtp_fallback_relay"
    ]
    service = made("relay_implicit_tls_services", **over, relay_fallback_smarthosts=hosts)[0]
    assert (by_main or [], service["parameters"]["smtp_fallback_relay"] or []) == (hosts * main, hosts * own)


@pytest.mark.parametrize(
    ("over", "refused"),
    [
        (LOGIN, None),
        ({}, None),
        ({"relay_local_domains": [{"name": "b.example"}]}, None),
        (
            {"relay_local_domains": [{"name": "b.example"}], "smtp_domains_src": "all.yml"},
            "Know where the records of domains stand",
        ),
        ({"relay_hostname": "a"}, "Know a host name that other servers take"),
        ({"relay_smarthost": "[smtp.example]:submission"}, "Know where mail is handed to"),
        ({"relay_smarthost": "smtps://smtp.example"}, "Know where mail is handed to"),
        ({"relay_sender_smarthosts": {"@b.example": "[b.example"}}, "Know where mail is handed to"),
        ({**LOGIN, "relay_smarthost_user": ""}, "Know who logs in where"),
        ({**LOGIN, "relay_smarthost_password": ""}, "Know who logs in where"),
        ({**LOGIN, "relay_smarthost": ""}, "Know who logs in where"),
        ({**LOGIN, "relay_smarthost_user": "a:b"}, "Know names and passwords as they were written"),
        ({**LOGIN, "relay_smarthost_password": 83}, "Know names and passwords as they were written"),
        ({**LOGIN, "relay_credentials": [{"for": SMART, "user": "b", "password": "c"}]}, "Know one password for each"),
        ({"relay_sender_smarthosts": {"b.example": SMART}}, "Know senders as Postfix looks them up"),
        ({"relay_sender_smarthosts": {"a@b.example } , { c": SMART}}, "Know senders as Postfix looks them up"),
        ({"relay_sender_smarthosts": {"a=b@b.example": SMART}}, "Know senders as Postfix looks them up"),
        (
            {**LOGIN, "relay_fallback_smarthosts": ["smtp.example:587"]},
            "Know each of these hosts by one spelling",
        ),
        ({**LOGIN, "relay_fallback_smarthosts": ["smtp.example:587"], "smtp_domains": []}, None),
        (
            {**LOGIN, "relay_fallback_smarthosts": ["[b.example]:465"]},
            "Know that who comes second speaks as who comes first",
        ),
        (
            {**LOGIN, "relay_smarthost": "[smtp.example]:465", "relay_fallback_smarthosts": ["[b.example]:587"]},
            "Know that who comes second speaks as who comes first",
        ),
    ],
)
def test_what_postfix_would_read_otherwise_is_refused(over, refused):
    templar = _templar(over)
    checks = {
        task["name"]: [task["ansible.builtin.assert"]["that"]]
        for task in yaml.safe_load((ROLE / "tasks" / "checks.yml").read_text())
    }
    failed = [
        name
        for name, (that,) in checks.items()
        for condition in (that if isinstance(that, list) else [that])
        if not templar.evaluate_conditional(trust_as_template(condition))
    ]
    assert failed[:1] == ([refused] if refused else [])


@pytest.mark.parametrize(
    ("check_mode", "changed", "given", "now"),
    [
        (True, True, False, ["other mail.level"]),
        (True, True, ["passwords"], ["passwords", "other mail.level"]),
        (True, True, True, True),
        (True, False, False, False),
        (False, True, False, False),
    ],
)
def test_check_mode_foretells_records_that_are_not_there(check_mode, changed, given, now):
    over = {"ansible_check_mode": check_mode, "relay_hop_result": {"changed": changed}, "relay_allow_weaker": given}
    assert made("relay_allow_weaker_now", **over) == now
