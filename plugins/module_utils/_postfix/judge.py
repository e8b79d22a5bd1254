# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether peers would take a chain: asked of OpenSSL itself, which is what they verify it with (openssl-verify(1)).

Only options that OpenSSL 1.1.1 has already. Peers want a root that they trust at the chain's end: Postfix does not
set X509_V_FLAG_PARTIAL_CHAIN (tls_client.c, tls_server.c), so an intermediate among the trusted CAs is no end.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from typing import TYPE_CHECKING, Collection, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set

from .. import _files as files
from .._certificates.chain import Chain, certificates_pem, is_issued_by
from .._certificates.fitness import Flaw
from .._certificates.keys import public_bytes, public_key_of, write_key
from .._certificates.opaque import OpaqueKey
from .._certificates.shown import shown
from .commands import Completed, Run

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate

LEVEL = 2
"""112 bits, RSA 2048: what RFC 9325 section 4.4 asks for, and OpenSSL's own default on Debian and since 3.2. Postfix asks its
peers for level 1 where it verifies them (SSL_set_security_level in tls_client.c and tls_server.c), others for their default."""

_KINDS = {
    "expired": (10,),
    "not_yet_valid": (9,),
    "weak_key": (66, 67),
    "weak_signature": (68,),
    "other_host": (62,),
    "wrong_usage": (24, 26, 32, 37, 39, 79),
    "incomplete_chain": (2, 18, 19, 20, 21),
    "beyond_constraints": (25, 47, 48, 49, 51, 52, 53),
}
"""X509_V_ERR_* of x509_vfy.h. 24 was INVALID_CA in OpenSSL 1.1.1, which 3.0 calls 79."""

_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
UNKNOWN = "refused_by_openssl"
"""What fits none of the other kinds."""

_ERROR = re.compile(r"^(?P<subject>.*)\n^error (?P<code>\d+) at (?P<depth>\d+) depth lookup: ?(?P<words>.*)$", re.M)


class Peer(NamedTuple):
    """Somebody who verifies a chain: for what, and under which name, if under any."""

    purpose: str
    host: Optional[str]


def peers(servers: Iterable[Optional[str]], client: bool) -> List[Peer]:
    """Who asks for a server by each of its names (C(None) stands for any), and who is shown a client's certificate, of
    which Postfix asks no name. What is not served yet is looked at for no purpose."""
    named = [Peer("sslserver", host) for host in servers]
    return [*named, *([Peer("sslclient", None)] if client else [])] or [Peer("any", None)]


def objections(
    run: Run,
    chain: Sequence[Certificate],
    anchors: Sequence[Certificate],
    asking: Iterable[Peer],
    accepted: Collection[str] = (),
) -> List[Flaw]:
    """Why these peers, who trust ``anchors``, would refuse the chain (leaf first): kind and OpenSSL's own words.

    Nobody verifies a self-signed certificate by its issuer: it is pinned, or it proves nothing.
    """
    if is_issued_by(chain[0], chain[0]):
        return []
    with tempfile.TemporaryDirectory(dir=files.own_place()) as folder:
        question = _Question(run, folder, chain, anchors)
        found = [flaw for peer in asking for flaw in question.answers(peer, accepted)]
    return list(dict.fromkeys(found))


def beside(own: Iterable[Flaw], said: Iterable[Flaw]) -> Iterator[Flaw]:
    """Our sentences with OpenSSL's words beside them, and then what OpenSSL alone refuses; each kind is said once."""
    words: Dict[str, List[str]] = {}
    for flaw in said:
        words.setdefault(flaw.kind, []).append(flaw.sentence)
    for flaw in own:
        spoken = words.pop(flaw.kind, None)
        yield Flaw(flaw.kind, f"{flaw.sentence} (OpenSSL: {'; '.join(spoken)})") if spoken else flaw
    for kind, spoken in words.items():
        yield Flaw(kind, f"is refused by OpenSSL ({'; '.join(spoken)})")


def belongs(run: Run, chain: Chain) -> bool:
    """Whether a key that cryptography cannot read is its certificate's. It goes through memory and lies nowhere."""
    if not isinstance(chain.key, OpaqueKey):
        return True
    done = run(["openssl", "pkey", "-pubout"], stdin=write_key(chain.key).decode())
    public = "".join(line for line in done.stdout.splitlines() if not line.startswith("-----"))
    return done.rc == 0 and base64.b64decode(public) == public_bytes(public_key_of(chain.leaf))


class _Question:
    """One chain, in files of a folder that nobody else looks into."""

    def __init__(self, run: Run, folder: str, chain: Sequence[Certificate], anchors: Sequence[Certificate]) -> None:
        self.run = run
        self.anchored = bool(anchors)
        self.leaf = _write(folder, "leaf", chain[:1])
        self.issuers = _write(folder, "issuers", chain[1:])
        self.anchors = _write(folder, "anchors", anchors)
        self.end = _write(folder, "end", chain[-1:])

    def answers(self, peer: Peer, accepted: Collection[str]) -> Iterator[Flaw]:
        """Each objection. OpenSSL ends at the first of some kinds: what is known is not asked for again."""
        known: Set[str] = {*accepted, *(() if self.anchored else ("incomplete_chain",))}
        while True:
            new = [flaw for flaw in _read(self._ask(peer, known)) if flaw.kind not in known]
            yield from new
            if not new:
                return
            known |= {flaw.kind for flaw in new}

    def _ask(self, peer: Peer, known: Collection[str]) -> Completed:
        lenient = "weak_key" in known or "weak_signature" in known
        return self.run(
            [
                *("openssl", "verify", "-auth_level", "0" if lenient else str(LEVEL)),
                *("-purpose", "any" if "wrong_usage" in known else peer.purpose),
                *(("-verify_hostname", peer.host) if peer.host and "other_host" not in known else ()),
                *(("-no_check_time",) if "not_yet_valid" in known else ()),
                *(("-partial_chain", "-trusted", self.end) if "incomplete_chain" in known else ()),
                *(("-trusted", self.anchors) if self.anchored else ()),
                *(("-untrusted", self.issuers) if self.issuers else ()),
                self.leaf,
            ]
        )


def _write(folder: str, name: str, certificates: Sequence[Certificate]) -> str:
    """A file with these certificates; none where there are none, since OpenSSL refuses an empty one."""
    if not certificates:
        return ""
    path = os.path.join(folder, name)
    with open(path, "wb") as handle:
        handle.write(certificates_pem(certificates))
    return path


def _read(done: Completed) -> List[Flaw]:
    """What openssl-verify has said: before each error the subject of the certificate, escaped."""
    if done.rc == 0:
        return []
    said = f"\n{done.stdout}\n{done.stderr}"
    found = [
        Flaw(_KIND_OF.get(int(error["code"]), UNKNOWN), shown(_words(error["words"], error["depth"], error["subject"])))
        for error in _ERROR.finditer(said)
    ]
    return found or [Flaw(UNKNOWN, shown("; ".join(filter(None, map(str.strip, said.splitlines())))))]


def _words(words: str, depth: str, subject: str) -> str:
    return words if depth == "0" or not subject else f"{words}, {subject}"
