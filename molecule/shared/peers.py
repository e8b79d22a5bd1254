# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of every kind that a relay meets: on node2, each with an address, a name and a certificate of its own.

All are Postfix, apart from two that no Postfix can be made to imitate. Each serves one domain for each level, so that
the level toward it is a matter of the domain's record alone.
"""

import hashlib
import pathlib
import re
import socket
from typing import Any, Dict, NamedTuple, Optional, Tuple

import zones
from cryptography.hazmat.primitives import serialization
from fleet_lab import FLEET
from instances import MASTER_CF
from mail import NODES, wait_for
from on_node import run_program
from pki import Identity, authority, certify, ec_key

NODE = "node2"
ZONE = "peers.test"
UNSIGNED = "unsigned.peers.test"
"""A zone below the signed one whose delegation has no DS record: insecure, and provably so (RFC 4035 section 5.2)."""
SPOILED = f"spoiled.{ZONE}"
"""A name with a wrong signature under whatever it does not have, which a validating resolver refuses to deny."""
LEVELS = ("none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure")
PROGRAMS = pathlib.Path(__file__).parents[1] / "domains" / "node"

SETTINGS = {
    "compatibility_level": "2",
    "myhostname": "node2.fleet.test",
    "inet_protocols": "ipv4",
    "inet_interfaces": "loopback-only",  # the services name their addresses
    "mydestination": "",
    "local_recipient_maps": "",
    "relay_domains": ZONE,
    "relay_transport": "discard:",
    "smtpd_relay_restrictions": "reject_unauth_destination",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_loglevel": "1",
    "smtpd_tls_received_header": "yes",
}
OLD_TLS = {
    "smtpd_tls_protocols": "TLSv1.1",
    "tls_medium_cipherlist": "DEFAULT:@SECLEVEL=0",  # above it OpenSSL 3 has no signature for TLS 1.1
    "tls_config_file": "none",  # a distribution's file may set a floor
}
ASKING = {"smtpd_tls_ask_ccert": "yes", "smtpd_tls_CAfile": "$smtpd_tls_chain_files"}


class Peer(NamedTuple):
    """A server. Without flaws its certificate is current, carries its name and is issued by the Peers CA."""

    title: str
    address: str
    flaws: Dict[str, Any] = {}
    issuer: Optional[str] = "Peers CA"
    options: Dict[str, str] = {}
    program: Optional[str] = None
    """What serves it instead of Postfix."""
    cut: Optional[int] = None
    """How many bytes of its key file are left: with the rest Postfix cannot serve TLS, and says so too late."""
    pinned: str = "current"
    tlsa: str = ""
    bogus: bool = False

    @property
    def name(self):
        return slug(self.title)


def slug(title):
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


PEERS = (
    Peer("valid", FLEET.address(101)),
    Peer("expired", FLEET.address(102), flaws={"begin": -30, "end": -1}),
    Peer("wrong name", FLEET.address(103), flaws={"names": ["mx.elsewhere.test"]}),
    Peer("self-signed", FLEET.address(104), issuer=None),
    Peer("unknown CA", FLEET.address(105), issuer="Unknown CA"),
    Peer("no STARTTLS offered", FLEET.address(106), options={"smtpd_tls_security_level": "none"}),
    Peer("STARTTLS answered 454", FLEET.address(107), cut=100),
    Peer("handshake broken off", FLEET.address(108), program="breaks_off"),
    Peer("TLS 1.1 only", FLEET.address(109), options=OLD_TLS),
    Peer("pin matches", FLEET.address(110)),
    Peer("old pin", FLEET.address(111), pinned="former"),
    Peer("TLSA matches", FLEET.address(112), tlsa="3 1 1 {current}"),
    Peer("TLSA mismatch", FLEET.address(113), tlsa="3 1 1 {former}"),
    Peer("bogus DNSSEC", FLEET.address(114), tlsa="3 1 1 {current}", bogus=True),
)
ASKING_TLS13 = Peer("asks in TLS 1.3", FLEET.address(115), options={**ASKING, "smtpd_tls_protocols": "TLSv1.3"})
ASKING_TLS12 = Peer("asks in TLS 1.2", FLEET.address(116), options={**ASKING, "smtpd_tls_protocols": "TLSv1.2"})
MIDDLE = FLEET.address(120)
"""Relays to the valid peer and takes STARTTLS out."""


class Host(NamedTuple):
    """The name of a mail server and what DNS says about it. Several may stand for one peer."""

    title: str
    peer: str
    tlsa: Tuple[str, ...] = ()
    bogus: bool = False
    origin: str = ZONE
    address: str = ""
    """Where DNS leads instead of to the peer."""

    @property
    def name(self):
        return f"mx.{slug(self.title)}.{self.origin}"

    def domain(self, level):
        return f"{level}.{slug(self.title)}.{self.origin}"


STRIPPED = Host("STARTTLS stripped", "valid", ("3 1 1 {current}",), address=MIDDLE)
DANE = (
    Host("no TLSA record", "valid"),
    Host("3 1 1 of the key in use", "valid", ("3 1 1 {current}",)),
    Host("3 1 1 of another key", "valid", ("3 1 1 {former}",)),
    Host("3 1 1 of another key and of the key in use", "valid", ("3 1 1 {former}", "3 1 1 {current}")),
    Host("3 1 1 of the key in an expired certificate", "expired", ("3 1 1 {current}",)),
    Host("3 1 1 of the key in a certificate with a wrong name", "wrong name", ("3 1 1 {current}",)),
    Host("2 1 1 of the CA", "valid", ("2 1 1 {authority}",)),
    Host("2 1 1 of the CA, expired certificate", "expired", ("2 1 1 {authority}",)),
    Host("2 1 1 of the CA, certificate with a wrong name", "wrong name", ("2 1 1 {authority}",)),
    Host("unusable: usage 0", "valid", ("0 0 1 {current}",)),
    Host("unusable: usage 1", "valid", ("1 1 1 {current}",)),
    Host("unusable: matching type 9", "valid", ("3 1 9 {current}",)),
    Host("unusable, self-signed certificate", "self-signed", ("0 0 1 {current}",)),
    Host("unusable, no STARTTLS offered", "no STARTTLS offered", ("0 0 1 {current}",)),
    Host("unsigned zone", "valid", origin=UNSIGNED),
    Host("unsigned zone, 3 1 1 of another key", "valid", ("3 1 1 {former}",), origin=UNSIGNED),
)
MAIN = tuple(Host(peer.title, peer.title, (peer.tlsa,) if peer.tlsa else (), peer.bogus) for peer in PEERS)
ASKS_IN_TLS13, ASKS_IN_TLS12 = (Host(peer.title, peer.title) for peer in (ASKING_TLS13, ASKING_TLS12))
HOSTS = (*MAIN, *DANE, STRIPPED, ASKS_IN_TLS13, ASKS_IN_TLS12)


class Keys(NamedTuple):
    """What a peer identifies itself with, and the key that it had before."""

    identity: Identity
    former: Any
    issuer: Optional[Identity]

    def digests(self):
        named = {"current": self.identity.key, "former": self.former}
        if self.issuer:
            named["authority"] = self.issuer.key
        return {name: hashlib.sha256(public(key)).hexdigest() for name, key in named.items()}


class Fleet(NamedTuple):
    """The peers as they run."""

    authority: Identity
    keys: Dict[str, Keys]
    anchor: str
    """The DNSKEY record of the signed zone."""

    def record(self, host, level):
        """The domain's record in smtp_domain_policy."""
        match = {"secure": [host.name], "fingerprint": [self.pin(host)]}.get(level, [])
        return {"name": host.domain(level), "level": level, "match": match}

    def pin(self, host):
        """The key that the operator has noted for this host: of each one the key in use, as if the operator had asked
        its owner, so that a deferral says something about the peer; of the one with an old pin the key before."""
        peer = BY_TITLE[host.peer]
        return ":".join(re.findall("..", self.keys[peer.title].digests()[peer.pinned].upper()))


ALL = (*PEERS, ASKING_TLS13, ASKING_TLS12)
ADDRESSES = (*(peer.address for peer in ALL), MIDDLE)
BY_TITLE = {peer.title: peer for peer in ALL}


def serve():
    """Start all of them, and the zones that lead there."""
    issuers = {name: authority(name) for name in ("Peers CA", "Unknown CA")}
    keys = {peer.title: _keys(peer, issuers.get(peer.issuer)) for peer in ALL}
    running = [_as_service(peer, keys[peer.title]) for peer in ALL if not peer.program]
    programs = [_program(peer.program, peer.address) for peer in ALL if peer.program]
    programs.append(_program("strips_starttls", MIDDLE, BY_TITLE[STRIPPED.peer].address))
    on_node2("serve", own_address=NODES[NODE], services=MASTER_CF, settings=SETTINGS, peers=running, programs=programs)
    wait_for(lambda: all(_listens(found) for found in ADDRESSES))
    return Fleet(issuers["Peers CA"], keys, zones.serve("peers", _zones(keys))[ZONE])


def publish(fleet, *records):
    """The same zones, with these records in the signed one as well."""
    zones.serve("peers", _zones(fleet.keys, records))


def stop():
    on_node2("stop", peers=[{"address": found} for found in ADDRESSES])


def public(key):
    """The SubjectPublicKeyInfo, which TLSA's selector 1 and Postfix's pins hash."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _keys(peer, issuer):
    names = [host.name for host in HOSTS if host.peer == peer.title]
    return Keys(certify(names[0], ec_key(), issuer, **{"names": names, **peer.flaws}), ec_key(), issuer)


def _as_service(peer, keys):
    """The certificate of the CA is sent too: DANE-TA(2) needs it (RFC 7672 section 3.1.2)."""
    chain = keys.identity.key_pem + keys.identity.pem + (keys.issuer.pem if keys.issuer else "")
    return {"name": peer.name, "address": peer.address, "chain": chain[: peer.cut], "options": peer.options}


def _listens(found):
    try:
        with socket.create_connection((found, 25), timeout=5) as connection:
            return connection.recv(3) == b"220"
    except ConnectionRefusedError:
        return False


def _program(name, listen, *arguments):
    source = (PROGRAMS / f"{name}.py").read_text()
    return {"name": name, "address": listen, "source": source, "arguments": arguments, "files": []}


def on_node2(action, **request):
    """What serve_peers.py does, on the node that is every server."""
    run_program(NODE, (PROGRAMS / "serve_peers.py").read_text(), {"action": action, **request})


def _zones(keys, more=()):
    hosts = {origin: [host for host in HOSTS if host.origin == origin] for origin in (ZONE, UNSIGNED)}
    records = {origin: [line for host in found for line in _records(host, keys)] for origin, found in hosts.items()}
    delegation = (f"{UNSIGNED}. NS ns.{UNSIGNED}.", f"ns.{UNSIGNED}. A {zones.ADDRESS}")
    spoiled = f'{SPOILED}. TXT "NSEC"'
    bogus = [(f"_25._tcp.{host.name}", "TLSA") for host in HOSTS if host.bogus]
    return [
        zones.Zone(ZONE, (*records[ZONE], *more, *delegation, spoiled), bogus=(*bogus, (SPOILED, "NSEC"))),
        zones.Zone(UNSIGNED, tuple(records[UNSIGNED]), signed=False),
    ]


def _records(host, keys):
    yield f"{host.name}. A {host.address or BY_TITLE[host.peer].address}"
    for record in host.tlsa:
        yield f"_25._tcp.{host.name}. TLSA {record.format(**keys[host.peer].digests())}"
    for level in LEVELS:
        yield f"{host.domain(level)}. MX 10 {host.name}."
