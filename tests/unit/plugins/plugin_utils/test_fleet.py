# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet

NOW = utc_now()
WEEK = datetime.timedelta(days=7)
STRICT = {"smtp_profile": "trusted_agents_strict", "smtp_fleet_ca": {"ca_certificate": "ca/fleet.pem"}}
LENIENT = {**STRICT, "smtp_profile": "lenient_default"}
OTHERS = {**STRICT, "smtp_fleet_ca": {"ca_certificate": "ca/other.pem"}}
CA = ("AA:01", "AA:00")
READY = {
    "seen": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "shows": {"server": ["AA:01"], "client": ["AA:01"]},
    "trusts": ["AA:00"],
    "tls": True,
    "demands": [],
    "pending": False,
}


BOTH = ("TLSv1.2", "TLSv1.3")


def info(
    chain=None,
    client=None,
    *,
    authorities=(),
    server_level="may",
    certificates="ignore",
    client_level="may",
    protocols=(BOTH, BOTH),
):
    """What C(smtp_tls_info) returns of a node, as far as a fleet looks at it."""
    shown = {
        side: [{"chain": certificates_pem(c.certificates).decode()}] if c else []
        for side, c in (("server", chain), ("client", client))
    }
    posture = {
        "servers": {"server": {"level": server_level, "client_certificates": certificates, "demands": []}},
        "clients": {"client": {"level": client_level}},
    }
    return {
        "server": {"level": server_level},
        "client": {"level": client_level},
        "protocols": dict(zip(("server", "client"), protocols)),
        "active": shown,
        "trust": {"authorities": [{"certificate_sha256": one} for one in authorities]},
        "posture": posture,
    }


@pytest.mark.parametrize(
    ("host", "absent", "expected"),
    [
        ("mx1", [], {"mx1": ["mx1", "mx2", "mx3"]}),
        ("mx1", ["mx3"], {"mx1": ["mx1", "mx2"]}),
        ("out1", [], {"out1": ["out1"]}),
        ("far1", [], {"far1": ["far1"]}),
        ("db1", [], {}),
    ],
)
def test_a_fleet_is_all_hosts_with_the_same_profile_and_ca(host, absent, expected):
    hostvars = {"mx1": STRICT, "mx2": STRICT, "mx3": STRICT, "out1": LENIENT, "far1": OTHERS, "db1": {}}
    assert _fleet.fleets([host], hostvars, absent) == expected


def test_who_may_verify_a_host_has_the_same_ca_whatever_its_profile():
    hostvars = {"mx1": STRICT, "out1": LENIENT, "far1": OTHERS, "db1": {}}
    assert _fleet.fleets(["out1"], hostvars, [], whatever_profile=True) == {"out1": ["mx1", "out1"]}


def test_a_host_of_a_profile_that_nobody_knows_is_no_fleet_of_its_own():
    hostvars = {"mx1": STRICT, "mx2": {**STRICT, "smtp_profile": "trusted_agent_strict"}}
    with pytest.raises(HardeningError, match="smtp_profile: 'trusted_agent_strict' is not known for mx2; set"):
        _fleet.fleets(["mx1"], hostvars, [])


def test_hosts_without_a_ca_are_a_fleet_by_their_profile():
    hostvars = {name: {"smtp_profile": "lenient_default"} for name in ("mx1", "mx2")}
    assert _fleet.fleets(hostvars, hostvars, []) == {"mx1": ["mx1", "mx2"]}


@pytest.mark.parametrize(
    ("entry", "every", "reason"),
    [
        (READY, ["shows", "trusts", "demands_nothing"], None),
        (None, ["shows"], "no run has looked at it yet"),
        ({**READY, "seen": "2020-01-01T00:00:00Z"}, [], "it was seen on 2020-01-01 last"),
        (
            {**READY, "seen": "2999-01-01T00:00:00Z"},
            [],
            "it was seen on 2999-01-01, by a controller whose clock was wrong",
        ),
        ({**READY, "shows": {"server": ["AA:01"], "client": []}}, ["shows"], "does not show a certificate"),
        ({**READY, "shows": {"server": ["BB:01"], "client": ["BB:01"]}}, ["shows"], "does not show a certificate"),
        ({**READY, "shows": {"server": ["AA:00"], "client": ["AA:00"]}}, ["shows"], "does not show a certificate"),
        ({**READY, "trusts": ["BB:00"]}, ["trusts"], "does not trust"),
        ({**READY, "trusts": ["BB:00"]}, ["shows"], None),
        ({**READY, "tls": False}, ["uses_tls"], "does not offer STARTTLS"),
        ({**READY, "demands": ["tls"]}, ["demands_nothing"], "demands TLS or certificates"),
        ({"seen": 3}, ["shows"], "cannot be read"),
        ({**READY, "shows": None}, ["shows"], "cannot be read"),
    ],
)
def test_a_node_is_not_ready_unless_it_is_known_to_be(entry, every, reason):
    nodes = {} if entry is None else {"mx1": entry}
    said = _fleet.unready(nodes, ["mx1"], every, CA, NOW - WEEK).get("mx1")
    assert said is reason is None or reason in said


def test_where_no_ca_is_known_nobody_shows_a_certificate_of_it():
    assert "mx1" in _fleet.unready({"mx1": READY}, ["mx1"], ["shows"], [], NOW - WEEK)


def test_what_a_node_shows_is_told_by_who_has_signed_it(fleet_ca, issue):
    ca = certificates_pem([fleet_ca[0]]).decode()
    (authority,) = _fleet.read_authority(ca)
    ours, own = issue(), issue(by="itself")
    rows = [
        (info(ours, ours), {"server": [authority], "client": [authority]}),
        (info(ours, None), {"server": [authority], "client": []}),
        (info(own, ours), {"server": [], "client": [authority]}),
        (info(), {"server": [], "client": []}),
    ]
    for shown, expected in rows:
        assert _fleet.read_entry(shown, [ca], NOW, False)["shows"] == expected
    assert _fleet.read_entry(info(ours, ours), [], NOW, False)["shows"] == {"server": [], "client": []}


@pytest.mark.parametrize(
    ("found", "uses"),
    [
        (info(), True),
        (info(server_level="none"), False),
        (info(client_level="none"), False),
        (info(protocols=(["TLSv1.2"], BOTH)), False),
        (info(protocols=(BOTH, ["TLSv1.2"])), False),
        (info(protocols=(["TLSv1.3"], ["TLSv1.3"])), True),
    ],
)
def test_a_node_uses_tls_as_strict_ones_do_when_receiving_and_when_sending(found, uses):
    assert _fleet.read_entry(found, [], NOW, False)["tls"] is uses


@pytest.mark.parametrize(
    ("found", "demands"),
    [
        (info(), []),
        (info(client_level="dane"), []),
        (info(server_level="encrypt"), ["tls"]),
        (info(certificates="require"), ["certificate"]),
        (info(client_level="encrypt"), ["sending"]),
        (
            info(server_level="encrypt", certificates="require", client_level="secure"),
            ["certificate", "sending", "tls"],
        ),
        ({"posture": None}, ["certificate", "sending", "tls"]),
    ],
)
def test_what_a_node_demands_is_what_not_every_peer_has(found, demands):
    assert _fleet.demands(found["posture"]) == demands


@pytest.mark.parametrize(
    ("side", "service", "override", "uses", "demands"),
    [
        ("servers", "smtp/inet", {"level": "none"}, False, []),
        ("servers", "192.0.2.1:25/inet", {"level": "none"}, False, []),
        ("servers", "smtp/inet", {"level": "encrypt"}, True, ["tls"]),
        ("servers", "submission/inet", {"level": "none"}, True, []),
        ("servers", "127.0.0.1:25/inet", {"level": "none"}, True, []),
        ("clients", "smtp/unix", {"level": "none"}, False, []),
        ("clients", "relay/unix", {"level": "secure"}, True, ["sending"]),
        ("clients", "amavis/unix", {"level": "none"}, True, []),
    ],
)
def test_what_a_service_between_nodes_has_of_its_own_counts(side, service, override, uses, demands):
    found = info()
    found["posture"][side][service] = override
    assert (_fleet.uses_tls(found), _fleet.demands(found["posture"])) == (uses, demands)


def test_who_demands_everything_cannot_demand_more_and_of_whom_nothing_is_known_may():
    nodes = {"mx1": {**READY, "demands": sorted(_fleet.ALL)}, "mx2": {**READY, "demands": ["tls"]}}
    hosts = ["mx1", "mx2", "mx3"]
    assert _fleet.demand_more(nodes, hosts, dict.fromkeys(hosts, STRICT)) == ["mx2", "mx3"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"smtp_server": {"minimum_protocol": "TLSv1.3"}, "smtp_client": {"level": "dane"}}, []),
        ({"smtp_server": {"level": "encrypt"}}, ["tls"]),
        ({"smtp_server": {"level": "encrypt"}, "lenient_default_server": {"level": "may"}}, []),
        ({"lenient_default_client": {"level": "secure"}}, ["sending"]),
        ({"smtp_services": [{"name": "smtp", "level": "encrypt"}]}, ["tls"]),
        ({"smtp_services": [{"name": "192.0.2.1:25/inet", "level": "encrypt"}]}, ["tls"]),
        ({"smtp_services": [{"name": "relay/unix", "level": "encrypt"}]}, ["sending"]),
        ({"smtp_services": [{"name": "submission", "level": "encrypt"}, {"name": "127.0.0.1:25"}]}, []),
    ],
)
def test_a_lenient_host_demands_what_the_inventory_has_beside_the_profile(options, expected):
    assert sorted(_fleet.meant({**LENIENT, **options})) == expected
    assert _fleet.demand_more({}, ["mx1"], {"mx1": {**LENIENT, **options}}) == (["mx1"] if expected else [])


def test_a_host_without_a_profile_will_demand_nothing():
    assert _fleet.demand_more({}, ["db1"], {"db1": {"smtp_server": {"level": "encrypt"}}}) == []


@pytest.mark.parametrize(
    ("wishes", "pending", "expected"),
    [
        ({}, ["mx2", "mx3"], ["mx2"]),
        ({"mx3": True}, ["mx2", "mx3"], ["mx3"]),
        ({"mx3": "true"}, ["mx2", "mx3"], ["mx3"]),
        ({"mx3": "yes", "mx2": "yes"}, ["mx2", "mx3"], ["mx2", "mx3"]),
        ({"mx2": "false"}, ["mx2", "mx3"], ["mx3"]),
        ({"mx1": False, "mx2": False, "mx3": False}, ["mx2", "mx3"], []),
        ({"mx1": True}, ["mx2", "mx3"], []),
        ({}, [], []),
    ],
)
def test_the_canary_is_whom_the_inventory_names_or_the_first_that_differs(wishes, pending, expected):
    hosts = ["mx1", "mx2", "mx3"]
    hostvars = {host: {"smtp_canary": wishes[host]} if host in wishes else {} for host in hosts}
    assert _fleet.canaries(pending, hosts, hostvars) == expected


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"version": 0, "nodes": {}}', '{"version": 1, "nodes": {"mx1": 3}}', "null"]
)
def test_a_document_of_something_else_is_refused_with_a_remedy(content):
    with pytest.raises(
        HardeningError, match="smtp_fleet_state: '/f' does not hold what is known of a fleet; remove it"
    ):
        _fleet.read_document("/f", content)


def test_a_document_of_a_newer_release_is_not_to_be_removed():
    with pytest.raises(HardeningError, match="smtp_fleet_state: '/f' was written by a newer release .*; install"):
        _fleet.read_document("/f", '{"version": 2, "nodes": {}}')


def test_a_document_says_what_was_written():
    assert _fleet.read_document("/f", _fleet.write_document({"mx1": READY})) == {"mx1": READY}
    assert _fleet.read_document("/f", "") == {}
