# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose word for it counts that an answer of DNS is secure: a validator's on this host, proven anew, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import dns.flags
import dns.message
import dns.rdata
import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import validator
from ansible_collections.mailfleet.smtp_hardening.tests.unit.name_server import Zone
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

SCRIPT = RELAY / "smtp-dane-first.py"
STS = "OK secure match=mx.example.com servername=hostname"
ELSEWHERE = "is not on loopback, so its answers could be forged on the way"
FORGED = {"MX": "10 mx-evil.example.", "A": "192.0.2.66", "TLSA": "3 1 1 " + "ab" * 32}


class Host:
    """A host with a resolv.conf and one in Postfix's chroot; whatever resolver it asks says that all is secure."""

    def __init__(self, program, tmp_path):
        self.program, self.files = program, {"host": tmp_path / "resolv.conf", "chroot": tmp_path / "copy"}
        self.validates, self.proofs, self.asked, self.now = True, 0, [], 0.0
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / "etc-postfix").symlink_to(self.files["chroot"])
        for name in self.files:
            self.names(name, "127.0.0.1")

    def names(self, file, *addresses):
        self.files[file].write_text("".join(f"nameserver {address}\n" for address in addresses))

    def prove(self, _address, name):
        self.proofs += 1
        secure = name == "."
        return self.program.validator.Answer(0 if secure or not self.validates else 2, secure)

    async def lookup(self, addresses, name, kind):
        self.asked.append((tuple(addresses), name, kind))
        return self.program.Found(True, name, [dns.rdata.from_text("IN", kind, FORGED[kind])])

    async def ask_mta_sts(self, _domain):
        return STS

    def replies(self, *keys, between=lambda: None):
        async def play():
            resolvers = self.program.Resolvers(self.program.validator.Names())
            found = []
            for key in keys:
                found.append(await self.program.vouched(key, resolvers))
                between()
            return found

        return asyncio.run(play())

    def reply(self):
        return self.replies("example.com")[0]


@pytest.fixture
def host(program, tmp_path, monkeypatch):
    made = Host(program, tmp_path)
    monkeypatch.setattr(program, "COPIES", str(tmp_path / "links"))
    monkeypatch.setattr(program.validator, "RESOLV_CONF", str(made.files["host"]))
    monkeypatch.setattr(program.validator, "ask", made.prove)
    monkeypatch.setattr(program.validator, "is_dnsmasq", lambda address: False)
    monkeypatch.setattr(program.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(program, "lookup", made.lookup)
    monkeypatch.setattr(program, "ask_mta_sts", made.ask_mta_sts)
    return made


def test_while_a_validator_on_loopback_is_asked_dane_is_answered(host):
    assert host.reply() == "OK dane-only"
    assert {addresses for addresses, _name, _kind in host.asked} == {("127.0.0.1",)}


@pytest.mark.parametrize("file", ["host", "chroot"])
@pytest.mark.parametrize("addresses", [["192.0.2.1"], ["127.0.0.1", "2001:db8::1"], ["10.0.0.1", "127.0.0.1"]])
def test_where_anybody_else_may_be_asked_mail_waits_and_he_is_not_even_asked(host, file, addresses):
    host.names(file, *addresses)
    (elsewhere,) = set(addresses) - {"127.0.0.1"}
    assert host.reply() == (
        f"TEMP DANE was promised here, and the resolver {elsewhere} {ELSEWHERE} ({host.files[file]})"
    )
    assert host.asked == []


def test_a_resolver_on_loopback_that_does_not_validate_is_nobodys(host):
    host.validates = False
    assert "127.0.0.1 does not refuse (SERVFAIL) the name dnssec-failed.org" in host.reply()
    assert host.asked == []


@pytest.mark.parametrize("file", ["host", "chroot"])
def test_a_file_that_changes_counts_at_the_next_question_and_the_one_after(host, file):
    addresses = iter(["192.0.2.1", "127.0.0.1", "127.0.0.1"])
    replies = host.replies(*["example.com"] * 3, between=lambda: host.names(file, next(addresses)))
    assert [reply.partition(" DANE")[0] for reply in replies] == ["OK dane-only", "TEMP", "OK dane-only"]


def test_what_was_heard_while_a_file_changed_counts_for_nothing(host, monkeypatch):
    async def lookup(addresses, name, kind):
        host.names("host", "192.0.2.1")
        return await host.lookup(addresses, name, kind)

    monkeypatch.setattr(host.program, "lookup", lookup)
    assert ELSEWHERE in host.reply()


def test_what_mta_sts_says_meanwhile_counts_as_little(host, monkeypatch):
    async def ask_mta_sts(_domain):
        host.names("chroot", "192.0.2.1")
        return STS

    monkeypatch.setattr(host.program, "ask_mta_sts", ask_mta_sts)
    monkeypatch.setitem(FORGED, "TLSA", "1 1 1 " + "ab" * 32)
    assert ELSEWHERE in host.reply()


def test_the_resolver_is_asked_again_each_minute_and_sooner_where_it_failed(host, capsys):
    moments = iter([10, 59, 61, 63, 67, 68])

    def later():
        host.now = next(moments)
        host.validates = host.now != 61

    replies = host.replies(*["example.com"] * 6, between=later)
    assert [reply.startswith("OK ") for reply in replies] == [True, True, True, False, False, True]
    assert host.proofs == 2 * 3
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("mail waits: the resolver 127.0.0.1 does not refuse") and told[1:] == [
        "the resolver validates again"
    ]


def test_a_lookup_that_fails_has_the_resolver_proven_again_before_the_next(host, monkeypatch):
    async def lookup(_addresses, name, kind):
        raise host.program.Failed(f"{kind} {name}: LifetimeTimeout")

    monkeypatch.setattr(host.program, "lookup", lookup)
    assert host.replies("example.com", "example.com") == ["TEMP MX example.com: LifetimeTimeout"] * 2
    assert host.proofs == 2 * 2


def test_a_file_that_nobody_may_read_makes_mail_wait(host):
    host.files["chroot"].unlink()
    host.files["chroot"].mkdir()
    assert "Is a directory" in host.reply()


def test_a_name_that_cannot_be_asked_for_makes_mail_wait(host, monkeypatch):
    monkeypatch.setattr(host.program.validator, "ask", lambda address, name: validator._query("no name"))
    assert "'no name' is not a domain name" in host.reply()


def test_an_instance_that_has_no_copy_asks_as_the_host_does(host):
    host.files["chroot"].unlink()
    assert host.reply() == "OK dane-only"


def test_a_next_hop_that_is_the_operators_needs_no_dns(host):
    host.names("host", "192.0.2.1")
    assert host.replies("[mx.example.com]", "example.com:25") == ["NOTFOUND ", "NOTFOUND "]


def test_where_no_resolver_was_ever_proven_dns_is_not_asked_and_mta_sts_decides(host):
    host.names("host", "192.0.2.1")
    assert asyncio.run(host.program.without_dane("example.com")) == STS
    assert (host.asked, host.proofs) == ([], 0)


def test_dane_is_answered_by_request_alone(program):
    given = program.options(["--dane", "--signed", "test", "--bogus", "spoiled.test"])
    assert (given.dane, given.signed, given.bogus) == (True, "test", "spoiled.test")
    given = program.options([])
    assert (given.dane, given.signed, given.bogus) == (False, ".", "dnssec-failed.org")


class Formal(Zone):
    """A validator that says that an answer is secure to clients alone that understand DNSSEC (RFC 4035 section 3.2.3)."""

    def answer(self, data):
        reply = dns.message.from_wire(super().answer(data))
        if not dns.message.from_wire(data).ednsflags & dns.flags.DO:
            reply.flags &= ~dns.flags.AD
        return reply.to_wire()


def test_a_lookup_is_asked_as_the_resolver_was_when_it_was_proven(program, monkeypatch):
    with Formal({("example.com.", "MX"): ["10 mx1.example.com."]}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = program.dns.asyncresolver.Resolver(configure=False)
        made.port = server.server_address[1]
        monkeypatch.setattr(program.dns.asyncresolver, "Resolver", lambda configure: made)
        proof = program.validator.ask("127.0.0.1", "example.com", made.port)
        found = asyncio.run(program.lookup(["127.0.0.1"], "example.com", "MX"))
        server.shutdown()
    assert proof.authenticated and found.secure and len(found.records) == 1


@pytest.mark.parametrize("passed_to", [None, "1"], ids=["nobody", "another process"])
def test_it_listens_nowhere_by_itself(program, monkeypatch, passed_to):
    monkeypatch.delenv("LISTEN_PID", raising=False)
    if passed_to:
        monkeypatch.setenv("LISTEN_PID", passed_to)
    with pytest.raises(SystemExit, match="start smtp-dane-first.socket"):
        program.listening()


def test_it_listens_where_systemd_does_for_it(program, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as held:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setattr(program, "FIRST_PASSED", os.dup(held.fileno()))
        with program.listening() as given:
            assert given.getsockname() == held.getsockname()
