# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket
import socketserver
import struct

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.doc_fragments.smtp import ModuleDocFragment
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import resolver
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.resolver import (
    DNSSEC_ARGUMENTS,
    Answer,
    Names,
    ask,
    unmet,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
REMEDY = " Install one (role relay: relay_resolver: unbound), or name other names to ask in dnssec_test."
NEEDED = "Level dane needs a resolver on loopback that validates DNSSEC, and "


class Server(socketserver.ThreadingUDPServer):
    """A DNS server that answers from a script: for each query what to send back."""

    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Exchange)
        self.script, self.queries = script, []


class Exchange(socketserver.BaseRequestHandler):
    def handle(self):
        query, sock = self.request
        self.server.queries.append(query)
        for reply in self.server.script(query, len(self.server.queries)):
            sock.sendto(reply, self.client_address)


def reply(query, rcode=NOERROR, authenticated=True, number=None):
    flags = 0x8180 | (0x0020 if authenticated else 0) | rcode
    return (query[:2] if number is None else struct.pack("!H", number)) + struct.pack("!5H", flags, 1, 0, 0, 0)


@pytest.fixture
def serve(serving):
    return lambda script: serving(Server(script))


def question(server, name="partner.example", timeout=2.0):
    return ask("127.0.0.1", name, port=server.server_address[1], timeout=timeout)


@pytest.mark.parametrize("rcode", [NOERROR, SERVFAIL, NXDOMAIN, REFUSED])
@pytest.mark.parametrize("authenticated", [True, False])
def test_the_header_of_an_answer_tells_enough(serve, rcode, authenticated):
    server = serve(lambda query, _number: [reply(query, rcode, authenticated)])
    assert question(server) == Answer(rcode, authenticated)


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        (".", b"\0"),
        ("example", b"\7example\0"),
        ("example.", b"\7example\0"),
        ("DNSSEC-failed.org", b"\rdnssec-failed\3org\0"),
        ("_25._tcp.mx.example", b"\3_25\4_tcp\2mx\7example\0"),
    ],
)
def test_a_query_asks_for_ns_records_and_understands_dnssec(serve, name, encoded):
    server = serve(lambda query, _number: [reply(query)])
    question(server, name)
    (query,) = server.queries
    assert query[2:12] == struct.pack("!5H", 0x0120, 1, 0, 0, 1)  # RD and AD; a question and an OPT record
    assert query[12 : 12 + len(encoded)] == encoded
    kind, class_, end, opt, size, extended, length = struct.unpack("!2HBHHIH", query[12 + len(encoded) :])
    assert (kind, class_, end, opt, size, extended, length) == (2, 1, 0, 41, 1232, 0x8000, 0)


def test_each_question_has_a_number_of_its_own(serve):
    server = serve(lambda query, _number: [reply(query)])
    for _time in range(8):
        question(server)
    assert len({query[:2] for query in server.queries}) > 1


def test_answers_to_other_questions_and_fragments_are_passed_over(serve):
    def script(query, _number):
        other = struct.unpack("!H", query[:2])[0] ^ 1
        return [b"", query[:2], query[:11], reply(query, REFUSED, False, other), reply(query, SERVFAIL, False)]

    assert question(serve(script)) == Answer(SERVFAIL, False)


def test_a_question_that_got_lost_is_asked_once_more(serve):
    server = serve(lambda query, number: [reply(query)] if number == 2 else [])
    assert question(server, timeout=0.2) == Answer(NOERROR, True)
    assert server.queries[0] == server.queries[1]


def test_a_resolver_that_says_nothing_is_not_waited_for_longer_than_twice(serve):
    server = serve(lambda query, number: [])
    with pytest.raises(socket.timeout):
        question(server, timeout=0.1)
    assert len(server.queries) == 2


def test_a_port_that_nobody_listens_on_is_an_error_of_the_network():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError):
        ask("127.0.0.1", "example", port=port, timeout=0.2)


def test_the_options_are_those_that_are_documented():
    documented = yaml.safe_load(ModuleDocFragment.DNSSEC)["options"]["dnssec_test"]
    assert documented["type"] == DNSSEC_ARGUMENTS["type"] == "dict"
    assert {
        name: {"type": option["type"], "default": option["default"]}
        for name, option in documented["suboptions"].items()
    } == DNSSEC_ARGUMENTS["options"]
    assert DNSSEC_ARGUMENTS["options"] == {
        "signed": {"type": "str", "default": "."},
        "bogus": {"type": "str", "default": "dnssec-failed.org"},
    }
    assert Names(**{name: option["default"] for name, option in DNSSEC_ARGUMENTS["options"].items()}) == Names()


# Whether DANE can work on a node.


@pytest.fixture
def answers(monkeypatch):
    """One resolver on loopback that validates, until a test says otherwise."""
    said = {".": Answer(NOERROR, True), "dnssec-failed.org": Answer(SERVFAIL, False)}
    monkeypatch.setattr(resolver, "_resolvers", lambda state: ["127.0.0.1"])
    monkeypatch.setattr(resolver, "ask", lambda address, name: said[name])
    return said


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        (".", Answer(NOERROR, True), None),
        (".", Answer(NXDOMAIN, True), None),
        (".", Answer(NOERROR, False), "the resolver 127.0.0.1 does not vouch for the signed name ."),
        (".", Answer(SERVFAIL, False), "the resolver 127.0.0.1 does not vouch for the signed name ."),
        (".", Answer(SERVFAIL, True), "the resolver 127.0.0.1 does not vouch for the signed name ."),
        (".", Answer(REFUSED, True), "the resolver 127.0.0.1 does not vouch for the signed name ."),
        (
            "dnssec-failed.org",
            Answer(NOERROR, False),
            "the resolver 127.0.0.1 does not refuse (SERVFAIL) the name dnssec-failed.org, whose signatures are wrong",
        ),
        (
            "dnssec-failed.org",
            Answer(NOERROR, True),
            "the resolver 127.0.0.1 does not refuse (SERVFAIL) the name dnssec-failed.org, whose signatures are wrong",
        ),
        (
            "dnssec-failed.org",
            Answer(NXDOMAIN, False),
            "the resolver 127.0.0.1 does not refuse (SERVFAIL) the name dnssec-failed.org, whose signatures are wrong",
        ),
    ],
)
def test_a_resolver_must_vouch_for_what_is_signed_and_refuse_what_is_forged(node, answers, name, answer, reason):
    answers[name] = answer
    assert unmet(node.state, None) == (reason and f"{NEEDED}{reason}.{REMEDY}")


def test_other_names_may_be_asked(node, answers):
    answers.update({"signed.example": Answer(NOERROR, True), "bogus.example": Answer(NOERROR, False)})
    given = {"signed": "signed.example", "bogus": "bogus.example"}
    assert "does not refuse (SERVFAIL) the name bogus.example" in unmet(node.state, given)
    answers["bogus.example"] = Answer(SERVFAIL, False)
    assert unmet(node.state, given) is None


@pytest.mark.parametrize(
    ("lookup", "met"), [("dns", True), ("dns, native", True), ("native dns", True), ("native", False), ("", False)]
)
def test_a_client_that_asks_no_dns_has_no_dane(node, answers, lookup, met):
    node.append(f"smtp_host_lookup = {lookup}\n")
    lacking = unmet(node.state, None)
    assert lacking == (None if met else f"{NEEDED}smtp_host_lookup = {lookup} asks no DNS.{REMEDY}")


@pytest.mark.parametrize("addresses", [["192.0.2.53"], ["127.0.0.1", "192.0.2.53"], ["2001:db8::53"]])
def test_a_resolver_elsewhere_is_not_believed(node, answers, monkeypatch, addresses):
    monkeypatch.setattr(resolver, "_resolvers", lambda state: addresses)
    assert unmet(node.state, None) == (
        f"{NEEDED}the resolver {addresses[-1]} is not on loopback, so its answers could be forged on the way.{REMEDY}"
    )


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.53", "::1"]])
def test_any_resolver_on_loopback_will_do(node, answers, monkeypatch, addresses):
    monkeypatch.setattr(resolver, "_resolvers", lambda state: addresses)
    assert unmet(node.state, None) is None


@pytest.mark.parametrize("problem", [ConnectionRefusedError(111, "Connection refused"), socket.timeout("timed out")])
def test_a_resolver_that_does_not_answer_is_named_with_the_reason(node, answers, monkeypatch, problem):
    def ask(address, name):
        raise problem

    monkeypatch.setattr(resolver, "ask", ask)
    assert unmet(node.state, None) == f"{NEEDED}the resolver 127.0.0.1 does not answer ({problem}).{REMEDY}"


@pytest.mark.parametrize("name", ["no name", "", "münchen.example", "a..b"])
def test_a_name_that_cannot_be_asked_is_a_sentence(node, monkeypatch, name):
    monkeypatch.setattr(resolver, "_resolvers", lambda state: ["127.0.0.1"])
    lacking = unmet(node.state, {"signed": name, "bogus": "bogus.example"})
    assert repr(name) in lacking


# Which resolvers Postfix asks.


@pytest.fixture
def resolv_conf(node, tmp_path, monkeypatch):
    """Put resolv.conf in place, for the system and in Postfix's chroot; both below a folder of the test."""
    root = str(tmp_path / "root")
    real = resolver._nameservers
    monkeypatch.setattr(resolver, "_nameservers", lambda top: real(root if top == "/" else top))

    def put(system, inside=None):
        for top, text in ((root, system), (node.queue_dir, inside)):
            if text is not None:
                write(os.path.join(top, "etc/resolv.conf"), text)
        return resolver._resolvers(node.state)

    return put


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (None, ["127.0.0.1"]),
        ("", ["127.0.0.1"]),
        ("search example\noptions edns0 trust-ad\n", ["127.0.0.1"]),
        ("nameserver 127.0.0.53\n", ["127.0.0.53"]),
        ("nameserver 127.0.0.1 # unbound\nnameserver\t::1\n", ["127.0.0.1", "::1"]),
        ("#nameserver 192.0.2.1\n; nameserver 192.0.2.2\nnameserver 127.0.0.1\n", ["127.0.0.1"]),
        ("nameserver fe80::1%eth0\n", ["fe80::1"]),
        ("nameserver\nnameserver 127.0.0.1\n", ["127.0.0.1"]),
        ("# \xff\nnameserver 127.0.0.1\n".encode("latin-1"), ["127.0.0.1"]),
    ],
)
def test_the_resolvers_are_those_of_resolv_conf(node, resolv_conf, text, addresses):
    node.services = "smtp unix - - n - - smtp\n"
    assert resolv_conf(text) == addresses


@pytest.mark.parametrize(
    ("entry", "level", "looks_inside"),
    [
        ("smtp unix - - y - - smtp\n", "3.9", True),
        ("smtp unix - - n - - smtp\n", "3.9", False),
        ("smtp unix - - - - - smtp\n", "3.9", False),
        ("smtp unix - - - - - smtp\n", "0", True),
        ("smtp unix - - y - - smtp\n", "2", True),
        ("", "3.9", False),
    ],
)
def test_a_client_in_a_chroot_asks_the_resolvers_of_the_copy_there(node, resolv_conf, entry, level, looks_inside):
    node.services = entry
    node.write(f"compatibility_level = {level}\n")
    assert resolv_conf("nameserver 127.0.0.1\n", "nameserver 127.0.0.1\nsearch example\n") == ["127.0.0.1"]
    if not looks_inside:
        assert resolv_conf("nameserver 127.0.0.1\n", "nameserver 192.0.2.53\n") == ["127.0.0.1"]
        return
    write(os.path.join(node.queue_dir, "etc/resolv.conf"), "nameserver 192.0.2.53\nnameserver ::1\n")
    assert unmet(node.state, None) == (
        f"{NEEDED}Postfix's copy of resolv.conf in {node.queue_dir} names 192.0.2.53, ::1 and the system 127.0.0.1; "
        f"restart Postfix to renew the copy.{REMEDY}"
    )


@pytest.mark.parametrize("word", ["localhost", "dns.example", "127.0.0.1#53", "127.0.0.1:53"])
def test_a_resolver_that_is_no_address_is_a_sentence_and_no_crash(node, answers, monkeypatch, word):
    monkeypatch.setattr(resolver, "_resolvers", lambda state: [word])
    assert word in unmet(node.state, None)
