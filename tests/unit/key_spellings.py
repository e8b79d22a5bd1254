# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as a person may put them into a task, and the spellings in which a log may have them."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, OLD = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
OPEN, LOCKED = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"of the key")
MADE = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
AWKWARD = "m4rk \"q'uote\\ back\\n ümlaut %s {{ x }}\nsecond l1ne of it"
"""A passphrase with everything that one program or another writes in a way of its own."""


def _b64(data):
    return base64.b64encode(data).decode()


def _keys():
    for name, key in MADE.items():
        for kind, layout in (("pkcs8", PKCS8), ("old", OLD)):
            for lock, how in (("open", OPEN), ("locked", LOCKED)):
                if name == "ed25519" and layout is OLD:
                    continue
                yield f"{name}-{kind}-{lock}", key.private_bytes(PEM, layout, how).decode()
                if not (layout is OLD and how is LOCKED):
                    yield f"{name}-{kind}-{lock}-base64", _b64(key.private_bytes(DER, layout, how))
        yield f"{name}-pkcs12", _b64(pkcs12.serialize_key_and_certificates(b"mx", key, None, None, LOCKED))


KEYS = dict(_keys())
"""Keys of each kind, in PEM and in Base64 alone, by name."""


def spellings(secret):
    """What must be found nowhere: the secret itself, its lines, and both as programs quote them."""
    lines = [line for line in secret.splitlines() if len(line) > 15 and "-----" not in line and ": " not in line]
    found = {secret, *lines, _b64(secret.encode()), _b64(secret.strip().encode())}
    for text in list(found):
        found |= {repr(text)[1:-1], ascii(text)[1:-1], json.dumps(text)[1:-1], json.dumps(repr(text))[2:-2]}
    return found


def traces(secret, said):
    """The spellings of a secret in what was said."""
    return [spelling for spelling in spellings(secret) if spelling in said]
