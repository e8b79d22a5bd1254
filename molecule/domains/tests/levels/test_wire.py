# SPDX-License-Identifier: GPL-3.0-or-later
"""What others see on the wire, and what becomes of mail where somebody in the middle takes STARTTLS away."""

import base64
import io
import re
import socket
import uuid
from typing import Dict, NamedTuple

import dpkt
import peers
import pytest
from cryptography.hazmat.primitives import serialization
from mail import NODES, wait_for
from on_node import sh
from peers import ASKS_IN_TLS12, ASKS_IN_TLS13, LEVELS, MAIN, STRIPPED
from pki import Identity, certify, ec_key
from sender import FROM, NODE, Attempt, Sent, message, queue

testinfra_hosts = ["local://"]
PLAINTEXT = next(host for host in MAIN if host.title == "no STARTTLS offered")
CAPTURE = "/root/wire.pcap"
UNIT = "wire-capture"
CHAIN = "/etc/postfix/peers-client.pem"
SPOTS = ("sender", "recipient", "subject", "body")


# STARTTLS taken away.


@pytest.fixture(scope="module")
def stripped(sender):
    """The attempt at each level to reach a valid peer through a relay of TCP that hides STARTTLS, and the log."""
    by_level = {level: f"{uuid.uuid4().hex}@{STRIPPED.domain(level)}" for level in LEVELS}
    sent = Sent({name: message(name) for name in by_level.values()})
    found = sent.attempts()
    log, queued = sent.log(), queue()
    sent.discard()
    return {level: found[name][0] for level, name in by_level.items()}, queued, log


@pytest.mark.parametrize("level", [level for level in LEVELS if level not in {"none", "may"}])
def test_mail_that_needs_tls_stays_where_starttls_is_taken_away(stripped, level):
    attempts, queued, _log = stripped
    assert attempts[level].outcome == "deferred" and attempts[level].queue_id in queued
    assert "TLS is required, but was not offered by host" in attempts[level].reason


def test_mail_at_may_goes_in_plaintext_where_starttls_is_taken_away(stripped):
    """Postfix 3.10 does not say so in its log: there is a status as in every delivery, and no line about TLS before
    it. Since 3.11 smtp_log_tls_feature_status adds the reason to the status."""
    attempts, queued, log = stripped
    assert attempts["may"].outcome == "plaintext" and attempts["may"].queue_id not in queued
    assert f"{peers.MIDDLE}]:25, " in log
    assert not re.search(f"TLS connection established to [^ ]*{re.escape(peers.MIDDLE)}", log)


def test_the_peer_behind_the_middle_does_offer_starttls(stripped):
    assert "250-STARTTLS" in greeting(peers.BY_TITLE[STRIPPED.peer].address)
    assert "STARTTLS" not in greeting(peers.MIDDLE)


def greeting(address):
    """What a server says to EHLO."""
    with socket.create_connection((address, 25), timeout=20) as connection, connection.makefile("rwb") as lines:
        lines.readline()
        lines.write(b"EHLO client.test\r\n")
        lines.flush()
        said = [lines.readline().decode()]
        while said[-1][3] == "-":
            said.append(lines.readline().decode())
        return "".join(said)


# A capture.


class Seen(NamedTuple):
    """What whoever listens has of one transfer."""

    attempt: Attempt
    to_server: bytes
    to_client: bytes
    marks: Dict[str, str]
    """The words that this message alone holds, by where."""


@pytest.fixture(scope="module")
def client(sender):
    """node1's certificate, which it shows to servers that ask."""
    made = certify("client.peers.test", ec_key(), sender.authority, ["client.peers.test"])
    sh(NODE, f"umask 077 && cat > {CHAIN}", made.key_pem + made.pem)
    sh(NODE, f"postconf smtp_tls_chain_files={CHAIN} && postfix reload")
    yield made
    sh(NODE, f"postconf -X smtp_tls_chain_files && postfix reload && rm {CHAIN}")


@pytest.fixture(scope="module")
def seen(client):
    """Three transfers as a third party sees them: at secure in TLS 1.3 and in TLS 1.2, and in plaintext."""
    transfers = {"TLS 1.3": (ASKS_IN_TLS13, "secure"), "TLS 1.2": (ASKS_IN_TLS12, "secure")}
    transfers["plaintext"] = (PLAINTEXT, "may")
    start_capture()
    attempts = {name: transfer(host, level) for name, (host, level) in transfers.items()}
    streams = conversations(stop_capture(len(transfers)))
    at = {name: peers.BY_TITLE[host.peer].address for name, (host, _level) in transfers.items()}
    return {name: Seen(attempts[name][0], *streams[at[name]], attempts[name][1]) for name in transfers}


def test_no_certificate_crosses_the_wire_in_the_clear_in_tls_1_3(seen, sender, client):
    assert seen["TLS 1.3"].attempt.protocol == "TLSv1.3" and seen["TLS 1.3"].attempt.outcome == "verified"
    assert has_shown_its_certificate(ASKS_IN_TLS13, "TLSv1.3")
    for shown in (sender.keys[ASKS_IN_TLS13.peer].identity, sender.authority, client):
        assert pieces_of(shown, seen["TLS 1.3"].to_server + seen["TLS 1.3"].to_client) == []


def test_both_certificates_cross_the_wire_in_the_clear_in_tls_1_2(seen, sender, client):
    assert seen["TLS 1.2"].attempt.protocol == "TLSv1.2" and seen["TLS 1.2"].attempt.outcome == "verified"
    assert has_shown_its_certificate(ASKS_IN_TLS12, "TLSv1.2")
    for shown, stream in (
        (sender.keys[ASKS_IN_TLS12.peer].identity, seen["TLS 1.2"].to_client),
        (sender.authority, seen["TLS 1.2"].to_client),
        (client, seen["TLS 1.2"].to_server),
    ):
        assert der(shown) in stream and pieces_of(shown, stream)


@pytest.mark.parametrize("protocol", ["TLS 1.3", "TLS 1.2"])
def test_nothing_of_the_mail_crosses_the_wire_in_the_clear_under_tls(seen, protocol):
    assert b"STARTTLS\r\n" in seen[protocol].to_server and b"220 2.0.0 Ready" in seen[protocol].to_client
    assert open_spots(seen[protocol].to_server + seen[protocol].to_client, seen[protocol].marks) == []


def test_the_same_search_finds_all_of_the_mail_in_plaintext(seen):
    assert seen["plaintext"].attempt.outcome == "plaintext"
    assert open_spots(seen["plaintext"].to_server, seen["plaintext"].marks) == list(SPOTS)


def open_spots(data, marks):
    return [spot for spot in SPOTS if marks[spot].encode() in data]


def has_shown_its_certificate(host, protocol):
    """Whether the server says that the client did, and that it was of the CA: otherwise the log has C(Anonymous)."""
    service = f"peers/{peers.slug(host.peer)}/smtpd"
    log = sh(peers.NODE, "cat /var/log/peers.log")
    return re.search(rf"{service}\[\d+\]: Trusted TLS connection established from \S+: {protocol} ", log)


def transfer(host, level):
    """Send a message whose every part holds a word of its own; what became of it, and the words."""
    marks = {spot: spot + uuid.uuid4().hex for spot in SPOTS}
    recipient = f"{marks['recipient']}@{host.domain(level)}"
    text = message(recipient, marks["subject"]).replace(f"\n\n{marks['subject']}", f"\n\n{marks['body']}")
    sent = Sent({recipient: text}, sender=FROM.replace("probe", marks["sender"]))
    return sent.attempts()[recipient][0], marks


def pieces_of(identity, stream, size=32):
    """The parts of the certificate that lie open: one cut up by records or segments would be found as well."""
    whole = der(identity)
    return [begin for begin in range(0, len(whole) - size + 1, size) if whole[begin : begin + size] in stream]


def der(identity: Identity):
    return identity.certificate.public_bytes(serialization.Encoding.DER)


def start_capture():
    sh(peers.NODE, f"systemctl stop {UNIT} 2> /dev/null; rm -f {CAPTURE}", check=False)
    listen = f"tcpdump -U -Z root -i eth0 -s 0 -w {CAPTURE} tcp port 25 and host {NODES[NODE]}"
    sh(peers.NODE, f"systemd-run --quiet --collect --unit={UNIT} {listen}")
    wait_for(lambda: sh(peers.NODE, f"stat -c %s {CAPTURE}", check=False).strip() == "24")  # the header: it listens


def stop_capture(connections):
    """All packets, once each connection has begun to end."""
    wait_for(lambda: len(ended(packets())) == connections)
    sh(peers.NODE, f"systemctl stop {UNIT}")
    captured = packets()
    sh(peers.NODE, f"rm {CAPTURE}")
    return captured


def packets():
    data = base64.b64decode(sh(peers.NODE, f"base64 {CAPTURE}"))
    return [dpkt.ethernet.Ethernet(frame).data for _time, frame in dpkt.pcap.Reader(io.BytesIO(data))]


def ended(captured):
    """The client's ports of the connections that either side has closed."""
    closed = [found.data for found in captured if found.data.flags & (dpkt.tcp.TH_FIN | dpkt.tcp.TH_RST)]
    return {max(segment.sport, segment.dport) for segment in closed}


def conversations(captured):
    """What went to each server and back, by the server's address, in TCP's order."""
    found = {}
    for packet in captured:
        upward = packet.data.dport == 25
        server = socket.inet_ntoa(packet.dst if upward else packet.src)
        segments = found.setdefault(server, ({}, {}))[0 if upward else 1]
        if packet.data.data:
            segments.setdefault(packet.data.seq, packet.data.data)
    return {server: tuple(joined(segments) for segments in both) for server, both in found.items()}


def joined(segments):
    """The stream, which must have no gap; what was sent twice counts once."""
    first = min(segments)
    stream = b""
    for sequence in sorted(segments):
        begin = sequence - first
        assert begin <= len(stream), "a segment was not captured"
        stream += segments[sequence][len(stream) - begin :]
    return stream
