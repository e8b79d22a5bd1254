# SPDX-License-Identifier: GPL-3.0-or-later
"""What DNS answers, compared with what a fleet is to publish."""

from __future__ import annotations

import re
import socket
import socketserver

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.zone
import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.dns_fleet import (
    REPORTS,
    RUA,
    STS,
    TLSA1,
    certificate,
    fleet,
    key,
    node,
    of_ca,
    said,
    sts_id,
)


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
