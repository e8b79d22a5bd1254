# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean harm get nothing in that a client must not get in, and nothing out; another is served meanwhile.

They come from outside the relay's networks. What the relay answers is asserted on the wire, what it keeps on its disk.
"""

import concurrent.futures
import ssl
import subprocess
import uuid

import pytest
from mail import NODES, fqdn, s_client, wait_for
from on_node import sh
from wire import SENDER, Client, client_hello
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
UNKNOWN = {"500", "502"}
"""To a command that it does not know, Postfix answers 502 before 3.6."""
OUT_OF_SYNC = "554 5.5.0 Error: SMTP protocol synchronization"
LIMIT = 20 * 1024 * 1024


@pytest.fixture
def mark():
    return uuid.uuid4().hex


def message(subject, body=b"hello"):
    return b"Subject: %s\r\n\r\n%s" % (subject.encode(), body)


def codes(replies):
    return [reply[:3] for reply in replies]


# SMTP smuggling (CVE-2023-51764): what a server before this one took for text, this one must not take for the end of it.

ENDS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "CR.LF": b"\r.\n",
    "LF.CR": b"\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "LF, NUL, .CRLF": b"\n\0.\r\n",
    "CR, NUL, LF.CRLF": b"\r\0\n.\r\n",
    "CRLF., NUL, CRLF": b"\r\n.\0\r\n",
    "vertical tab": b"\x0b.\x0b",
    "next line": b"\r\n\x85.\x85\r\n",
}
TABLE = [pytest.param(end, id=name) for name, end in ENDS.items()]


def smuggle(client, end, mark):
    """The replies to a message that has another inside, behind what may pass for the end of the first."""
    client.ask(*client.envelope(), b"DATA")
    inner = [*client.envelope(), b"DATA", message(f"inner {mark}"), b"."]
    client.send(message(f"outer {mark}") + end + b"\r\n".join(inner) + b"\r\nQUIT\r\n")
    return codes(client.replies())


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
@pytest.mark.parametrize("end", TABLE)
def test_a_message_within_a_message_does_not_become_one_of_its_own(relay, mark, end, tls):
    """A message with a NUL in it is refused as a whole."""
    with Client(NODE) as client:
        if tls:
            assert client.start_tls()
            client.ask(b"EHLO client.elsewhere.test")
        assert smuggle(client, end, mark) == ["550" if b"\0" in end else "250", "221"]
    assert relay.stored() == ([] if b"\0" in end else [f"outer {mark}"])


def test_a_message_behind_a_true_end_has_to_wait_for_its_turn(relay, mark):
    """CR CRLF.CRLF holds CRLF.CRLF, the end in RFC 5321 section 4.1.1.4; DATA ends a group of commands (RFC 2920)."""
    with Client(NODE) as client:
        assert smuggle(client, b"\r\r\n.\r\n", mark) == ["250", "250", "250", "554"]
    assert relay.stored() == [f"outer {mark}"]


@pytest.mark.parametrize("end", [*TABLE, pytest.param(b"\r\n.\r\n", id="CRLF.CRLF")])
def test_a_chunk_is_as_long_as_it_says_whatever_is_in_it(relay, mark, end):
    """RFC 3030. Another chunk and QUIT follow at once, as they may."""
    with Client(NODE) as client:
        client.ask(*client.envelope())
        first = message(f"outer {mark}") + end[:2]
        last = end[2:] + b"MAIL FROM:<inner@elsewhere.test>\r\n"
        client.send(b"BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n" % (len(first), first, len(last), last))
        assert codes(client.replies()) == ["250", "550" if b"\0" in end else "250", "221"]
    assert relay.stored() == ([] if b"\0" in end else [f"outer {mark}"])


@pytest.mark.parametrize("count", [b"", b" -1 LAST", b" 0x10 LAST", b" 18446744073709551616 LAST", b" 1 LAST LAST"])
def test_a_chunk_of_unclear_length_ends_the_session(relay, count):
    with Client(NODE) as client:
        client.ask(*client.envelope())
        client.send(b"BDAT" + count + b"\r\nMAIL FROM:<inner@elsewhere.test>\r\n")
        assert codes(client.replies()) in (["521"], ["501"], ["552"])


# Ahead of time.


@pytest.mark.parametrize(
    "early",
    [b"EHLO client.elsewhere.test\r\nNOOP\r\n", b"NOOP\r\nNOOP\r\n", b"DATA\r\nSubject: early\r\n\r\n.\r\n"],
)
def test_who_does_not_wait_for_an_answer_is_turned_away(relay, early):
    """RFC 2920 section 3.1: these commands end a group."""
    with Client(NODE) as client:
        client.ask(*client.envelope())
        client.send(early)
        assert client.replies() == [OUT_OF_SYNC]


def speaks_first():
    with Client(NODE, greeted=False) as client:
        client.send(b"EHLO client.elsewhere.test\r\n")
        return client.reply()


def test_who_speaks_before_the_greeting_is_turned_away(relay):
    """Now and then the greeting is the faster one."""
    assert wait_for(lambda: speaks_first() == OUT_OF_SYNC)


# Plaintext before TLS (CVE-2011-0411).

INJECTED = [
    b"MAIL FROM:<injected@elsewhere.test>\r\nRCPT TO:<probe@node1.fleet.test>\r\n",
    b"EHLO injected.elsewhere.test\r\n",
    b"AUTH PLAIN AGluamVjdGVkAGluamVjdGVk\r\n",
    b"STARTTLS\r\n",
    b"NOOP\r\n" * 1000,
]


@pytest.mark.parametrize("injected", INJECTED, ids=["envelope", "ehlo", "auth", "starttls", "many"])
def test_what_is_injected_behind_starttls_is_not_obeyed_inside_tls(relay, injected):
    """Its answers would come before those to what the client says then. Too much of it spoils the handshake."""
    with Client(NODE) as client:
        client.send(b"STARTTLS\r\n" + injected)
        assert client.reply().startswith("220")
        if client.shake_hands():
            client.send(b"UNHEARD-OF\r\nRCPT TO:<probe@node1.fleet.test>\r\nQUIT\r\n")
            unheard_of, *more = codes(client.replies())
            assert unheard_of in UNKNOWN and more == ["503", "221"]


def test_what_is_injected_once_tls_is_awaited_spoils_the_handshake(relay):
    with Client(NODE) as client:
        assert client.ask(b"STARTTLS").startswith("220")
        client.send(INJECTED[0])
        assert not client.shake_hands()


def test_what_was_said_before_tls_is_forgotten(relay):
    """RFC 3207 section 4.2."""
    with Client(NODE) as client:
        client.ask(*client.envelope())
        assert client.start_tls()
        assert client.ask(b"DATA").startswith("503")
        assert client.ask(client.envelope()[0]).startswith("503"), "no EHLO yet"


def test_starttls_inside_tls_is_refused(relay):
    with Client(NODE) as client:
        assert client.start_tls()
        assert "STARTTLS" not in client.ask(b"EHLO client.elsewhere.test")
        assert client.ask(b"STARTTLS").startswith("554 5.5.1")


# Too much.


def declared(client):
    return client.ask(b"MAIL FROM:" + SENDER + b" SIZE=%d" % (LIMIT + 1))


def not_declared(client):
    return client.data(message("large") + (b"\r\n" + b"x" * 998) * (LIMIT // 1000 + 10))


def declared_smaller(client):
    client.ask(b"MAIL FROM:" + SENDER + b" SIZE=100", client.envelope()[1], b"DATA")
    return client.ask(message("large") + (b"\r\n" + b"x" * 998) * (LIMIT // 1000 + 10) + b"\r\n.")


def endless_line(client):
    return client.data(message("large") + b"x" * (LIMIT + 1000))


def endless_header(client):
    return client.data(b"Subject: large" + b"\r\n x" * (LIMIT // 3))


def many_headers(client):
    return client.data(b"Subject: large" + b"\r\nX-More: more" * (LIMIT // 12))


def one_chunk(client):
    """Postfix before 3.10 takes a chunk that is too large in before it refuses it."""
    client.ask(*client.envelope())
    content = message("large") + (b"\r\n" + b"x" * 998) * (LIMIT // 1000 + 10)
    return client.ask(b"BDAT %d LAST\r\n" % len(content) + content)


def many_chunks(client):
    client.ask(*client.envelope())
    chunk = (b"x" * 998 + b"\r\n") * 1000
    replies = [client.ask(b"BDAT %d\r\n" % len(chunk) + chunk[:-2]) for _time in range(LIMIT // len(chunk) + 1)]
    return next(reply for reply in replies if not reply.startswith("250"))


@pytest.mark.parametrize(
    "large",
    [
        declared,
        not_declared,
        declared_smaller,
        endless_line,
        endless_header,
        many_headers,
        one_chunk,
        many_chunks,
    ],
)
def test_a_message_above_the_limit_is_refused_and_leaves_nothing_behind(relay, large):
    with Client(NODE) as client:
        assert large(client).startswith("552 5.3.4")


def test_a_message_just_below_the_limit_is_taken(relay):
    with Client(NODE) as client:
        assert client.data(message("below") + (b"\r\n" + b"x" * 998) * (LIMIT // 1000 - 200)).startswith("250")
    assert relay.stored() == ["below"]


def test_a_command_that_does_not_end_is_refused(relay):
    """Postfix 3.10 and 3.11 take every 2048 bytes (line_length_limit) for another command."""
    with Client(NODE) as client:
        client.send(b"MAIL FROM:<" + b"x" * 20000 + b"\r\nQUIT\r\n")
        first, *more, last = codes(client.replies())
        assert (first, set(more) - UNKNOWN, last) == ("501", set(), "221")


# Each reply beyond the tenth error takes a second (smtpd_soft_error_limit), so these go on side by side.
PERSISTENT = {
    "unknown commands": lambda _client, _number: b"FOO",
    "junk": lambda _client, number: (b"NOOP", b"RSET")[number % 2],
    "recipients elsewhere": lambda _client, number: b"RCPT TO:<r%d@stranger.test>" % number,
    "recipients that are not there": lambda _client, number: b"RCPT TO:<nobody%d@%s>" % (number, fqdn(NODE).encode()),
    "recipients with bad addresses": lambda _client, _number: b"RCPT TO:<@>",
    "a recipient that is there": lambda client, _number: client.envelope()[1],
    "mail after mail": lambda client, _number: client.envelope()[0],
    "data without recipients": lambda _client, _number: b"DATA",
}
PATIENCE = 3000


def persist(title):
    """The last reply, after thousands of commands or when the relay has had enough."""
    with Client(NODE) as client:
        client.ask(client.envelope()[0])
        reply = ""
        for number in range(PATIENCE):
            said = client.ask(PERSISTENT[title](client, number))
            if not said:
                break
            reply = said
        return reply


@pytest.fixture(scope="module")
def last_replies(besieged):
    with concurrent.futures.ThreadPoolExecutor(len(PERSISTENT)) as pool:
        return dict(zip(PERSISTENT, pool.map(persist, PERSISTENT)))


@pytest.mark.parametrize("title", PERSISTENT)
def test_who_goes_on_and_on_is_cut_off(relay, last_replies, title):
    assert last_replies[title] == f"421 4.7.0 {fqdn(NODE)} Error: too many errors"


def test_no_message_is_made_to_find_out_that_a_recipient_is_not_there(relay, mark):
    """The table of users knows; who asks for many would fill the queue with probes (ADDRESS_VERIFICATION_README)."""
    with Client(NODE) as client:
        assert client.ask(client.envelope()[0], b"RCPT TO:<%s@%s>" % (mark.encode(), fqdn(NODE).encode()))[:3] == "550"
    assert f": to=<{mark}" not in sh(NODE, f"grep {mark} /var/log/mail.log")


# Bytes that are no text.


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<\xff\xfe@elsewhere.test>",
        b"\xff\xfd\x01\xff\xfb\x1f",
        bytes(range(1, 10)) * 100,
        b"\0" * 1000,
        b"MAIL FROM:<a\0@elsewhere.test>",
        b"{\xc0\xaf}",
        client_hello(),
    ],
    ids=["not-utf-8", "telnet", "control", "nul", "nul-in-address", "overlong", "tls-without-starttls"],
)
def test_binary_junk_is_no_command(relay, line):
    with Client(NODE) as client:
        client.send(line + b"\r\nQUIT\r\n")
        assert not any(reply.startswith(("250", "354")) for reply in client.replies())


def test_a_message_with_nul_is_refused(relay):
    """RFC 5322 section 2.2."""
    with Client(NODE) as client:
        assert client.data(message("nul", b"a\0b")).startswith("550")


def test_eight_bits_in_the_text_are_no_harm(relay, mark):
    with Client(NODE) as client:
        assert client.data(message(mark, bytes(range(0x80, 0x100)) * 100)).startswith("250")
    assert relay.stored() == [mark]


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"a" * 2000,
        b"a." * 500 + b"test",
        b"[1.2.3",
        b"\xff\xff",
        b"a b.test",
        b"-",
        b"a\x1b[2J.test",
        b"localhost",
    ],
)
def test_who_has_no_proper_name_delivers_nothing(relay, name):
    with Client(NODE, greeted=False) as client:
        client.reply()
        assert client.ask(b"EHLO " + name, *client.envelope()).startswith("5")


def test_who_does_not_say_a_name_delivers_nothing(relay):
    with Client(NODE, greeted=False) as client:
        client.reply()
        assert client.ask(client.envelope()[0]).startswith("503")


# Relaying for strangers.

ELSEWHERE = """
probe@stranger.test
"probe"@stranger.test
probe@stranger.test.
probe@[192.0.2.1]
probe@[IPv6:2001:db8::1]
probe%stranger.test
probe%stranger.test@node1.fleet.test
probe%stranger.test@[{address}]
probe%stranger.test@localhost
probe%stranger.test%other.test@node1.fleet.test
"probe%stranger.test"@node1.fleet.test
"probe%stranger.test"
"probe@stranger.test"@node1.fleet.test
"probe@stranger.test"
probe@stranger.test@node1.fleet.test
probe@node1.fleet.test@stranger.test
probe%40stranger.test
@node1.fleet.test:probe@stranger.test
@node1.fleet.test,@other.test:probe@stranger.test
stranger.test!probe
stranger.test!probe@node1.fleet.test
node1.fleet.test!stranger.test!probe
""".split()
MALFORMED = """
probe@
@stranger.test
@
probe@.stranger.test
probe@192.0.2.1
probe@localhost%stranger.test
probe@stranger.test,probe@node1.fleet.test
probe(comment)@stranger.test
-oQ/tmp@node1.fleet.test
""".split()
NOT_QUALIFIED = "504 5.5.2"
"""Before 3.6, Postfix finds fault with the address first (smtpd_relay_before_recipient_restrictions)."""
NOT_A_USER = """
|/bin/sh@node1.fleet.test
"|/bin/sh"@node1.fleet.test
/etc/passwd@node1.fleet.test
:include:/etc/passwd@node1.fleet.test
""".split()


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        *((address, ("554 5.7.1", NOT_QUALIFIED)) for address in ELSEWHERE),
        *((address, ("501 5.1.3",)) for address in ["", *MALFORMED]),
        *((address, ("550 5.1.1",)) for address in NOT_A_USER),
    ],
)
def test_mail_for_strangers_is_not_relayed_however_the_address_is_written(relay, recipient, expected):
    """Whoever it is said to be from."""
    recipient = recipient.format(address=NODES[NODE])
    with Client(NODE) as client:
        for sender in (b"<somebody@elsewhere.test>", b"<>", b"<probe@node1.fleet.test>"):
            assert client.ask(b"RSET", b"MAIL FROM:" + sender).startswith("250")
            assert client.ask(b"RCPT TO:<" + recipient.encode() + b">").startswith(expected)
            assert client.ask(b"DATA").startswith("554 5.5.1")


@pytest.mark.parametrize("command", [b"XCLIENT ADDR=127.0.0.1 NAME=localhost", b"XFORWARD ADDR=127.0.0.1"])
def test_nobody_may_pass_for_another_client(relay, command):
    with Client(NODE) as client:
        assert client.ask(command).startswith("550 5.7.0")
        assert client.ask(client.envelope()[0], b"RCPT TO:<probe@stranger.test>").startswith("554 5.7.1")


# Commands that nobody needs.

UNNEEDED = {
    b"VRFY probe": {"502"},
    b"EXPN probe": UNKNOWN,
    b"ETRN node1.fleet.test": {"554"},
    b"TURN": UNKNOWN,
    b"ATRN node1.fleet.test": UNKNOWN,
    b"DEBUG": UNKNOWN,
    b"WIZ": UNKNOWN,
    b"SEND FROM:<somebody@elsewhere.test>": UNKNOWN,
    b"XADR probe": UNKNOWN,
    b"AUTH PLAIN AGEAYg==": {"503"},
    b"GET / HTTP/1.1": {"221"},
    b"POST / HTTP/1.1": {"221"},
    b"CONNECT stranger.test:25 HTTP/1.1": {"221"},
    b"Subject: a form that a browser sends": {"221"},
}


@pytest.mark.parametrize(("command", "expected"), UNNEEDED.items())
def test_an_unneeded_command_is_refused(relay, command, expected):
    with Client(NODE) as client:
        code = client.ask(command)[:3]
        assert code in expected
        assert (client.ask(b"NOOP") == "") == (code == "221")


def test_unneeded_commands_are_not_announced(relay):
    with Client(NODE) as client:
        announced = client.ask(b"EHLO client.elsewhere.test").replace("\r", "").split("\n")[1:]
    assert {line[4:].split(" ")[0] for line in announced} & {"VRFY", "EXPN", "ETRN", "TURN", "XCLIENT", "AUTH"} == set()


@pytest.mark.parametrize(
    "command",
    [
        b"MAIL FROM:a@elsewhere.test",
        b"MAIL FROM: a@elsewhere.test",
        b"MAIL FROM:Somebody <a@elsewhere.test>",
        b"MAIL FROM:(comment) <a@elsewhere.test>",
        b"MAIL FROM:<a@elsewhere.test",
        b"MAIL FROM:a@elsewhere.test>",
        b'MAIL FROM:"a@elsewhere.test"',
        b"MAIL FROM:<a b@elsewhere.test>",
        b"MAIL FROM <a@elsewhere.test>",
        b"MAIL FROM:<a@elsewhere.test> SIZE=-1",
        b"MAIL FROM:<a@elsewhere.test> UNHEARD-OF=1",
        b"MAIL",
    ],
)
def test_an_envelope_that_is_not_to_the_letter_is_refused(relay, command):
    """RFC 5321 section 4.1.1.2."""
    with Client(NODE) as client:
        assert client.ask(command)[:3] in {"501", "555"}
        assert client.ask(command.replace(b"MAIL FROM", b"RCPT TO"))[:3] in {"501", "503"}


# TLS.

TLS = ssl.TLSVersion


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [TLS.TLSv1, TLS.TLSv1_1])
def test_who_speaks_old_tls_alone_gets_none(relay, version):
    with Client(NODE) as client:
        assert not client.start_tls(versions=(version, version))


def records(*payloads, kind=22):
    return b"".join(b"%c\x03\x01%s%s" % (kind, len(one).to_bytes(2, "big"), one) for one in payloads)


HUGE = b"\x01\xff\xff\xff" + b"\x03\x03" + b"x" * (16384 - 6)
NAME = "name-of-the-server.elsewhere.test"
BAD_HANDSHAKES = {
    "client hello of 16 MB": records(HUGE, *[b"x" * 16384] * 63),
    "record too long": b"\x16\x03\x01\xff\xff" + b"x" * 0xFFFF,
    "records of one byte": records(*[bytes([byte]) for byte in client_hello()[5:200]]) + records(b"x"),
    "empty records": records(*[b""] * 10000),
    "alerts": records(*[b"\x01\x00"] * 10000, kind=21),
    "fatal alert": records(b"\x02\x28", kind=21),
    "data before a handshake": records(b"MAIL FROM:<a@elsewhere.test>\r\n", kind=23),
    "heartbeat (CVE-2014-0160)": records(b"\x01\x40\x00", kind=24),
    "SSL 2 client hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"x" * 16,
    "zeros": b"\0" * 10000,
    "server name that is no name": client_hello(NAME).replace(NAME.encode(), bytes(range(len(NAME)))),
    "server name that is a path": client_hello(NAME).replace(NAME.encode(), (b"../" * len(NAME))[: len(NAME)]),
}


@pytest.mark.parametrize("title", BAD_HANDSHAKES)
def test_a_handshake_that_is_none_leads_nowhere(relay, title):
    with Client(NODE) as client:
        client.ask(b"STARTTLS")
        client.send(BAD_HANDSHAKES[title])
        client.send(b"MAIL FROM:<a@elsewhere.test>\r\nQUIT\r\n" * 1000)
        assert "250 2.1.0" not in client.reply()


@pytest.mark.parametrize(
    "name", ["*", "a" * 250, "..", "node1.fleet.test/../../etc/passwd", "%s%n", "$(id)", "1.2.3.4"]
)
def test_whatever_server_name_is_asked_for_the_handshake_goes_on(relay, name):
    done = s_client(NODE, "-servername", name, "-tls1_2")
    assert "Cipher is (NONE)" not in done.stdout


def test_tls_does_not_compress(relay):
    with Client(NODE) as client:
        assert client.start_tls()
        assert client.socket.compression() is None


class OpenSSL:
    """s_client, which obeys commands of one letter."""

    def __init__(self, version):
        argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{NODES[NODE]}:25", version]
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        self._process = subprocess.Popen(argv, **pipes, stderr=subprocess.STDOUT, bufsize=0)
        self.says(b"250 ")

    def says(self, text):
        """Whether a line begins so, of those that come until the relay hangs up."""
        return any(line.startswith(text) for line in self._process.stdout)

    def told(self, command):
        try:
            self._process.stdin.write(command)
        except BrokenPipeError:
            pass

    def end(self):
        self.told(b"Q\n")
        self._process.communicate(timeout=60)


def test_new_keys_that_a_client_wants_a_hundred_times_disturb_nobody(relay):
    """TLS 1.3 (RFC 8446 section 4.6.3)."""
    client = OpenSSL("-tls1_3")
    for _time in range(100):
        client.told(b"K\n")
        assert client.says(b"KEYUPDATE")
    client.told(b"NOOP\r\n")
    assert client.says(b"250 2.0.0")
    client.end()


def test_a_client_cannot_have_another_handshake_on_its_connection(relay):
    """Each costs the relay far more than the client."""
    client = OpenSSL("-tls1_2")
    client.told(b"R\n")
    assert client.says(b"RENEGOTIATING")
    client.told(b"NOOP\r\n")
    assert not client.says(b"250 2.0.0")
    client.end()
