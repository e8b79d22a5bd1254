# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet is to publish in DNS and as its MTA-STS policy."""

from __future__ import annotations

import pathlib
import re

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.zone
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.mailfleet.smtp_hardening.plugins.filter import smtp_dns_records
from ansible_collections.mailfleet.smtp_hardening.plugins.filter.smtp_dns_records import FilterModule, dns_records
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _dns_answers
from ansible_collections.mailfleet.smtp_hardening.tests.unit.dns_fleet import (
    MX1,
    MX2,
    ONE,
    REPORTS,
    RUA,
    TLSA1,
    TLSA2,
    TWO,
    certificate,
    fleet,
    key,
    node,
    of_ca,
    said,
    stored,
    sts_id,
    values,
)


@pytest.mark.parametrize(
    ("hostvars", "expected"),
    [
        (ONE, [(TLSA1, key("AA"))]),
        (
            fleet(mx1=node(certificate(key("AA"))), mx2=node(certificate(key("BB")))),
            [(TLSA1, key("AA")), (TLSA2, key("BB"))],
        ),
        (
            fleet(mx1=node(certificate(key("AA"), of_ca("CC")), certificate(key("AB")))),
            [(TLSA1, key("AA")), (TLSA1, key("AB"))],
        ),
        (
            fleet(mx1=node(certificate(key("AA")), announced=[key("DD"), key("AA")])),
            [(TLSA1, key("AA")), (TLSA1, key("DD"))],
        ),
        (fleet(mx1=node()), []),
    ],
    ids=["one node", "two nodes", "two keys and a CA", "a next key, and one that is served already", "no certificate"],
)
def test_every_key_that_is_served_or_announced_has_one_tlsa_record(hostvars, expected):
    assert values(said(hostvars)) == expected


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ({}, [key("AA"), key("DD")]),
        ({"client": True}, [key("AA")]),
        ({"sni": ["mail.customer.example"]}, [key("AA")]),
    ],
    ids=["nothing yet", "sending alone", "another host name"],
)
def test_a_next_key_is_announced_unless_its_certificate_is_for_something_else(uses, expected):
    certificates = {
        "default": stored(certificate(key("AA")), server=True),
        "other": stored(announced=[key("DD")], **uses),
    }
    found = said(fleet(mx1=node(certificate(key("AA")), certificates=certificates)))
    assert [value for _name, value in values(found)] == expected


@pytest.mark.parametrize("asked", [MX1, ".example.com", ".com"])
def test_a_certificate_that_is_served_by_host_name_stands_in_for_the_active_one(asked):
    certificates = {
        "default": stored(certificate(key("AA")), server=True, announced=[key("DD")]),
        "public": stored(certificate(key("BB")), sni=[asked], announced=[key("EE")]),
    }
    info = node(certificate(key("AA")), certificates=certificates, sni={asked: "public"})
    assert values(said(fleet(mx1=info))) == [(TLSA1, key("BB")), (TLSA1, key("EE"))]


def test_a_host_name_whose_certificate_is_gone_is_shown_the_active_one():
    info = node(certificate(key("AA")), sni={MX1: "gone"})
    assert values(said(fleet(mx1=info))) == [(TLSA1, key("AA"))]


def test_nodes_that_share_a_name_share_its_records_and_a_served_key_comes_before_an_announced_one():
    hostvars = fleet(
        a=node(certificate(key("AA")), announced=[key("BB")]), b=node(certificate(key("BB")), announced=[key("CC")])
    )
    found = said(hostvars, mx_names=dict.fromkeys(hostvars, "mx.example.com."), domains=["example.com"])
    assert [value for _name, value in values(found)] == [key("AA"), key("BB"), key("CC")]
    assert found["policies"]["example.com"].count("mx: ") == 1


@pytest.mark.parametrize(
    ("over", "options", "names"),
    [
        ({}, {"mx_names": {"node1": MX1}}, [TLSA1]),
        ({}, {"mx_names": {"node1": [MX1, "MX2.Example.com."]}}, [TLSA1, TLSA2]),
        ({"myhostname": MX2}, {}, [TLSA2]),
        ({"myhostname": MX2}, {"mx_names": {"node1": MX1}, "port": "465"}, [f"_465._tcp.{MX1}."]),
    ],
)
def test_a_node_has_the_name_that_mx_records_give_it(over, options, names):
    hostvars = {"node1": {"smtp_tls_info": {**node(certificate(key("AA"))), **over}}}
    assert [name for name, _value in values(said(hostvars, **options))] == names


def test_the_result_may_be_registered_under_any_name():
    found = said({MX1: {"seen": node(certificate(key("AA")))}}, result="seen")
    assert values(found) == [(TLSA1, key("AA"))]


def test_a_domain_has_a_policy_with_all_nodes_or_with_the_mx_hosts_that_it_names():
    hostvars = fleet(mx2=node(certificate(key("BB"))), mx1=node(certificate(key("AA"))))
    domains = ["Example.com.", {"name": "example.net", "mx": [MX1, "*.example.com"]}]
    assert said(hostvars, domains=domains, mode="enforce", max_age=86400)["policies"] == {
        "example.com": f"version: STSv1\r\nmode: enforce\r\nmx: {MX1}\r\nmx: {MX2}\r\nmax_age: 86400\r\n",
        "example.net": f"version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\nmx: {MX1}\r\nmax_age: 86400\r\n",
    }


def test_a_policy_that_is_withdrawn_needs_no_mx_host():
    assert dns_records([], {}, domains="example.com", mode="none", max_age=86400)["policies"] == {
        "example.com": "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
    }


@pytest.mark.parametrize(
    "options", [{"mode": "enforce"}, {"max_age": 86400}, {"domains": [{"name": "example.com", "mx": [MX1]}]}]
)
def test_the_id_changes_with_the_policy(options):
    assert sts_id(**options) != sts_id()


@pytest.mark.parametrize(
    ("hostvars", "options"),
    [
        (TWO, {"ttl": 60, "rua": [RUA], "port": 465}),
        (dict(reversed(TWO.items())), {}),
        (fleet(mx1=node(certificate(key("CC"))), mx2=node()), {}),
    ],
    ids=["other records", "hosts in another order", "other keys"],
)
def test_the_id_stays_as_long_as_the_policy_does(hostvars, options):
    assert sts_id(hostvars, **options) == sts_id()


@pytest.mark.parametrize(
    ("rua", "expected"),
    [
        ([], []),
        (RUA, [(REPORTS, f"v=TLSRPTv1; rua={RUA}")]),
        ([RUA, "https://reports.example/v1"], [(REPORTS, f"v=TLSRPTv1; rua={RUA},https://reports.example/v1")]),
    ],
)
def test_reports_are_asked_for_where_there_is_an_address_for_them(rua, expected):
    assert values(said(ONE, domains=["example.com"], rua=rua), "TXT")[1:] == expected


def test_the_zone_is_what_a_name_server_reads():
    long = f"https://reports.example/{'x' * 300}"
    found = said(TWO, domains=["example.com"], rua=[long], ttl=7200)
    assert f"{TLSA1} 7200 IN TLSA {key('AA')}\n" in found["zone"]
    assert found["zone"].count('" "') == 1
    zone = dns.zone.from_text(found["zone"], origin="example.com.", check_origin=False, relativize=False)
    read = [(str(n), ttl, _dns_answers._text(d)) for n, ttl, d in zone.iterate_rdatas()]
    assert sorted(read) == sorted((one["name"], one["ttl"], one["value"]) for one in found["records"])


@pytest.mark.parametrize(
    ("info", "options", "sentence"),
    [
        (node(certificate(self_signed=True)), {"mode": "enforce"}, "is self-signed, so senders .* deliver no mail"),
        (node(certificate(self_signed=True)), {}, "is self-signed, so senders report it"),
        (node(certificate(subject_alternative_names=["a.example"])), {}, f"names a.example and not {MX1}"),
        (node(certificate(subject_alternative_names=[])), {}, f"names no host and not {MX1}"),
        (node(certificate(days_left=-1)), {}, "expired on 2026-04-01"),
        (node(), {}, "no active server certificate"),
        (node(certificate(), level="none"), {}, "offers no STARTTLS"),
        (node(certificate()), {"mode": "none"}, "mode: none withdraws MTA-STS"),
        (
            node(certificate()),
            {"domains": [{"name": "example.com", "mx": ["mx.backup.example", "*.example.com"]}]},
            "example.com: its MX mx.backup.example is no node of this fleet",
        ),
    ],
)
def test_what_would_stop_mail_is_warned_about(info, options, sentence):
    (warning,) = said(fleet(mx1=info), **{"domains": ["example.com"], **options})["warnings"]
    assert re.search(sentence, warning)


@pytest.mark.parametrize("days", [0, 1])
def test_a_certificate_is_good_on_its_last_day(days):
    assert said(fleet(mx1=node(certificate(days_left=days))), domains=["example.com"])["warnings"] == []


def test_nothing_is_withdrawn_where_there_is_no_domain():
    assert said(ONE, mode="none")["warnings"] == []


@pytest.mark.parametrize(
    "options",
    [{}, {"domains": ["example.com"], "mode": "none"}, {"domains": [{"name": "example.com", "mx": [MX2]}]}],
    ids=["no domain", "withdrawn", "not an MX of any domain"],
)
def test_a_self_signed_certificate_is_fine_where_only_dane_counts(options):
    hostvars = fleet(mx1=node(certificate(key("AA"), self_signed=True)), mx2=node(certificate(key("BB"))))
    assert not [one for one in said(hostvars, **options)["warnings"] if "self-signed" in one]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": "strict"}, "mode: 'strict' is no mode of MTA-STS; use enforce, testing, none"),
        ({"max_age": 31557601}, "max_age: 31557601 is out of range; write a whole number from 0 to 31557600"),
        ({"ttl": -1}, "ttl: -1 is out of range"),
        ({"ttl": True}, "ttl: True is out of range"),
        ({"port": 0}, "port: 0 is out of range"),
        ({"rua": ["reports@example.com"]}, "rua: 'reports@example.com' is no address for reports; write a mailto:"),
        ({"rua": ["mailto:a@b.example,mailto:c@d.example"]}, "is no address for reports"),
        ({"rua": ["mailto:a@b.example!10m"]}, "is no address for reports"),
        ({"rua": ["mailto:a@b.example@c.example"]}, "is no address for reports"),
        ({"domains": ["münchen.example"]}, "domains: 'münchen.example' is an internationalized name"),
        ({"domains": 5}, "domains: 5 is no full domain name"),
        ({"domains": ["localhost"]}, "domains: 'localhost' is no full domain name"),
        ({"domains": ["a.example", "A.example."]}, "domains: 'a.example' is listed twice"),
        ({"domains": [{"name": "a.example", "mxs": []}]}, "is no domain; write its name"),
        ({"domains": [{"mx": [MX1]}]}, "is no domain; write its name"),
        ({"domains": [{"name": "a.example", "mx": []}]}, "domains: 'a.example' has no MX host"),
        ({"domains": [{"name": "a.example", "mx": ["192.0.2.1"]}]}, "domains.mx: '192.0.2.1' is no full domain name"),
        ({"mx_names": {MX1: "mx1"}}, "mx_names: 'mx1' cannot be the name of mx1.example.com in an MX record; give"),
        ({"mx_names": 5}, "mx_names: 5 is no dictionary; give a value for each host by its name in the inventory"),
        ({"mx_names": ["mx1.example.com"]}, "is no dictionary"),
        ({"mx_names": {MX1: 5}}, "mx_names: 5 cannot be the name of mx1.example.com in an MX record"),
        ({"mx_names": {MX1: {"name": MX1}}}, "cannot be the name of mx1.example.com in an MX record"),
        ({"compare": "perhaps"}, "compare: 'perhaps' is neither true nor false; write one of the two"),
        ({"compare": None}, "compare: None is neither true nor false"),
        ({"result": 5}, "result: '5' is not what smtp_tls_info returns on mx1.example.com"),
        ({"result": ["seen"]}, "is not what smtp_tls_info returns on mx1.example.com"),
        ({"max_age": None}, "max_age: None is out of range"),
        ({"mode": ["testing"]}, "is no mode of MTA-STS"),
        ({"rua": 5}, "rua: 5 is no address for reports"),
        ({"domains": [{"name": "a.example", "mx": 5}]}, "domains.mx: '5' is no full domain name"),
        ({"domains": [["a.example"]]}, "is not a domain name"),
        ({"result": "seen"}, "result: 'seen' is not what smtp_tls_info returns on mx1.example.com; run mailfleet"),
        ({"compare": True, "resolvers": ["ns1"]}, "resolvers: 'ns1' is no address; write ADDRESS or ADDRESS@PORT"),
        ({"compare": True, "resolvers": ["127.0.0.1@x"]}, "resolvers: 'x' is out of range"),
        ({"compare": True, "resolvers": ["::1@53", "::1"]}, None),
        ({"compare": True, "resolvers": ["::1@53", "::1@54"]}, "resolvers: '::1@54' is the second port of one address"),
        ({"compare": True, "resolvers": ["::1"], "timeout": 61}, "timeout: 61 is out of range"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(options, sentence, monkeypatch):
    monkeypatch.setattr(_dns_answers, "_answer", lambda *question: _dns_answers.Answer())
    if sentence is None:
        said(ONE, **options)
        return
    with pytest.raises(AnsibleFilterError, match=re.escape(sentence)) as caught:
        said(ONE, **options)
    assert str(caught.value).startswith("smtp_dns_records: ")


@pytest.mark.parametrize("hostvars", [5, None, "mx1", {MX1: 5}, {MX1: {"smtp_tls_info": "active certificates"}}])
def test_variables_that_are_none_are_refused_in_a_sentence(hostvars):
    with pytest.raises(AnsibleFilterError, match="^smtp_dns_records: (hostvars: .* is no dictionary|result: )"):
        dns_records([MX1], hostvars)


@pytest.mark.parametrize("compare", [False, "false", "no"])
def test_dns_is_not_asked_where_that_is_not_wanted_in_whatever_words(compare):
    assert "differences" not in said(ONE, compare=compare)


@pytest.mark.parametrize("variables", [{}, {"smtp_tls_info": {"failed": True, "msg": "no"}}])
def test_a_node_that_was_not_asked_is_not_left_out_silently(variables):
    with pytest.raises(AnsibleFilterError, match="not what smtp_tls_info returns on mx2"):
        dns_records([MX1, "mx2"], {**ONE, "mx2": variables})


def test_a_host_that_is_not_in_the_inventory_is_refused():
    with pytest.raises(AnsibleFilterError, match="not what smtp_tls_info returns on mx9"):
        dns_records(["mx9"], ONE)


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(_dns_answers, "HAS_DNSPYTHON", False)
    assert said(ONE)["records"]
    with pytest.raises(AnsibleFilterError, match="pip install dnspython"):
        said(ONE, compare=True)


def test_nothing_is_said_of_dns_where_it_was_not_asked():
    found = said(ONE)
    assert set(found) == {"records", "policies", "zone", "warnings"}
    assert set(found["records"][0]) == {"name", "type", "ttl", "value"}


def test_the_records_are_a_filter_and_each_of_its_options_is_documented():
    assert FilterModule().filters() == {"smtp_dns_records": dns_records}
    path = pathlib.Path(smtp_dns_records.__file__).with_suffix(".yml")
    documented = yaml.safe_load(path.read_text(encoding="utf-8"))["DOCUMENTATION"]["options"]
    given = dns_records.__kwdefaults__
    assert set(documented) == {"_input", "hostvars", *given}
    assert all((documented[name]["default"] or None) == (default or None) for name, default in given.items())
