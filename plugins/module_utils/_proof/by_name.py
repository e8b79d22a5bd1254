# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificates clients must be shown that ask for a name, as Postfix finds them: whoever made the table for it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, FrozenSet, Iterable, NamedTuple, Tuple

from .._certificates.chain import certificates_by_key
from .._certificates.describe import certificate_fingerprint
from .._certificates.keys import describe_public_key, public_key_of
from .._errors import CertificateError
from .._postfix import sni, store
from .._postfix.commands import Postfix
from .._postfix.state import State
from .._posture.maps import Maps

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate

_KEY_TYPES = {"ecdsa", "rsa"}
"""Which are told apart where several are served."""


class Shown(NamedTuple):
    """What clients are to see that ask for one name (RFC 6066)."""

    fingerprints: FrozenSet[str]
    """SHA-256 of every certificate that belongs there."""
    key_types: Tuple[str, ...]
    """C(ecdsa) and C(rsa), where both are served."""


def shown_for(postfix: Postfix, state: State, host: str) -> Shown:
    """What a table for host names has, else the active certificates.

    A name is looked up in every table, then the domains above it (tls_server_sni_maps, postconf(5)).
    """
    listed = state.effective.get(sni.PARAMETER, "")
    maps = Maps(postfix, {})
    for key in sni.keys(host) if listed else ():
        value = maps.find(listed, key).value
        if value is not None:
            found = certificates_by_key([(sni.PARAMETER, _embedded(listed, value))])
            chains = [chain for _path, chain in found]
            return Shown(fingerprints(chains), _told_apart(chain[0] for chain in chains))
    return shown_by_default(state)


def shown_by_default(state: State) -> Shown:
    """What clients are to see that ask for no name. Keys are not read, which takes OpenSSL a tenth of a second for RSA 4096."""
    served = [chain for _path, chain in store.active_certificates(state, "server")]
    return Shown(fingerprints(served), _told_apart(chain[0] for chain in served))


def fingerprints(chains: Iterable[Iterable[Certificate]]) -> FrozenSet[str]:
    return frozenset(certificate_fingerprint(certificate) for chain in chains for certificate in chain)


def _told_apart(leaves: Iterable[Certificate]) -> Tuple[str, ...]:
    found = {describe_public_key(public_key_of(leaf))[0] for leaf in leaves} & _KEY_TYPES
    return tuple(sorted(found)) if len(found) > 1 else ()


def _embedded(listed: str, value: str) -> bytes:
    """What an index holds that ``postmap -F`` made."""
    try:
        return b64decode(value, validate=True)
    except binascii.Error:
        raise CertificateError(
            f"{sni.PARAMETER}: {listed} holds what is no certificate; build the table with postmap -F."
        ) from None
