# SPDX-License-Identifier: GPL-3.0-or-later
"""Too large a message, too long a line, and too many errors."""

import concurrent.futures

import pytest
from mail import fqdn
from on_node import sh
from wire import SENDER, UNKNOWN, Client, codes, message
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
LIMIT = 20 * 1024 * 1024


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
