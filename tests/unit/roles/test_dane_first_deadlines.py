# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients and servers that stall keep nobody else from a reply; the program runs as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time

import dns.rdata
import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

SCRIPT = RELAY / "smtp-dane-first.py"
QUESTION, REPLY = b"13:policy .local,", b"9:NOTFOUND ,"


def netstring(text):
    return b"%d:%b," % (len(text), text)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.fixture
def start():
    """Start the program with constants of ours; where it listens."""
    running = []

    def begin(lookup="", **constants):
        port = free_port()
        text = (
            "import asyncio, importlib.util, socket\n"
            f"found = importlib.util.spec_from_file_location('dane_first', {str(SCRIPT)!r})\n"
            "program = importlib.util.module_from_spec(found)\nfound.loader.exec_module(program)\n"
            + "".join(f"program.{name} = {value!r}\n" for name, value in constants.items())
            + f"program.listening = lambda: socket.create_server(('127.0.0.1', {port}))\n"
            + "program.validator.why_not = lambda addresses, names: None\n"
            + lookup
            + "\nasyncio.run(program.main(program.options(['--dane'])))\n"
        )
        running.append(subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.PIPE))
        for _try in range(200):
            with contextlib.suppress(OSError), connect(port):
                return port
            time.sleep(0.05)
        raise AssertionError("it does not listen")

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 20)


def ask(port, key=b".local"):
    with connect(port) as sock:
        sock.sendall(netstring(b"policy " + key))
        return sock.recv(1000)


def is_closed_after(sock):
    """Seconds until the other side has had enough."""
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while sock.recv(65536):
            pass
    return time.monotonic() - begun


HANGS = "async def lookup(addresses, name, kind):\n    await asyncio.sleep(60)\nprogram.lookup = lookup\n"
FAILS = "async def lookup(addresses, name, kind):\n    raise RuntimeError('secret')\nprogram.lookup = lookup\n"
TALKS = "async def lookup(addresses, name, kind):\n    raise program.Failed('x' * 90000)\nprogram.lookup = lookup\n"


@pytest.mark.parametrize("said", [b"", b"13:policy", b"99999:" + b"x" * 1000], ids=["nothing", "half", "most"])
def test_a_client_that_stalls_is_left(start, said):
    port = start(REQUEST=1)
    with connect(port) as sock:
        sock.sendall(said)
        assert ask(port) == REPLY
        assert is_closed_after(sock) < 10


def test_a_client_that_sends_a_byte_now_and_then_is_left(start):
    port = start(REQUEST=1)
    begun = time.monotonic()
    with connect(port) as sock, pytest.raises(OSError):
        sock.sendall(b"99999:")
        while time.monotonic() - begun < 15:
            sock.sendall(b"x")
            time.sleep(0.1)
    assert time.monotonic() - begun < 10


def test_a_client_that_takes_no_reply_is_left(start):
    port = start(TALKS, REQUEST=1)
    with connect(port) as sock:
        sock.settimeout(10)
        with pytest.raises(OSError) as ended:
            while True:
                sock.sendall(netstring(b"policy example.com") * 100)
        assert not isinstance(ended.value, TimeoutError)
    assert ask(port) == REPLY


def test_many_clients_that_say_nothing_keep_nobody_out(start):
    port = start(CLIENTS=20)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(port)) for _client in range(60)]
        assert ask(port) == REPLY
        assert is_closed_after(silent[0]) < 5
        silent[-1].sendall(netstring(b"policy .local"))
        assert silent[-1].recv(100) == REPLY


def test_where_dns_hangs_mail_waits(start):
    port = start(HANGS, ANSWER=1)
    begun = time.monotonic()
    assert ask(port, b"example.com") == netstring(b"TEMP DNS is late")
    assert time.monotonic() - begun < 10


def test_what_nobody_foresaw_makes_mail_wait_and_the_next_question_is_answered(start):
    port = start(FAILS)
    with connect(port) as sock:
        for _question in range(2):
            sock.sendall(netstring(b"policy example.com"))
            assert sock.recv(1000) == netstring(b"TEMP RuntimeError")


def test_a_name_server_that_says_nothing_is_not_waited_for(program, monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 0.5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        made = program.dns.asyncresolver.Resolver(configure=False)
        made.nameservers, made.port = ["127.0.0.1"], silent.getsockname()[1]
        monkeypatch.setattr(program.dns.asyncresolver, "Resolver", lambda configure: made)
        begun = time.monotonic()
        with pytest.raises(program.Failed):
            asyncio.run(program.lookup(["127.0.0.1"], "example.com", "MX"))
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("stall", ["accepts", "a byte now and then", "no netstring"])
def test_an_mta_sts_resolver_that_stalls_makes_mail_wait(program, monkeypatch, tmp_path, stall):
    monkeypatch.setattr(program, "SECONDS", 0.5)
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as resolver:
        resolver.bind(path)
        resolver.listen()

        def play():
            with contextlib.suppress(OSError), resolver.accept()[0] as sock:
                for _byte in range(40):
                    if stall != "accepts":
                        sock.sendall({"no netstring": b"x" * 65536}.get(stall, b"1"))
                    time.sleep(0.05)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        begun = time.monotonic()
        answer = asyncio.run(program.ask_mta_sts("example.com", path))
        assert answer.startswith("TEMP MTA-STS resolver: ") and time.monotonic() - begun < 3
        thread.join()


@pytest.mark.parametrize(
    ("reply", "passed_on"),
    [
        ("OK secure match=mx.example.com servername=hostname", True),
        ("OK secure match=.example.com policy_type=sts { policy_string = version: STSv1 }", True),
        ("NOTFOUND ", True),
        ("TEMP no", True),
        ("OK none", False),
        ("OK may", False),
        ("OK securely", False),
        ("OK secure match=a\nOK none", False),
        ("hello", False),
        ("", False),
    ],
)
def test_whoever_answers_for_the_mta_sts_resolver_lowers_no_level(program, monkeypatch, reply, passed_on):
    async def exchange(_address, _request):
        return reply

    monkeypatch.setattr(program, "_exchange", exchange)
    answer = asyncio.run(program.ask_mta_sts("example.com"))
    assert answer == (reply if passed_on else "TEMP MTA-STS resolver: no answer that it may give")


def test_of_a_domain_with_many_mail_servers_the_most_preferred_are_asked_for(program):
    asked = []

    async def look_up(name, kind):
        asked.append((name, kind))
        texts = [f"{n} mx{n}.example.com." for n in range(999, 0, -1)] if kind == "MX" else ()
        return program.Found(True, name, [dns.rdata.from_text("IN", kind, text) for text in texts])

    async def ask_mta_sts(_domain):
        return program.NOTFOUND

    asyncio.run(program.policy("example.com", look_up, ask_mta_sts))
    assert sorted({name for name, kind in asked if kind == "A"}) == sorted(f"mx{n}.example.com" for n in range(1, 21))


@pytest.mark.parametrize("key", ["a" * 64 + ".test", ".".join(["a" * 60] * 5), "a" * 90000])
def test_a_name_that_dns_cannot_have_is_asked_nowhere(program, key):
    assert asyncio.run(program.policy(key, None, None)) == "NOTFOUND "
