# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.mailfleet.smtp_hardening.plugins.action.smtp_fleet import ActionModule
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._fleet import read_authority


@pytest.fixture
def fleet(tmp_path, fleet_ca, issue):
    return Fleet(tmp_path / "fleet.json", certificates_pem([fleet_ca[0]]).decode(), issue())


class Fleet:
    """Three strict nodes and a database of one inventory, and what its nodes have shown."""

    def __init__(self, path, ca, chain):
        self.path, self.ca, self.seen_as = path, ca, dict
        strict = {"smtp_profile": "trusted_agents_strict", "smtp_fleet_ca": {"ca_certificate": ca}}
        self.hostvars = {name: {**strict, "smtp_fleet_state": str(path)} for name in ("mx1", "mx2", "mx3")}
        self.hostvars["db1"] = {}
        leaf = [{"chain": certificates_pem(chain.certificates).decode()}]
        posture = {
            "servers": {"server": {"level": "may", "client_certificates": "ignore", "demands": []}},
            "clients": {"client": {"level": "may"}},
        }
        self.info = {
            "active": {"server": leaf, "client": leaf},
            "trust": {"authorities": [{"certificate_sha256": found} for found in read_authority(ca)]},
            "posture": posture,
            "server": {"level": "may"},
            "client": {"level": "may"},
            "protocols": {"server": ["TLSv1.3"], "client": ["TLSv1.3"]},
        }

    def run(self, hosts=("mx1", "mx2", "mx3"), check_mode=False, here=(), **options):
        task = SimpleNamespace(args=options, async_val=0, check_mode=check_mode, action="smtp_fleet")
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        self.hostvars[hosts[0]].update(here)
        variables = {"inventory_hostname": hosts[0], "ansible_play_hosts": list(hosts)}
        variables |= {"hostvars": self.seen_as(self.hostvars), "groups": {"all": list(self.hostvars)}}
        return ActionModule(task, connection, None, DataLoader(), None, None).run(None, variables)

    def shown(self, *hosts, **values):
        for host in hosts:
            self.hostvars[host]["seen"] = {**self.info, **values}


def test_what_one_run_has_seen_lets_another_go_on(fleet):
    fleet.shown("mx1", "mx2", "mx3")
    fleet.run(note="seen")
    result = fleet.run(hosts=["mx1"], every=["shows", "trusts"])
    assert (result.get("failed"), result["unready"]) == (None, {})


class OfOldAnsible(dict):
    """hostvars before ansible-core 2.19: each host can be asked for, and none or one too many is listed."""

    listed = []

    def __iter__(self):
        return iter(self.listed)


class WithTheController(OfOldAnsible):
    listed = ["mx1", "mx2", "mx3", "db1", "localhost"]

    def __getitem__(self, host):
        return super().__getitem__("mx1" if host == "localhost" else host)


def test_the_controller_is_no_node_of_the_fleet_unless_it_is_in_the_play(fleet):
    fleet.hostvars["localhost"] = dict(fleet.hostvars["mx1"])
    fleet.shown("mx1", "mx2", "mx3", "localhost")
    assert not fleet.run(hosts=["mx1", "mx2", "mx3"], note="seen", every=["shows"])["unready"]
    del fleet.hostvars["localhost"]["seen"]
    assert "localhost" in fleet.run(hosts=["mx1", "localhost"], note="seen", every=["shows"])["unready"]


@pytest.mark.parametrize("hostvars", [OfOldAnsible, WithTheController])
def test_a_fleet_is_what_the_inventory_lists_whatever_ansible_core_makes_of_hostvars(fleet, hostvars):
    fleet.seen_as = hostvars
    fleet.shown("mx1", "mx2")
    result = fleet.run(hosts=["mx1", "mx2"], note="seen", every=["shows"])
    assert result["unready"] == {"mx3": "no run has looked at it yet"}


def test_a_run_over_some_nodes_stops_for_those_of_which_nothing_is_known_by_name(fleet):
    fleet.shown("mx1", "mx2")
    result = fleet.run(hosts=["mx1", "mx2"], note="seen", every=["shows"], before="No node goes strict")
    assert result["failed"] and result["unready"] == {"mx3": "no run has looked at it yet"}
    assert result["msg"].startswith(
        "No node goes strict before every node of the fleet is known to be ready: mx3: no run has"
    )
    assert "smtp_absent" in result["msg"] and str(fleet.path) in result["msg"]


@pytest.mark.parametrize("absent", [["mx3"], "mx3", "mx3, mx9"])
def test_a_node_that_is_out_of_the_fleet_is_not_waited_for(fleet, absent):
    fleet.shown("mx1", "mx2")
    here = {"smtp_absent": absent}
    assert not fleet.run(hosts=["mx1", "mx2"], note="seen", every=["shows"], here=here)["unready"]


def test_a_name_out_of_the_fleet_that_no_host_has_is_told_where_a_node_is_waited_for(fleet):
    fleet.shown("mx1", "mx2")
    said = fleet.run(note="seen", every=["shows"], here={"smtp_absent": "mx3.example.com mx2"})["msg"]
    assert "mx3: no run has looked at it yet" in said
    assert (
        "smtp_absent those that are out of the fleet for now. What it names now, mx3.example.com, is no host of" in said
    )


def test_what_was_seen_too_long_ago_does_not_count(fleet):
    fleet.shown("mx1", "mx2", "mx3")
    fleet.run(note="seen")
    document = json.loads(fleet.path.read_text())
    document["nodes"]["mx3"]["seen"] = "2020-01-01T00:00:00Z"
    fleet.path.write_text(json.dumps(document))
    assert fleet.run(hosts=["mx1"], every=["shows"])["unready"] == {"mx3": "it was seen on 2020-01-01 last"}
    assert not fleet.run(hosts=["mx1"], every=["shows"], here={"smtp_fleet_days": 100000})["unready"]


def test_a_number_of_days_that_is_none_is_refused_by_the_variables_name(fleet):
    with pytest.raises(AnsibleActionFail, match="smtp_fleet_days: 'seven' is no number of days; write one"):
        fleet.run(every=["shows"], here={"smtp_fleet_days": "seven"})


def test_lenient_hosts_use_tls_before_one_of_them_demands_it_in_the_run_or_not(fleet):
    for host in ("mx1", "mx2", "mx3"):
        fleet.hostvars[host]["smtp_profile"] = "lenient_default"
    assert (fleet.run()["to_use_tls"], fleet.run()["may_demand_more"]) == ([], [])
    fleet.hostvars["mx3"]["smtp_server"] = {"level": "encrypt"}
    assert fleet.run(hosts=["mx1", "mx2"])["to_use_tls"] == ["mx1", "mx2"]
    assert fleet.run()["may_demand_more"] == ["mx3"]
    fleet.hostvars["mx1"]["smtp_profile"] = "trusted_agents_strict"
    assert fleet.run(hosts=["mx1"])["to_use_tls"] == ["mx1"]


def test_a_node_that_failed_is_known_as_it_was_before(fleet):
    fleet.shown("mx1", "mx2", "mx3")
    fleet.run(note="seen")
    fleet.hostvars["mx3"]["seen"] = {"failed": True, "msg": "unreachable"}
    fleet.run(note="seen")
    assert json.loads(fleet.path.read_text())["nodes"]["mx3"]["shows"]["server"]


def test_check_mode_writes_nothing_and_takes_its_own_hosts_to_be_ready(fleet):
    assert not fleet.run(check_mode=True, every=["shows"])["unready"]
    fleet.shown("mx1", "mx2", "mx3")
    assert "mx3" in fleet.run(hosts=["mx1", "mx2"], check_mode=True, note="seen", every=["shows"])["unready"]
    assert not fleet.path.exists()


def test_a_ca_that_is_not_there_is_no_reason_not_to_note_what_nodes_are(fleet):
    for name in ("mx1", "mx2", "mx3"):
        fleet.hostvars[name]["smtp_fleet_ca"] = {"ca_certificate": "/nowhere/ca.pem"}
    fleet.shown("mx1", "mx2", "mx3")
    fleet.run(note="seen")
    assert json.loads(fleet.path.read_text())["nodes"]["mx1"]["shows"] == {"server": [], "client": []}


def test_a_strict_node_is_asked_before_a_lenient_one_with_the_same_ca_gives_up_its_certificate(fleet):
    demanding = {"level": "encrypt", "client_certificates": "require", "demands": []}
    fleet.shown("mx1")
    fleet.shown("mx2", "mx3", posture={**fleet.info["posture"], "servers": {"server": demanding}})
    fleet.hostvars["mx1"]["smtp_profile"] = "lenient_default"
    fleet.run(note="seen")
    assert list(fleet.run(hosts=["mx1"], every=["demands_nothing"])["unready"]) == ["mx2", "mx3"]


@pytest.mark.parametrize("variable", ["smtp_fleet_ca", "trusted_agents_strict_fleet_ca"])
def test_a_fleet_has_one_ca_in_whatever_words_the_inventory_gives_it(fleet, variable):
    fleet.hostvars["mx3"].pop("smtp_fleet_ca")
    fleet.hostvars["mx3"][variable] = {"ca_certificate": f"{fleet.ca}\n"}
    fleet.shown("mx1", "mx2")
    assert list(fleet.run(hosts=["mx1", "mx2"], note="seen", every=["shows"])["unready"]) == ["mx3"]


def test_the_sentence_names_a_few_nodes_of_many(fleet):
    for number in range(100):
        fleet.hostvars[f"mx{number + 10}"] = dict(fleet.hostvars["mx1"])
    said = fleet.run(hosts=["mx1"], every=["shows"])["msg"]
    assert len(re.findall("no run has looked", said)) == 5 and "and 98 more" in said


def test_whoever_differs_is_told_to_the_next_stage_and_who_of_them_goes_first(fleet):
    fleet.shown("mx1", "mx2", "mx3")
    fleet.hostvars["mx2"]["differs"] = fleet.hostvars["mx3"]["differs"] = True
    fleet.run(note="seen", pending="differs")
    told = fleet.run()
    assert (told["pending"], told["canaries"], told["may_demand_more"]) == (
        ["mx2", "mx3"],
        ["mx2"],
        ["mx1", "mx2", "mx3"],
    )


def test_who_does_not_say_whether_it_differs_still_does(fleet):
    fleet.shown("mx1", "mx2", "mx3")
    for host in ("mx1", "mx2", "mx3"):
        fleet.hostvars[host]["differs"] = True
    fleet.run(note="seen", pending="differs")
    del fleet.hostvars["mx3"]["differs"]
    fleet.hostvars["mx2"]["differs"] = False
    fleet.run(note="seen", pending="differs")
    assert fleet.run()["pending"] == ["mx1", "mx3"]
    fleet.run(note="seen")
    assert fleet.run()["pending"] == ["mx1", "mx3"]


def test_runs_over_hosts_of_several_inventories_have_one_document(fleet, tmp_path):
    fleet.hostvars["mx3"]["smtp_fleet_state"] = str(tmp_path / "other.json")
    fleet.shown("mx1", "mx2", "mx3")
    fleet.run(hosts=["mx1", "mx2"], note="seen")
    assert not fleet.run(hosts=["mx3"], note="seen", every=["shows"])["unready"]
    assert not (tmp_path / "other.json").exists()


def test_a_document_of_something_else_stops_the_run_in_a_sentence(fleet):
    fleet.path.write_text("{}")
    with pytest.raises(AnsibleActionFail, match="does not hold what is known of a fleet"):
        fleet.run()
