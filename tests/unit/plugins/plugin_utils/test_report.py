# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib
import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._report import VERSION, report
from ansible_collections.mailfleet.smtp_hardening.tests.unit.recorded_fleet import (
    LISTENER,
    MODE,
    SECRET,
    SETTLED,
    fleet,
    mail,
    names,
    node,
)

DESCRIBED = (pathlib.Path(__file__).parents[4] / "docs" / "report.md").read_text(encoding="utf-8")


def test_every_member_is_described():
    document = report(["mx1"], {"mx1": node("mx1", ["mx1"])}, times={"started": "2026-11-24T12:00:00Z"})
    wanted = {*document, *document["verdict"], *document["times"], *document["nodes"]["mx1"], *document["mails"][0]}
    described = set(re.findall(r"`([a-z_]+)`", DESCRIBED))
    assert wanted - described == set()
    assert f"Version {VERSION}" in DESCRIBED


def test_a_node_is_told_with_what_was_before_and_is_after_and_what_was_planned():
    document = report(["mx1", "mx2"], fleet(2))
    one = document["nodes"]["mx1"]
    assert (one["outcome"], one["profile"], one["failures"]) == ("proven", "trusted_agents_strict", [])
    assert (one["before"]["server"]["level"], one["after"]["server"]["level"]) == ("may", "encrypt")
    assert one["after"]["domains"] == [{"name": "bank.example", "level": "may"}]
    assert {"what": "bank.example: level", "before": "secure", "after": "may", "values": 1} in one["plan"]
    assert one["proof"]["listeners"][0]["plaintext"] == "refused"
    assert (document["mails"][0]["from"], document["mails"][0]["to"]) == ("mx1", "mx2")


@pytest.mark.parametrize(("check_mode", "level"), [(False, "may"), (True, "encrypt")])
def test_what_is_after_on_a_node_whose_turn_did_not_come_is_what_was_before(check_mode, level):
    waits = node("mx1", trusted_agents_strict_mode={**MODE, "proof": []})
    document = report(["mx1"], {"mx1": waits}, check_mode=check_mode)
    assert document["nodes"]["mx1"]["after"]["server"]["level"] == level
    assert document["check_mode"] is check_mode


@pytest.mark.parametrize("variables", [{}, {"smtp_profile": "lenient_default"}, {"smtp_harden_info": {"failed": True}}])
def test_a_node_of_which_nothing_is_known_is_stopped(variables):
    one = report(["mx1"], {"mx1": variables})["nodes"]["mx1"]
    assert (one["outcome"], one["before"], one["after"], one["plan"]) == ("stopped", None, None, [])
    assert one["profile"] == variables.get("smtp_profile")


def test_no_secret_of_the_variables_and_no_pem_is_in_the_document():
    text = json.dumps(report(names(3), fleet(3)))
    assert SECRET not in text
    assert "BEGIN" not in text


def test_what_strangers_wrote_is_escaped():
    strange = {**LISTENER, "plaintext_reply": "220 \x1b[2J\u202e", "certificate": {"subject": "CN=\r\n"}}
    over = {"mx1": {"smtp_harden_seen": {"observations": [strange], "deliveries": [mail("\x07")]}}}
    text = json.dumps(report(names(1), fleet(1, **over)), ensure_ascii=False)
    assert not [character for character in text if not character.isprintable()]
    assert r"220 \\x1b[2J\\u202e" in text


def test_each_warning_is_told_once_with_its_nodes_whatever_their_names():
    def warned(*texts):
        return {"trusted_agents_strict_mode": {**SETTLED, "warnings": list(texts)}}

    over = {
        "mx1": warned("a is weak", "mx1.fleet.test ends soon"),
        "mx2": warned("a is weak", "mx2.fleet.test ends soon"),
    }
    document = report(names(3), fleet(3, **over, mx3=warned("mx3 alone")))
    assert document["warnings"] == [
        {"text": "a is weak", "nodes": ["mx1", "mx2"]},
        {"text": "NODE ends soon", "nodes": ["mx1", "mx2"]},
        {"text": "mx3 alone", "nodes": ["mx3"]},
    ]


@pytest.mark.parametrize(
    "lacking",
    [
        "no certificate is active; run smtp_tls_cert with use: [server] first. (check mode cannot know whether an",
        "server.ca_file: put the CA there first, as smtp_tls_cert with provider: own_ca does. (check mode cannot know",
    ],
)
@pytest.mark.parametrize("brought", [True, False])
def test_no_warning_asks_for_what_the_run_itself_brings_or_speaks_of_ansible(lacking, brought):
    python = "Host 'mx1' is using the discovered Python interpreter at '/usr/bin/python3.13', but another could come."
    over = {
        "trusted_agents_strict_mode": {**SETTLED, "warnings": [lacking, python]},
        "trusted_agents_strict_certificate_result": {"changed": brought, "reason": "none is stored"},
    }
    document = report(["mx1"], fleet(1, mx1=over))
    assert [warning["text"] for warning in document["warnings"]] == ([] if brought else [lacking])


def test_mail_that_would_wait_if_a_record_were_enforced_is_a_warning():
    rehearsed = {"domain": "x.test", "level": "secure", "delivered": False, "reason": "no STARTTLS"}
    over = {"mx1": {"smtp_harden_seen": {"observations": [LISTENER], "rehearsals": [rehearsed]}}}
    document = report(names(1), fleet(1, **over))
    assert document["verdict"]["ok"] is True
    (warning,) = document["warnings"]
    assert warning["text"] == "mail for x.test would wait if its record were enforced (secure): no STARTTLS"


def test_times_are_those_of_the_run_and_its_end():
    times = report(["mx1"], fleet(1), times={"started": "2026-11-24T12:00:00Z"})["times"]
    assert times["started"] == "2026-11-24T12:00:00Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", times["ended"])


@pytest.mark.parametrize("size", [3, 100, 1000])
def test_the_document_grows_with_the_fleet_and_not_with_its_square(size):
    document = report(names(size), fleet(size))
    assert len(document["mails"]) == size == document["verdict"]["proven"]
    assert len(json.dumps(document)) < 5000 * size + 2000
