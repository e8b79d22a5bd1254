# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix is told about a domain that has DANE, MTA-STS, both or neither, and how it crosses the wire."""

from __future__ import annotations

import asyncio
import tempfile
from types import SimpleNamespace

import dns.rdata
import dns.resolver
import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pki import certify, ec_key

SCRIPT = RELAY / "smtp-dane-first.py"
STS = "OK secure match=mx.example.com servername=hostname"
MATCHING = "3 1 1 " + "ab" * 32
IDENTITY = certify("mx1.example.com", ec_key())
CERTIFICATE = IDENTITY.certificate.public_bytes(Encoding.DER)
KEY = IDENTITY.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def internet(program):
    """A DNS in which example.com is signed and has two mail servers without TLSA records, and no MTA-STS policy."""
    return Internet(program)


class Internet:
    def __init__(self, program):
        self.program = program
        self.zone = {
            ("example.com", "MX"): ["10 mx1.example.com.", "20 mx2.example.com."],
            ("mx1.example.com", "A"): ["192.0.2.1"],
            ("mx2.example.com", "A"): ["192.0.2.2"],
        }
        self.insecure = set()
        """Names, or single questions, that no signature vouches for."""
        self.broken = set()
        """Questions that end in SERVFAIL."""
        self.aliases = {}
        self.mta_sts = program.NOTFOUND
        self.asked = []

    def tlsa(self, host, *records):
        self.zone[f"_25._tcp.{host}", "TLSA"] = records

    async def look_up(self, name, kind):
        self.asked.append((name, kind))
        if (name, kind) in self.broken:
            raise self.program.Failed(f"{kind} {name}: NoNameservers")
        records = [dns.rdata.from_text("IN", kind, text) for text in self.zone.get((name, kind), ())]
        secure = not {name, (name, kind)} & self.insecure
        return self.program.Found(secure, self.aliases.get(name, name), records)

    async def ask_mta_sts(self, domain):
        self.asked.append(domain)
        return self.mta_sts

    def policy(self, key):
        return asyncio.run(self.program.policy(key, self.look_up, self.ask_mta_sts))


def test_without_tlsa_records_mta_sts_decides(internet):
    assert internet.policy("example.com") == "NOTFOUND "
    internet.mta_sts = STS
    assert internet.policy("example.com") == STS


def test_where_all_hosts_have_tlsa_records_dane_is_required_and_mta_sts_is_not_asked(internet):
    internet.tlsa("mx1.example.com", MATCHING)
    internet.tlsa("mx2.example.com", "2 0 1 " + "cd" * 32)
    internet.mta_sts = STS
    assert internet.policy("Example.COM") == "OK dane-only"
    assert "example.com" not in internet.asked


def test_where_some_hosts_have_tlsa_records_they_are_used_and_the_others_as_well(internet):
    internet.tlsa("mx1.example.com", MATCHING)
    assert internet.policy("example.com") == "OK dane"


def test_where_some_hosts_have_tlsa_records_and_a_policy_protects_the_others_they_alone_are_used(internet):
    internet.tlsa("mx1.example.com", MATCHING)
    internet.mta_sts = STS
    assert internet.policy("example.com") == "OK dane-only"


def test_where_some_hosts_have_tlsa_records_and_the_policy_is_not_known_mail_waits(internet):
    internet.tlsa("mx1.example.com", MATCHING)
    internet.mta_sts = "TEMP MTA-STS resolver: ConnectionRefusedError"
    assert internet.policy("example.com").startswith("TEMP ")


def test_a_host_without_an_address_is_nobody_that_mail_could_go_to(internet):
    del internet.zone["mx2.example.com", "A"]
    internet.tlsa("mx1.example.com", MATCHING)
    assert internet.policy("example.com") == "OK dane-only"
    internet.insecure = {"mx2.example.com"}
    assert internet.policy("example.com") == "OK dane-only"
    del internet.zone["mx1.example.com", "A"]
    assert internet.policy("example.com") == "NOTFOUND "


def test_a_host_with_an_ipv6_address_alone_counts_as_any_other(internet):
    for host in ("mx1.example.com", "mx2.example.com"):
        del internet.zone[host, "A"]
        internet.zone[host, "AAAA"] = ["2001:db8::1"]
        internet.tlsa(host, MATCHING)
    assert internet.policy("example.com") == "OK dane-only"


@pytest.mark.parametrize("name", ["example.com", "mx1.example.com"])
def test_tlsa_records_count_only_where_dnssec_vouches_for_the_way_to_them(internet, name):
    del internet.zone["mx2.example.com", "A"]
    internet.zone["example.com", "MX"] = ["10 mx1.example.com."]
    internet.tlsa("mx1.example.com", MATCHING)
    internet.mta_sts = STS
    internet.insecure = {name}
    assert internet.policy("example.com") == STS


def test_a_host_of_an_unsigned_zone_is_not_asked_for_tlsa_records(internet):
    """RFC 7672 section 2.2.2: some name servers of such zones fail when they are."""
    internet.insecure = {"mx1.example.com", "mx2.example.com"}
    internet.policy("example.com")
    assert not [question for question in internet.asked if question[1] == "TLSA"]


UNUSABLE = [
    "0 0 1 " + "ab" * 32,
    "1 1 1 " + "ab" * 32,
    "3 2 1 " + "ab" * 32,
    "3 1 9 " + "ab" * 32,
    "3 1 255 " + "ab" * 32,
    "3 1 1 " + "ab" * 31,
    "3 1 1 " + "ab" * 33,
    "3 1 1 " + "ab" * 20,
    "2 0 2 " + "ab" * 32,
    "3 1 0 " + "ab" * 32,
    "3 1 0 " + CERTIFICATE.hex(),
    "3 0 0 " + KEY.hex(),
    "2 0 0 " + CERTIFICATE[:-1].hex(),
]


@pytest.mark.parametrize("record", UNUSABLE)
def test_where_tlsa_records_authenticate_nobody_mail_goes_out_over_tls_or_as_a_policy_asks(internet, record):
    """RFC 7672 section 2.2, and section 3.1.3. At dane, Postfix encrypts then, and verifies nothing."""
    for host in ("mx1.example.com", "mx2.example.com"):
        internet.tlsa(host, record)
    assert internet.policy("example.com") == "OK dane"
    internet.mta_sts = STS
    assert internet.policy("example.com") == STS
    internet.mta_sts = "TEMP MTA-STS resolver: ConnectionRefusedError"
    assert internet.policy("example.com").startswith("TEMP ")


@pytest.mark.parametrize(
    "record",
    [
        MATCHING,
        "2 0 1 " + "ab" * 32,
        "3 1 2 " + "ab" * 64,
        "3 1 0 " + KEY.hex(),
        "3 0 0 " + CERTIFICATE.hex(),
        "2 0 0 " + CERTIFICATE.hex(),
        "2 1 0 " + KEY.hex(),
    ],
)
def test_one_usable_record_of_a_host_must_match_whatever_stands_beside_it(internet, record):
    for host in ("mx1.example.com", "mx2.example.com"):
        internet.tlsa(host, "3 1 1 abcd", record)
    internet.mta_sts = STS
    assert internet.policy("example.com") == "OK dane-only"


def test_a_key_of_a_kind_that_nobody_here_knows_may_have_to_match(internet, monkeypatch):
    def load(_der):
        raise UnsupportedAlgorithm("an algorithm of tomorrow")

    monkeypatch.setattr(internet.program, "load_der_public_key", load)
    for host in ("mx1.example.com", "mx2.example.com"):
        internet.tlsa(host, "3 1 0 " + KEY.hex())
    assert internet.policy("example.com") == "OK dane-only"


def test_where_one_host_has_unusable_records_and_another_none_the_first_gets_mail_over_tls_alone(internet):
    internet.tlsa("mx2.example.com", "1 1 1 " + "ab" * 32)
    assert internet.policy("example.com") == "OK dane"
    internet.tlsa("mx1.example.com", MATCHING)
    assert internet.policy("example.com") == "OK dane"
    internet.mta_sts = STS
    assert internet.policy("example.com") == "OK dane-only"


@pytest.mark.parametrize("question", [("_25._tcp.mx1.example.com", "TLSA"), ("mx1.example.com", "A")])
def test_where_a_lookup_fails_mta_sts_takes_nothing_over(internet, question):
    internet.zone["example.com", "MX"] = ["10 mx1.example.com."]
    internet.broken = {question}
    internet.mta_sts = STS
    assert internet.policy("example.com") == "OK dane-only"


def test_where_the_mx_records_cannot_be_had_mail_waits(internet):
    internet.broken = {("example.com", "MX")}
    internet.mta_sts = STS
    assert internet.policy("example.com") == "TEMP MX example.com: NoNameservers"


def test_a_domain_without_mx_records_is_its_own_mail_server(internet):
    internet.tlsa("mx1.example.com", MATCHING)
    assert internet.policy("mx1.example.com") == "OK dane-only"


def test_what_dnssec_says_about_a_domain_without_mx_records_is_what_it_says_about_its_address(internet):
    """As for Postfix: a denial of MX records can be insecure in a signed zone, as behind an alias."""
    internet.tlsa("mx1.example.com", MATCHING)
    internet.insecure = {("mx1.example.com", "MX")}
    assert internet.policy("mx1.example.com") == "OK dane-only"
    internet.insecure = {"mx1.example.com"}
    assert internet.policy("mx1.example.com") == "NOTFOUND "


def test_a_domain_that_takes_no_mail_has_no_policy(internet):
    internet.zone["example.com", "MX"] = ["0 ."]
    assert internet.policy("example.com") == "NOTFOUND "


def test_tlsa_records_are_looked_for_where_an_alias_leads_and_then_at_the_alias(internet):
    internet.zone["example.com", "MX"] = ["10 mx1.example.com."]
    internet.aliases = {"mx1.example.com": "host.example.net"}
    internet.tlsa("host.example.net", MATCHING)
    assert internet.policy("example.com") == "OK dane-only"
    internet.tlsa("host.example.net")
    internet.tlsa("mx1.example.com", MATCHING)
    assert internet.policy("example.com") == "OK dane-only"
    internet.tlsa("host.example.net", "1 1 1 " + "ab" * 32)
    assert internet.policy("example.com") == "OK dane", "the first name that has records decides"


@pytest.fixture
def aliased(internet):
    """The one mail server's name is a signed alias of a host in an unsigned zone."""
    internet.zone["example.com", "MX"] = ["10 mx1.example.com."]
    internet.zone["mx1.example.com", "CNAME"] = ["host.example.net."]
    internet.aliases = {"mx1.example.com": "host.example.net"}
    internet.insecure = {("mx1.example.com", "A")}
    internet.mta_sts = STS
    return internet


def test_tlsa_records_of_a_signed_alias_count_where_it_leads_to_an_unsigned_zone(aliased):
    """RFC 7672 section 2.2.2; RFC 8461 section 2 lets no policy override what fails then."""
    aliased.tlsa("mx1.example.com", MATCHING)
    assert aliased.policy("example.com") == "OK dane-only"
    assert ("_25._tcp.host.example.net", "TLSA") not in aliased.asked
    aliased.tlsa("mx1.example.com")
    assert aliased.policy("example.com") == STS


def test_they_count_as_well_where_that_zone_denies_the_address_which_anybody_could(aliased):
    del aliased.zone["mx1.example.com", "A"]
    aliased.insecure = {("mx1.example.com", "A"), ("mx1.example.com", "AAAA")}
    aliased.tlsa("mx1.example.com", MATCHING)
    assert aliased.policy("example.com") == "OK dane-only"


def test_an_alias_that_no_signature_vouches_for_says_nothing(aliased):
    aliased.tlsa("mx1.example.com", MATCHING)
    aliased.insecure = {"mx1.example.com"}
    assert aliased.policy("example.com") == STS
    assert not [question for question in aliased.asked if question[1] == "TLSA"]


@pytest.mark.parametrize("records", [None, ()], ids=["broken", "gone"])
def test_where_nobody_can_say_whether_an_alias_is_signed_mta_sts_takes_nothing_over(aliased, records):
    aliased.zone["mx1.example.com", "CNAME"] = records
    aliased.broken = {("mx1.example.com", "CNAME")} if records is None else set()
    assert aliased.policy("example.com") == "OK dane-only"


@pytest.mark.parametrize(
    "key", ["[mx.example.com]:25", "[mx.example.com]", "mx.example.com:25", ".com", "192.0.2.1", "", "a b"]
)
def test_what_is_no_domain_is_asked_nowhere(internet, key):
    internet.mta_sts = STS
    assert internet.policy(key) == "NOTFOUND "
    assert internet.asked == []


class Writer:
    def __init__(self):
        self.octets = b""
        self.closed = False

    def write(self, octets):
        self.octets += octets

    async def drain(self):
        pass

    def close(self):
        self.closed = True


def heard(program, octets):
    """What one connection is answered with these octets: each key in capitals."""

    async def converse():
        reader, writer = asyncio.StreamReader(), Writer()
        reader.feed_data(octets)
        reader.feed_eof()

        async def answer(key):
            return f"OK {key.upper()}"

        await program.converse(reader, writer, answer)
        return writer

    writer = asyncio.run(converse())
    assert writer.closed
    return writer.octets


def test_a_request_is_a_netstring_of_name_and_key_and_so_is_its_reply(program):
    assert heard(program, b"18:policy example.com,") == b"14:OK EXAMPLE.COM,"
    assert heard(program, b"8:policy a,8:policy b,") == b"4:OK A,4:OK B,"
    assert heard(program, "9:policy ü,".encode()) == "5:OK Ü,".encode()


@pytest.mark.parametrize(
    "octets",
    [b"", b"18:policy exam", b"8:policy a;", b"x:policy a,", b"08:policy a,", b"999999:", b"1:\xff,", b"1" * 2**17],
)
def test_what_is_no_request_ends_the_connection(program, octets):
    assert heard(program, octets) == b""


def exchange(program, reply):
    """The reply that is made of what an MTA-STS resolver answers, and what it was asked."""
    asked = []

    async def play():
        async def speak(reader, writer):
            asked.append(await reader.readuntil(b","))
            writer.write(reply)
            writer.close()

        with tempfile.TemporaryDirectory() as folder:
            async with await asyncio.start_unix_server(speak, f"{folder}/socket"):
                return await program.ask_mta_sts("example.com", f"{folder}/socket")

    return asyncio.run(play()), asked


def test_the_mta_sts_resolver_is_asked_by_the_same_protocol(program):
    assert exchange(program, b"9:NOTFOUND ,") == ("NOTFOUND ", [b"20:reported example.com,"])


@pytest.mark.parametrize("reply", [b"", b"9:NOTF", b"HTTP/1.1 400 Bad Request\r\n"])
def test_a_broken_answer_of_the_mta_sts_resolver_makes_mail_wait(program, reply):
    assert exchange(program, reply)[0].startswith("TEMP MTA-STS resolver: ")


def test_an_mta_sts_resolver_that_does_not_run_makes_mail_wait(program):
    answer = asyncio.run(program.ask_mta_sts("example.com", "/nowhere"))
    assert answer == "TEMP MTA-STS resolver: FileNotFoundError"


def answered(program, monkeypatch, outcome):
    """What a lookup makes of an exception of the DNS library."""

    async def resolve(*_question, **_options):
        raise outcome

    fake = SimpleNamespace(resolve=resolve, set_flags=lambda flags: None, use_edns=lambda *options: None)
    monkeypatch.setattr(program.dns.asyncresolver, "Resolver", lambda configure: fake)
    return asyncio.run(program.lookup(["127.0.0.1"], "example.com", "MX"))


def test_a_name_that_does_not_exist_is_an_answer(program, monkeypatch):
    assert answered(program, monkeypatch, dns.resolver.NXDOMAIN()) == (False, "example.com", ())


@pytest.mark.parametrize(
    "outcome",
    [dns.resolver.NoNameservers(), dns.resolver.LifetimeTimeout(timeout=1, errors=[])],
    ids=["broken", "late"],
)
def test_a_response_that_is_broken_or_late_is_none(program, monkeypatch, outcome):
    with pytest.raises(program.Failed, match="^MX example.com: "):
        answered(program, monkeypatch, outcome)
