# SPDX-License-Identifier: GPL-3.0-or-later
"""What DNS answers, compared with what a fleet is to publish."""

from __future__ import annotations

import hashlib
import re
import socket

import dns.rcode
import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.dns_fleet import (
    REPORTS,
    RUA,
    STS,
    TLSA1,
    by_sha512,
    certificate,
    fleet,
    key,
    node,
    of_ca,
    of_whole,
    said,
    sts_id,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.name_server import DAY, Zone


@pytest.fixture
def serve(serving):
    """Starts name servers on loopback; each call returns the address of one."""

    def start(records, vouches=True, **zone):
        return f"127.0.0.1@{serving(Zone(records, vouches, **zone)).server_address[1]}"

    return start


@pytest.fixture
def silent():
    """The address of a name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1@{held.getsockname()[1]}"


PUBLIC = fleet(mx1=node(certificate(key("AA"), of_ca("CC")), announced=[key("DD")]))
DOMAIN = "example.com."
WANTED = {"domains": ["example.com"], "rua": [RUA, "https://reports.example/v1"]}
ID = sts_id(PUBLIC)
TXT = f"v=STSv1; id={ID};"
REPORT = f"v=TLSRPTv1; rua={RUA},https://reports.example/v1"
ALL = {
    (TLSA1, "TLSA"): [key("AA"), key("DD")],
    (STS, "TXT"): [TXT],
    (DOMAIN, "MX"): ["10 MX1.example.com."],
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
        (node(certificate(key("BB")), certificate(key("AA"), of_ca("CC"))), [of_ca("CC")], "^Publish it at once"),
        (node(certificate(key("AA"), of_ca("CC"))), [of_ca("CC")], "^Publish it; it protects"),
    ],
    ids=["served and announced", "beside a stale one", "beside another key", "of one CA of two", "beside its CA"],
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
    assert [one["problem"] for one in found] == ["unknown"] * 4
    assert all("DNS gave no answer" in one["advice"] for one in found)


@pytest.mark.parametrize("vouches", [True, False])
def test_it_is_told_whether_dnssec_vouches_for_the_answer(serve, vouches):
    found = said(PUBLIC, compare=True, resolvers=serve(ALL, vouches))
    assert [one["authenticated"] for one in found["records"]] == [vouches] * 2


# TLSA records that say the same, or hide others.


def tlsa(serve, info, published, **zone):
    """(problem, values) of all that differs at the TLSA records of one node."""
    found = said(fleet(mx1=info), compare=True, resolvers=[serve({(TLSA1, "TLSA"): published}, **zone)])
    return [record["published"] for record in found["records"]], [
        (one["problem"], one["values"], one["advice"]) for one in found["differences"]
    ]


SHOWN = node(certificate(key("AA"), of_ca("CC")))
FOREIGN = by_sha512("EE")
VERBATIM, DIGEST = "3 1 0 3082", "3 1 1 " + hashlib.sha256(b"\x30\x82").hexdigest().upper()


@pytest.mark.parametrize(
    ("info", "published"),
    [
        (SHOWN, [by_sha512("AA")]),
        (SHOWN, [of_whole("AA")]),
        (SHOWN, [key("AA"), by_sha512("AA")]),
        (SHOWN, [by_sha512("AA"), of_ca("CC"), "2 0 1 " + "CC" * 32, "2 1 2 " + "CC" * 64]),
        (node(certificate(DIGEST)), [VERBATIM]),
        (node(certificate(DIGEST)), [VERBATIM, FOREIGN]),
    ],
    ids=[
        "by SHA-512",
        "the certificate",
        "both digests",
        "CAs by whatever digest",
        "the key",
        "the key beside a digest",
    ],
)
def test_a_record_that_says_the_same_of_a_key_is_right(serve, info, published):
    there, differs = tlsa(serve, info, published)
    assert there == [True]
    assert [problem for problem, _values, _advice in differs] == ["stale"] * (FOREIGN in published)


@pytest.mark.parametrize(
    ("published", "hidden"),
    [
        ([key("AA"), by_sha512("EE")], True),
        ([key("AA"), by_sha512("EE"), by_sha512("AA")], False),
        ([key("AA"), "3 0 2 " + "EE" * 64], False),
        ([key("AA"), "2 1 2 " + "EE" * 64], False),
        ([key("AA"), of_whole("AA"), by_sha512("EE")], False),
        ([key("AA"), of_ca("CC"), by_sha512("EE")], None),
    ],
)
def test_a_foreign_record_by_a_stronger_digest_hides_the_right_one_now(serve, published, hidden):
    """Postfix, as others, looks at the strongest digest alone (RFC 7671 section 9)."""
    there, differs = tlsa(serve, SHOWN, published)
    found = [(values, advice) for problem, values, advice in differs if problem == "hidden"]
    assert there == [hidden is False]
    assert [values for values, _advice in found] == ([] if hidden is False else [[key("AA")]])
    if hidden:
        assert f"here {by_sha512('EE')}, so that they hold their mail" in found[0][1]
    elif found:
        assert "before the key is used" in found[0][1]


def test_a_right_record_by_a_stronger_digest_hides_that_of_the_next_key(serve):
    info = node(certificate(key("AA")), announced=[key("DD")])
    there, differs = tlsa(serve, info, [by_sha512("AA"), key("AA"), key("DD")])
    assert there == [True, False]
    ((problem, values, advice),) = differs
    assert (problem, values) == ("hidden", [key("DD")])
    assert "before the key is used" in advice
    assert tlsa(serve, info, [by_sha512("AA"), by_sha512("DD")]) == ([True, True], [])


# Who vouches for an answer, for how long, and how long others keep it.

MONTH = (-20 * DAY, 10 * DAY)


@pytest.mark.parametrize(
    ("zone", "problems", "advice", "warned"),
    [
        ({"vouches": True}, 0, None, False),
        ({"vouches": True, "signed": MONTH}, 0, None, False),
        ({"vouches": False}, 2, "Sign the zone", False),
        ({"vouches": False, "authoritative": True}, 2, "Sign the zone", False),
        ({"vouches": False, "signed": MONTH}, 2, "DS record.*or ask a resolver that validates", False),
        ({"vouches": False, "authoritative": True, "signed": MONTH}, 0, None, True),
    ],
    ids=["secure", "secure and signed", "unsigned", "unsigned, by its server", "no DS", "signed, by its server"],
)
def test_an_answer_that_dnssec_does_not_vouch_for_is_told(serve, zone, problems, advice, warned):
    found = said(PUBLIC, **WANTED, compare=True, resolvers=[serve(ALL, **zone)])
    assert [(one["type"], one["problem"]) for one in found["differences"]] == [
        ("TLSA", "unauthenticated"),
        ("MX", "unauthenticated"),
    ][:problems]
    assert all(re.search(advice, one["advice"]) for one in found["differences"])
    assert any("vouches for nothing" in warning for warning in found["warnings"]) is warned


@pytest.mark.parametrize(
    ("signed", "says"),
    [
        ((-27 * DAY, 3 * DAY + 60), None),
        ((-28 * DAY, 2 * DAY), "ends on"),
        ((-DAY, DAY), None),
        ((-30 * DAY, -DAY), "ended on"),
    ],
    ids=["in time", "in the last tenth", "an hour's habit of signing anew", "over"],
)
def test_a_signature_that_nobody_renews_in_time_is_told(serve, signed, says):
    found = said(PUBLIC, **WANTED, compare=True, resolvers=[serve(ALL, signed=signed)])["differences"]
    assert [one["problem"] for one in found] == ["expiring"] * (4 if says else 0)
    assert all(says in one["advice"] for one in found)


@pytest.mark.parametrize(("ttl", "told"), [(3600, False), (86400, True)])
def test_a_ttl_that_is_longer_than_what_is_waited_for_is_told_and_waited_for(serve, ttl, told):
    records = {**ALL, (TLSA1, "TLSA"): [key("AA")]}
    found = said(PUBLIC, **WANTED, compare=True, resolvers=[serve(records, signed=MONTH, ttl=ttl)])["differences"]
    assert [one["type"] for one in found if one["problem"] == "ttl"] == (["TLSA", "TXT", "TXT", "MX"] if told else [])
    (waits,) = [one["advice"] for one in found if one["problem"] == "missing"]
    assert f"its TTL; here {ttl} seconds" in waits


@pytest.mark.parametrize(
    ("published", "differs"),
    [
        (["10 mx1.example.com.", "20 MX1.EXAMPLE.COM."], []),
        ([], [("missing", ["mx1.example.com"])]),
        (dns.rcode.NXDOMAIN, [("missing", ["mx1.example.com"])]),
        (["10 mx9.example.com."], [("missing", ["mx1.example.com"]), ("unlisted", ["10 mx9.example.com."])]),
        (["10 mx1.example.com.", "20 mx.backup.example."], [("unlisted", ["20 mx.backup.example."])]),
        (["0 ."], [("missing", ["mx1.example.com"]), ("unlisted", ["0 ."])]),
        (dns.rcode.SERVFAIL, [("unknown", [])]),
    ],
)
def test_mx_records_name_the_hosts_of_the_domain(serve, published, differs):
    server = serve({**ALL, (DOMAIN, "MX"): published})
    found = said(PUBLIC, **WANTED, compare=True, resolvers=[server])["differences"]
    assert [(one["problem"], one["values"]) for one in found if one["type"] == "MX"] == differs
    assert {one["type"] for one in found} <= {"MX"}


def test_a_pattern_covers_the_mx_hosts_that_it_stands_for(serve):
    domains = [{"name": "example.com", "mx": ["*.example.com"]}]
    server = serve({(DOMAIN, "MX"): ["10 mx7.example.com."]})
    found = said(PUBLIC, domains=domains, compare=True, resolvers=[server])["differences"]
    assert not [one for one in found if one["type"] == "MX"]
