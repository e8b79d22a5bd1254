# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import re
import socket
import socketserver

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

MX1, MX2 = "mx1.example.com", "mx2.example.com"
TLSA1, TLSA2 = f"_25._tcp.{MX1}.", f"_25._tcp.{MX2}."
STS, REPORTS = "_mta-sts.example.com.", "_smtp._tls.example.com."
RUA = "mailto:reports@example.com"


def key(digits):
    return f"3 1 1 {digits * 32}"


def of_ca(digits):
    return f"2 1 1 {digits * 32}"


def certificate(*tlsa, **over):
    found = {
        "name": "default",
        "self_signed": False,
        "subject_alternative_names": ["*.example.com"],
        "not_after": "2026-04-01T00:00:00Z",
        "days_left": 89,
    }
    return {**found, "tlsa": list(tlsa), **over}


def stored(*chains, server=False, client=False, sni=(), announced=()):
    return {
        "active": {"server": server, "client": client},
        "sni": list(sni),
        "chains": list(chains),
        "next": {"tlsa": list(announced)} if announced else None,
    }


def node(*served, certificates=None, sni=None, level="may", announced=()):
    """What smtp_tls_info returns; ``announced`` are the next keys of the certificate that is active."""
    return {
        "server": {"level": level},
        "active": {"server": list(served), "client": []},
        "certificates": certificates or {"default": stored(*served, server=True, announced=announced)},
        "sni": sni or {},
    }


def fleet(**infos):
    return {f"{host}.example.com": {"smtp_tls_info": info} for host, info in infos.items()}


def said(hostvars, **options):
    return dns_records(list(hostvars), hostvars, **options)


def values(found, kind="TLSA"):
    return [(record["name"], record["value"]) for record in found["records"] if record["type"] == kind]


ONE = fleet(mx1=node(certificate(key("AA"))))


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


TWO = fleet(mx1=node(certificate(key("AA"))), mx2=node(certificate(key("BB"))))


def sts_id(hostvars=TWO, **options):
    value = dict(values(said(hostvars, **{"domains": ["example.com"], **options}), "TXT"))[STS]
    return re.fullmatch(r"v=STSv1; id=([A-Za-z0-9]{1,32});", value)[1]


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
    read = [(str(n), ttl, _dns_answers._text(d.rdtype.name, d)) for n, ttl, d in zone.iterate_rdatas()]
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
        ({"domains": ["localhost"]}, "domains: 'localhost' is no full domain name"),
        ({"domains": ["a.example", "A.example."]}, "domains: 'a.example' is listed twice"),
        ({"domains": [{"name": "a.example", "mxs": []}]}, "is no domain; write its name"),
        ({"domains": [{"mx": [MX1]}]}, "is no domain; write its name"),
        ({"domains": [{"name": "a.example", "mx": []}]}, "domains: 'a.example' has no MX host"),
        ({"domains": [{"name": "a.example", "mx": ["192.0.2.1"]}]}, "domains.mx: '192.0.2.1' is no full domain name"),
        ({"mx_names": {MX1: "mx1"}}, "mx_names: 'mx1' cannot be the name of mx1.example.com in an MX record; give"),
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


class Zone(socketserver.ThreadingUDPServer):
    """A name server of (name, type): values; a code in place of the values is answered as that."""

    daemon_threads = True

    def __init__(self, records, vouches):
        super().__init__(("127.0.0.1", 0), Question)
        self.records, self.vouches = records, vouches

    def answer(self, data):
        query = dns.message.from_wire(data)
        asked = query.question[0]
        reply = dns.message.make_response(query)
        found = self.records.get((str(asked.name), asked.rdtype.name), dns.rcode.NXDOMAIN)
        if isinstance(found, dns.rcode.Rcode):
            reply.set_rcode(found)
        elif found:
            texts = [f'"{one}"' if asked.rdtype.name == "TXT" else one for one in found]
            reply.answer.append(dns.rrset.from_text(asked.name, 300, "IN", asked.rdtype, *texts))
        if self.vouches:
            reply.flags |= dns.flags.AD
        return reply.to_wire()


class Question(socketserver.BaseRequestHandler):
    def handle(self):
        data, server = self.request
        server.sendto(self.server.answer(data), self.client_address)


@pytest.fixture
def serve(serving):
    """Starts name servers on loopback; each call returns the address of one."""

    def start(records, vouches=False):
        return f"127.0.0.1@{serving(Zone(records, vouches)).server_address[1]}"

    return start


@pytest.fixture
def silent():
    """The address of a name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1@{held.getsockname()[1]}"


PUBLIC = fleet(mx1=node(certificate(key("AA"), of_ca("CC")), announced=[key("DD")]))
WANTED = {"domains": ["example.com"], "rua": [RUA, "https://reports.example/v1"]}
ID = sts_id(PUBLIC)
TXT = f"v=STSv1; id={ID};"
REPORT = f"v=TLSRPTv1; rua={RUA},https://reports.example/v1"
ALL = {
    (TLSA1, "TLSA"): [key("AA"), key("DD")],
    (STS, "TXT"): [TXT],
    (REPORTS, "TXT"): [REPORT],
}


def compared(server, **options):
    found = said(PUBLIC, **WANTED, compare=True, resolvers=[server], timeout=1, **options)
    return [one["published"] for one in found["records"]], found["differences"]


@pytest.mark.parametrize(
    "over",
    [
        {},
        {(TLSA1, "TLSA"): [key("DD"), key("AA").lower(), of_ca("CC")]},
        {(STS, "TXT"): [f"v=STSv1 ;id={ID}", "v=spf1 -all", "something=else"]},
        {(REPORTS, "TXT"): [f"v=TLSRPTv1;rua=https://reports.example/v1 , {RUA};"]},
    ],
    ids=[
        "as they are",
        "the CA that is sent along too",
        "other blanks and other records",
        "addresses in another order",
    ],
)
def test_nothing_differs_where_all_is_published(serve, over):
    assert compared(serve({**ALL, **over})) == ([True] * 4, [])


@pytest.mark.parametrize(
    ("over", "published", "differs", "advice"),
    [
        (
            {(TLSA1, "TLSA"): dns.rcode.NXDOMAIN},
            [False, False, True, True],
            [(TLSA1, "missing", [key("AA")]), (TLSA1, "missing", [key("DD")])],
            "once the zone is signed",
        ),
        (
            {(TLSA1, "TLSA"): []},
            [False, False, True, True],
            [(TLSA1, "missing", [key("AA")]), (TLSA1, "missing", [key("DD")])],
            "once the zone is signed",
        ),
        (
            {(TLSA1, "TLSA"): [key("AA")]},
            [True, False, True, True],
            [(TLSA1, "missing", [key("DD")])],
            "before the key is used.*its TTL; here 3600 seconds.*published_tlsa",
        ),
        (
            {(TLSA1, "TLSA"): [key("DD")]},
            [False, True, True, True],
            [(TLSA1, "missing", [key("AA")])],
            "at once, before anything is removed.*hold their mail",
        ),
        (
            {(TLSA1, "TLSA"): [of_ca("CC"), key("DD")]},
            [False, True, True, True],
            [(TLSA1, "missing", [key("AA")])],
            "^Publish it; it protects",
        ),
        (
            {(TLSA1, "TLSA"): [key("AA"), key("DD"), key("EE"), of_ca("EE")]},
            [True, True, True, True],
            [(TLSA1, "stale", [key("EE"), of_ca("EE")])],
            "^Remove what is of no key",
        ),
        (
            {(TLSA1, "TLSA"): [key("AA"), key("EE")]},
            [True, False, True, True],
            [(TLSA1, "missing", [key("DD")]), (TLSA1, "stale", [key("EE")])],
            "^Publish what is missing at this name first.*Then remove",
        ),
        (
            {(STS, "TXT"): ["v=STSv1", "v=STSv2; id=1;"]},
            [True, True, False, True],
            [(STS, "missing", [TXT])],
            "^First serve the policy at https://mta-sts.example.com/.well-known/mta-sts.txt. Publish it.$",
        ),
        (
            {(STS, "TXT"): ["v=STSv1; id=1;"]},
            [True, True, False, True],
            [(STS, "outdated", ["v=STSv1; id=1;"])],
            f"^First serve the policy at .* Publish '{TXT}' in its place",
        ),
        (
            {(STS, "TXT"): [TXT, "v=STSv1; id=1;"]},
            [True, True, False, True],
            [(STS, "several", [TXT, "v=STSv1; id=1;"])],
            f"Leave '{TXT}' alone there: senders take several as if there were none",
        ),
        (
            {(REPORTS, "TXT"): [f"v=TLSRPTv1; rua={RUA}"]},
            [True, True, True, False],
            [(REPORTS, "outdated", [f"v=TLSRPTv1; rua={RUA}"])],
            "^Publish 'v=TLSRPTv1",
        ),
        (
            {(TLSA1, "TLSA"): dns.rcode.SERVFAIL},
            [None, None, True, True],
            [(TLSA1, "unknown", [])],
            "DNS gave no answer .*SERVFAIL.*senders with DANE hold their mail",
        ),
        (
            {(STS, "TXT"): dns.rcode.REFUSED},
            [True, True, None, True],
            [(STS, "unknown", [])],
            "DNS gave no answer .*REFUSED",
        ),
    ],
)
def test_what_differs_is_told_with_what_to_do(serve, over, published, differs, advice):
    seen, found = compared(serve({**ALL, **over}))
    assert seen == published
    assert sorted((one["name"], one["problem"], sorted(one["values"])) for one in found) == sorted(
        (name, problem, sorted(texts)) for name, problem, texts in differs
    )
    assert any(re.search(advice, one["advice"]) for one in found)


@pytest.mark.parametrize(
    ("info", "published", "advice"),
    [
        (node(certificate(key("AA")), announced=[key("AA")]), [], "^Publish it; it protects"),
        (node(certificate(key("AA")), announced=[key("AA")]), [key("EE")], "^Publish it at once"),
        (node(certificate(key("BB")), certificate(key("AA"))), [key("BB")], "^Publish it at once"),
        (node(certificate(key("BB")), certificate(key("AA"), of_ca("CC"))), [of_ca("CC")], "^Publish it; it protects"),
    ],
    ids=["served and announced", "beside a stale one", "beside another key", "beside its CA"],
)
def test_a_key_that_is_served_now_is_published_now(serve, info, published, advice):
    found = said(fleet(mx1=info), compare=True, resolvers=[serve({(TLSA1, "TLSA"): published})])
    (missing,) = [one for one in found["differences"] if one["problem"] == "missing"]
    assert key("AA") in missing["values"]
    assert re.search(advice, missing["advice"])


def test_a_stale_record_is_found_where_no_key_is_served(serve):
    found = said(fleet(mx1=node()), compare=True, resolvers=[serve({(TLSA1, "TLSA"): [key("EE")]})])
    assert [(one["problem"], one["values"]) for one in found["differences"]] == [("stale", [key("EE")])]


def test_a_name_server_that_is_silent_is_not_one_that_has_no_records(silent):
    seen, found = compared(silent)
    assert seen == [None] * 4
    assert [one["problem"] for one in found] == ["unknown"] * 3
    assert all("DNS gave no answer" in one["advice"] for one in found)


@pytest.mark.parametrize("vouches", [True, False])
def test_it_is_told_whether_dnssec_vouches_for_the_answer(serve, vouches):
    found = said(PUBLIC, compare=True, resolvers=serve(ALL, vouches))
    assert [one["authenticated"] for one in found["records"]] == [vouches] * 2


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
