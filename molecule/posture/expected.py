# SPDX-License-Identifier: GPL-3.0-or-later
"""What the posture predicts of the wire: whether mail goes to a server of some kind in plaintext, over TLS, or not at all."""

from typing import NamedTuple, Optional

from around import HOSTS, KINDS, MX, NO_TLS, SIGNED, around

PLAINTEXT, TLS, KEPT = "plaintext", "TLS", "kept"
FAILED = "TLS failed"
"""At a server with which it was not demanded: mail goes to the next hops first, and in plaintext once it has waited."""
FIXED = {"spare.test": NO_TLS, "second.test": "good"}
PROTOCOLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
SYSTEM = "the system's CAs (tls_append_default_CA)"


class Way(NamedTuple):
    """One that mail takes."""

    outcome: str
    host: Optional[str] = None
    """The server that gets it."""


def way(hops, behaviour, relaxed=None):
    """What becomes of mail: each hop in turn, until one takes it, and all of them once more where none has. Mail that says
    TLS-Required: no has the level ``relaxed`` where that is heeded."""
    for failed in (KEPT, PLAINTEXT):
        for hop in hops:
            if hop["client"] is None:
                return Way("elsewhere")
            host = server_of(hop)
            found = _outcome(hop, host, FIXED.get(host, behaviour), relaxed)
            found = failed if found == FAILED else found
            if found != KEPT:
                return Way(found, host)
    return Way(KEPT)


def is_told(hops, behaviour):
    """Whether the posture says what becomes of mail there: OpenSSL, not Postfix, has TLS 1.1 only where no peer is verified."""
    asked = {hop["values"].get("level") for hop in hops} <= {"none", "may", "encrypt"}
    return asked or behaviour != "TLS 1.1 at most"


def server_of(hop):
    """The name of the server behind a next hop."""
    next_hop = hop["next_hop"].lower().replace("inet:", "")
    if next_hop.startswith("["):
        return next_hop[1:].partition("]")[0]
    domain = next_hop.partition(":")[0]
    return MX.get(domain, domain)


def _outcome(hop, host, behaviour, relaxed):
    values = hop["values"]
    if not hop["valid"]:
        return KEPT
    level = values["level"]
    if relaxed and values.get("tls_required_enable") is False:
        return PLAINTEXT if behaviour == NO_TLS or relaxed == "none" else TLS
    if level in ("dane", "dane-only"):
        level = _by_dane(hop, host, level)
        if level == "may":
            floor, grade = values["opportunistic_protocol"], values["opportunistic_ciphers"]
            values = {**values, "minimum_protocol": floor, "ciphers": grade}
    if level == "none" or (level == "may" and behaviour == NO_TLS):
        return PLAINTEXT
    if level == "may":
        return TLS if _shakes_hands(values, behaviour) else FAILED
    if level is None or behaviour == NO_TLS or not _shakes_hands(values, behaviour):
        return KEPT
    return TLS if _believes(hop, host, level, behaviour) else KEPT


def _by_dane(hop, host, level):
    """The level that is left of it, by what DNS says of a server; nothing where mail is kept."""
    domain = hop["next_hop"].partition(":")[0]
    secure = f".{domain}".endswith(f".{SIGNED}") or domain.startswith("[")
    published = host == "mx.dane.test"
    insecure = hop["values"].get("insecure_mx")
    if level == "dane-only":
        return level if secure and published else None
    if not published or (not secure and insecure in (None, "none", "may")):
        return "may"
    if not secure and insecure == "encrypt":
        return "encrypt"
    return level


def _shakes_hands(values, behaviour):
    """Whether both sides have a version of TLS in common, and Postfix knows its grade of ciphers."""
    least = values["minimum_protocol"]
    return None not in (least, values["ciphers"]) and PROTOCOLS.index(least) <= PROTOCOLS.index(KINDS[behaviour].most)


def _believes(hop, host, level, behaviour):
    kind = KINDS[behaviour]
    if level == "encrypt":
        return True
    if level.startswith("dane"):
        return kind.key == "good"
    if level == "fingerprint":
        return around().words[f"pin_{kind.key}"] in hop["values"]["match"]
    trusted = {around().authorities.get(item, item) for item in hop["values"]["trust"]}
    trusts = kind.issuer in trusted or (kind.issuer == "system" and SYSTEM in trusted)
    trusts = trusts or (kind.issuer == "known" and any(item.startswith("folder ") for item in trusted))
    names = kind.names(host)
    return trusts and kind.right and any(_matches(hop, item, host, names) for item in hop["values"]["match"])


def _matches(hop, item, host, names):
    """Whether a certificate with these names matches an item of the list."""
    next_hop = hop["next_hop"].strip("[").partition("]")[0].partition(":")[0]
    wanted = {"nexthop": next_hop, "dot-nexthop": f".{next_hop}", "hostname": host}.get(item, item)
    if wanted.startswith("."):
        return any(name.endswith(wanted) for name in names)
    return wanted in names


def seen(found):
    """What has become of a message, by what servers and the log say."""
    if found["received"]:
        (host, version), *more = found["received"]
        assert not more, found
        return Way(TLS if version else PLAINTEXT, host)
    smtp = found["relay"].partition("[")[0].lower() in HOSTS or found["relay"] == "none"
    return Way(KEPT if found["status"] == "deferred" and smtp else "elsewhere")
