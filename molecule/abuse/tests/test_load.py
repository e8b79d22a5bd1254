# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients, slow clients and clients that are suddenly gone: the relay serves others meanwhile and keeps no remains."""

import collections
import concurrent.futures
import re
import select
import uuid

import pytest
from mail import wait_for
from on_node import sh
from wire import Client, client_hello
from witnesses import ADDRESSES, Crowd
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]


def side_by_side(function, arguments, clients=50):
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(function, arguments))


# Many. The limit is 50 connections for each client, so they come from several addresses.


def test_two_hundred_clients_deliver_at_once(relay):
    crowd = Crowd("deliver", 40, ADDRESSES)
    crowd.end()
    assert crowd.told() == {name: ["250"] for name in crowd.names}
    assert relay.stored() == sorted(crowd.names)


def test_two_hundred_clients_who_sit_there_do_not_keep_another_from_delivering(relay):
    crowd = Crowd("sit", 50, ADDRESSES[:4])
    crowd.said(200)
    relay.serves_others()
    sitting = crowd.told()
    crowd.end()
    assert [[reply[:3] for reply in replies] for replies in sitting.values()] == [["220"]] * 200, "none is cut off yet"


def test_the_fifty_first_connection_of_a_client_is_refused_and_others_are_served(relay):
    crowd = Crowd("sit", 60, ADDRESSES[:1])
    crowd.said(60)
    relay.serves_others()
    crowd.end()
    greetings = collections.Counter(replies[0][:9] for replies in crowd.told().values())
    assert greetings.pop("421 4.7.0") == 10
    assert list(greetings.values()) == [50]


# Slow. A byte each second is no way around a timeout of thirty.

PATIENCE = 45


def nothing(_client):
    return b""


def a_name(_client):
    return b"EHLO " + b"a" * PATIENCE


def nothing_after_starttls(client):
    client.ask(b"STARTTLS")
    return b""


def a_client_hello(client):
    client.ask(b"STARTTLS")
    return client_hello()


def nothing_inside_tls(client):
    client.start_tls()
    client.ask(b"NOOP")  # session tickets come with its answer
    return b""


def a_name_inside_tls(client):
    client.start_tls()
    client.ask(b"NOOP")
    return b"EHLO " + b"a" * PATIENCE


def one_line_of_a_message(client):
    client.ask(*client.envelope(), b"DATA")
    return b"Subject: slow" + b"x" * PATIENCE


def lines_of_a_message(client):
    client.ask(*client.envelope(), b"DATA")
    return b"Subject: slow\r\n\r\n" + b"x\r\n" * PATIENCE


def a_chunk(client):
    client.ask(*client.envelope())
    client.send(b"BDAT 100000 LAST\r\n")
    return b"Subject: slow\r\n\r\n" + b"x" * PATIENCE


SLOW = (
    nothing,
    a_name,
    nothing_after_starttls,
    a_client_hello,
    nothing_inside_tls,
    a_name_inside_tls,
    one_line_of_a_message,
    lines_of_a_message,
    a_chunk,
)


def trickle(prepare):
    """What the relay says in the end to a client that sends a byte each second, then nothing; None if it has no end."""
    with Client(NODE) as client:
        rest = prepare(client)
        for second in range(PATIENCE):
            if select.select([client.socket], [], [], 1)[0]:
                return client.replies()
            client.send(rest[second : second + 1])
    return None


@pytest.fixture(scope="module")
def ends(besieged):
    return dict(zip(SLOW, side_by_side(trickle, SLOW)))


@pytest.mark.parametrize("what", SLOW)
def test_a_client_that_takes_for_ever_is_cut_off(relay, ends, what):
    if what in {lines_of_a_message, a_chunk} and version() < (3, 7):
        pytest.skip("the deadline is for a line, not for a message (postconf(5), smtpd_per_record_deadline)")
    in_handshake = what in {nothing_after_starttls, a_client_hello}
    assert in_handshake or [reply[:9] for reply in ends[what]] == ["421 4.4.2"]
    assert ends[what] is not None


def version():
    return tuple(int(number) for number in re.findall(r"\d+", sh(NODE, "postconf -h mail_version"))[:2])


# Gone, a hundred each, one half with FIN, the other with RST.


def after_connecting(_client, _subject):
    pass


def after_starttls(client, _subject):
    client.ask(b"STARTTLS")


def in_the_client_hello(client, _subject):
    client.ask(b"STARTTLS")
    client.send(client_hello()[:100])


def after_the_client_hello(client, _subject):
    client.ask(b"STARTTLS")
    client.send(client_hello())


def after_the_handshake(client, _subject):
    assert client.start_tls()


def after_the_envelope(client, _subject):
    client.ask(*client.envelope())


def in_the_message(client, subject):
    client.ask(*client.envelope(), b"DATA")
    client.send(b"Subject: " + subject + b"\r\n\r\n" + b"x" * 100_000)


def in_the_message_inside_tls(client, subject):
    assert client.start_tls()
    client.ask(b"EHLO client.elsewhere.test", *client.envelope(), b"DATA")
    client.send(b"Subject: " + subject + b"\r\n\r\nx")


def before_the_dot(client, subject):
    client.ask(*client.envelope(), b"DATA")
    client.send(b"Subject: " + subject + b"\r\n\r\nx\r\n")


def in_the_end(client, subject):
    client.ask(*client.envelope(), b"DATA")
    client.send(b"Subject: " + subject + b"\r\n\r\nx\r\n.\r")


def in_a_chunk(client, subject):
    client.ask(*client.envelope())
    client.send(b"BDAT 100000 LAST\r\nSubject: " + subject + b"\r\n\r\nx")


def after_the_dot(client, subject):
    client.ask(*client.envelope(), b"DATA")
    client.send(b"Subject: " + subject + b"\r\n\r\nx\r\n.\r\n")


GONE = (
    after_connecting,
    after_starttls,
    in_the_client_hello,
    after_the_client_hello,
    after_the_handshake,
    after_the_envelope,
    in_the_message,
    in_the_message_inside_tls,
    before_the_dot,
    in_the_end,
    in_a_chunk,
)


def vanish(when, subjects):
    def one(number):
        client = Client(NODE, greeted=when is not after_connecting)
        when(client, subjects[number].encode())
        client.reset() if number % 2 else client.close()

    side_by_side(one, range(len(subjects)), 25)


def hundred():
    return [uuid.uuid4().hex for _number in range(100)]


def all_are_gone(relay):
    """But for the other client, who may be between two connections."""
    return wait_for(lambda: relay.look() <= 2)


@pytest.mark.parametrize("when", GONE)
def test_of_clients_that_are_gone_before_the_end_nothing_is_left(relay, when):
    vanish(when, hundred())
    assert all_are_gone(relay)
    assert relay.stored() == []


def test_of_clients_that_do_not_wait_for_the_last_answer_each_message_is_stored_once_or_not_at_all(relay):
    """RFC 5321 section 4.2.5: the relay is responsible for it once it has said so, and they do not know."""
    subjects = hundred()
    vanish(after_the_dot, subjects)
    assert all_are_gone(relay)
    stored = collections.Counter(relay.stored())
    assert stored.keys() <= set(subjects)
    assert set(stored.values()) == {1}
