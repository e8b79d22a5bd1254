# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether resolvers validate, as they show it on the wire."""

from __future__ import annotations

import os
import socket
import socketserver
import struct

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import validator
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.validator import (
    Answer,
    Names,
    ask,
    is_dnsmasq,
    nameservers,
    of_host,
    why_not,
    why_silent,
    why_unanswered,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


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


def test_dnsmasq_says_what_it_is_and_silence_says_nothing(serve):
    asked = []

    def script(query, _number):
        asked.append(query)
        return [query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + query[12:] + b"\x0cdnsmasq-2.90"]

    assert is_dnsmasq("127.0.0.1", serve(script).server_address[1])
    assert asked[0][12:] == b"\7version\4bind\0" + struct.pack("!2H", 16, 3)
    assert not is_dnsmasq("127.0.0.1", serve(lambda query, _number: [reply(query, REFUSED)]).server_address[1])
    assert not is_dnsmasq("127.0.0.1", serve(lambda query, _number: []).server_address[1], timeout=0.1)


# Whether what they say is secure may be believed.


@pytest.fixture
def said(monkeypatch):
    """A resolver on loopback that validates, until a test says otherwise."""
    answers = {
        ".": Answer(NOERROR, True),
        "dnssec-failed.org": Answer(SERVFAIL, False),
        "example.com": Answer(0, False),
    }
    monkeypatch.setattr(validator, "ask", lambda address, name: answers[name])
    monkeypatch.setattr(validator, "is_dnsmasq", lambda address: False)
    return answers


VOUCHES = "the resolver 127.0.0.1 does not vouch for the signed name ."
REFUSES = "the resolver 127.0.0.1 does not refuse (SERVFAIL) the name dnssec-failed.org, whose signatures are wrong"


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        (".", Answer(NOERROR, True), None),
        (".", Answer(NXDOMAIN, True), None),
        (".", Answer(NOERROR, False), VOUCHES),
        (".", Answer(SERVFAIL, False), VOUCHES),
        (".", Answer(SERVFAIL, True), VOUCHES),
        (".", Answer(REFUSED, True), VOUCHES),
        ("dnssec-failed.org", Answer(NOERROR, False), REFUSES),
        ("dnssec-failed.org", Answer(NOERROR, True), REFUSES),
        ("dnssec-failed.org", Answer(NXDOMAIN, False), REFUSES),
    ],
)
def test_a_resolver_must_vouch_for_what_is_signed_and_refuse_what_is_forged(said, name, answer, reason):
    said[name] = answer
    assert why_not(["127.0.0.1"], Names()) == reason


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.53", "::1"], []])
def test_any_resolver_on_loopback_will_do(said, addresses):
    assert why_not(addresses, Names()) is None


@pytest.mark.parametrize(
    "addresses",
    [["192.0.2.53"], ["127.0.0.1", "192.0.2.53"], ["2001:db8::53"], ["10.0.0.53"], ["fe80::1"], ["::ffff:192.0.2.1"]]
    + [[word] for word in ("localhost", "dns.example", "127.0.0.1#53", "127.0.0.1:53")],
)
def test_a_resolver_elsewhere_is_not_even_asked(monkeypatch, addresses):
    monkeypatch.setattr(validator, "ask", lambda address, name: Answer(SERVFAIL if "failed" in name else NOERROR, True))
    monkeypatch.setattr(validator, "is_dnsmasq", lambda address: False)
    assert why_not(addresses, Names()) == (
        f"the resolver {addresses[-1]} is not on loopback, so its answers could be forged on the way"
    )


@pytest.mark.parametrize("address", ["127.0.0.11", "127.0.0.54"])
def test_a_forwarder_that_verifies_nothing_is_no_validator_whatever_it_passes_on(said, address):
    reason = why_not([address], Names())
    assert reason.startswith(f"the resolver {address} is ")
    assert reason.endswith("verifies nothing itself and passes on what others say")


def test_dnsmasq_is_not_believed_for_nobody_can_tell_whether_it_only_passes_on(said, monkeypatch):
    monkeypatch.setattr(validator, "is_dnsmasq", lambda address: True)
    assert why_not(["127.0.0.1"], Names()).startswith("the resolver 127.0.0.1 is dnsmasq, which may pass on")


@pytest.mark.parametrize("problem", [ConnectionRefusedError(111, "Connection refused"), socket.timeout("timed out")])
def test_a_resolver_that_does_not_answer_is_named_with_the_reason(monkeypatch, problem):
    def ask(address, name):
        raise problem

    monkeypatch.setattr(validator, "ask", ask)
    reason = f"the resolver 127.0.0.1 does not answer ({problem})"
    assert why_not(["127.0.0.1"], Names()) == why_unanswered("127.0.0.1", ["example.com"]) == reason


@pytest.mark.parametrize("rcode", [SERVFAIL, NXDOMAIN, REFUSED])
def test_an_ordinary_name_must_be_there(said, rcode):
    assert why_unanswered("127.0.0.1", ["example.com"]) is None
    said["example.com"] = Answer(rcode, True)
    reason = f"the resolver 127.0.0.1 has no answer for the name example.com (RCODE {rcode})"
    assert why_unanswered("127.0.0.1", ["example.com"]) == reason


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
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
def test_the_resolvers_are_those_of_resolv_conf(tmp_path, text, addresses):
    path = write(str(tmp_path / "resolv.conf"), text)
    assert nameservers(path) == of_host(path) == addresses


def test_without_a_resolv_conf_the_host_asks_itself_and_one_that_nobody_may_read_is_an_error(tmp_path):
    assert of_host(str(tmp_path / "none")) == ["127.0.0.1"]
    os.mkdir(tmp_path / "folder")
    with pytest.raises(OSError):
        of_host(str(tmp_path / "folder"))


@pytest.mark.parametrize(
    ("text", "silent"),
    [
        ("nameserver 127.0.0.1\n", "the resolver 127.0.0.1 does not answer (refused)"),
        ("nameserver 192.0.2.1\nnameserver ::1\n", "the resolver ::1 does not answer (refused)"),
        ("nameserver 192.0.2.1\n", None),
        ("search example\n", None),
        (None, None),
    ],
)
def test_a_resolver_of_this_host_that_is_named_must_say_something(tmp_path, monkeypatch, text, silent):
    path = write(str(tmp_path / "resolv.conf"), text) if text else str(tmp_path / "none")

    def refuse(address, name):
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(validator, "ask", refuse)
    assert why_silent(path) == silent
    monkeypatch.setattr(validator, "ask", lambda address, name: Answer(SERVFAIL, False))
    assert why_silent(path) is None


# As the role starts it.


def run(capsys, *words):
    return validator.main(["validator", *words]), capsys.readouterr().out


def test_a_host_that_asks_a_validator_is_no_failure(said, tmp_path, capsys):
    path = write(str(tmp_path / "resolv.conf"), "nameserver 127.0.0.1\n")
    assert run(capsys, "--resolv-conf", path, "--ordinary", "example.com") == (0, "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--resolver", "192.0.2.1"],
            "the resolver 192.0.2.1 is not on loopback, so its answers could be forged on the way\n",
        ),
        (["--resolver", "127.0.0.1", "--bogus", "example.com"], "does not refuse (SERVFAIL) the name example.com"),
        (["--resolver", "127.0.0.1", "--signed", "example.com"], "does not vouch for the signed name example.com"),
        (
            ["--resolver", "127.0.0.1", "--ordinary", "dnssec-failed.org"],
            "has no answer for the name dnssec-failed.org",
        ),
        (["--resolv-conf", "/"], "Is a directory"),
    ],
)
def test_what_is_wrong_is_one_line(said, capsys, words, sentence):
    code, text = run(capsys, *words)
    assert (code, text.count("\n")) == (1, 1)
    assert sentence in text
