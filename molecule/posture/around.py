# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds each configuration: servers of several kinds, each under every name, their CAs, and what DNS says."""

import functools
import hashlib
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from pki import authority, certify, ec_key

NETWORK = "198.51.100.0/24"
"""RFC 5737. Every address of it is the node itself, and none is a loopback address."""
RESOLVER = "198.51.100.53"
SIGNED = "dane.test"
PORTS = range(2600, 2610)
HOSTS = {
    name: f"198.51.100.{number}"
    for number, name in enumerate(
        [
            "bank.test",
            "sub.bank.test",
            "deep.sub.bank.test",
            "shop.test",
            "smart.test",
            "mx.smart.test",
            "other.test",
            "spare.test",
            "second.test",
            "client.test",
            "mx.dane.test",
            "mx.bare.dane.test",
        ],
        11,
    )
}


class Kind(NamedTuple):
    """How a server behaves. Without flaws its certificate is current, carries its name, and Known CA has issued it."""

    issuer: str = "known"
    most: str = "TLSv1.3"
    key: str = "good"
    flaws: Any = None
    right: bool = True
    """Whether somebody who trusts the issuer finds nothing wrong with the certificate but perhaps its name."""

    def names(self, host):
        return (self.flaws or {}).get("names", [host])


NO_TLS = "no STARTTLS"
KINDS = {
    "expired certificate": Kind(flaws={"begin": -30, "end": -1}, right=False),
    "wrong name": Kind(flaws={"names": ["mx.elsewhere.test"]}),
    "unknown CA": Kind("unknown", key="unknown"),
    "CA of the system": Kind("system", key="system"),
    "TLS 1.1 at most": Kind(most="TLSv1.1"),
    "TLS 1.2 at most": Kind(most="TLSv1.2"),
    "good": Kind(),
}
PEERS = (NO_TLS, *KINDS)
FEW = (NO_TLS, "unknown CA", "wrong name", "TLS 1.2 at most", "good")

MX = {
    "dane.test": "mx.dane.test",
    "bare.dane.test": "mx.bare.dane.test",
    "insecure.test": "mx.dane.test",
}
"""What DNS says; names below dane.test are signed."""


class Around(NamedTuple):
    request: dict
    words: dict
    authorities: dict
    """By the posture's word for a CA: its name."""


@functools.lru_cache(maxsize=1)
def around():
    """Made once for all nodes."""
    issuers = {name: authority(f"{name} CA") for name in ("known", "unknown", "system")}
    keys = {name: ec_key() for name in ("good", "unknown", "system")}
    chains, files = [], {f"{name}.pem": issuer.pem for name, issuer in issuers.items()}
    for how, kind in KINDS.items():
        for host in HOSTS:
            made = certify(host, keys[kind.key], issuers[kind.issuer], **{"names": [host], **(kind.flaws or {})})
            file = f"{how}-{host}.pem".replace(" ", "-")
            files[file] = made.key_pem + made.pem
            chains.append([how, host, file, kind.most])
    files["both.pem"] = issuers["known"].pem + issuers["unknown"].pem
    files["folder/known.pem"] = issuers["known"].pem
    files["server.pem"] = files["good-bank.test.pem"]
    words = {f"pin_{name}": _hex(_public(key)) for name, key in keys.items()}
    request = {
        "network": NETWORK,
        "resolver": RESOLVER,
        "signed": SIGNED,
        "hosts": HOSTS,
        "records": _records(hashlib.sha256(_public(keys["good"])).hexdigest()),
        "files": files,
        "chains": chains,
        "words": words,
        "workers": 2,
    }
    authorities = {
        f"CA {issuer.certificate.fingerprint(hashes.SHA256()).hex()[:16]}": n for n, issuer in issuers.items()
    }
    return Around(request, words, authorities)


def _records(digest):
    mx, tlsa = 15, 52
    addresses = [[name, 1, [address]] for name, address in HOSTS.items()]
    exchangers = [[name, mx, [host]] for name, host in MX.items()]
    keys = [[f"_{port}._tcp.mx.dane.test", tlsa, [f"3 1 1 {digest}"]] for port in PORTS]
    return [*addresses, *exchangers, *keys]


def _public(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _hex(content):
    return hashlib.sha256(content).digest().hex(":").upper()
