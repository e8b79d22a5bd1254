# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of main.cf as Postfix itself reads them: in any case, with its own separators, in each syntax it has had."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import FrozenSet, List, Mapping, Optional, Tuple, Type

from .._model.levels import ClientLevel, E, Protocol, ServerLevel
from .state import read_version

FLOOR_SYNTAX_SINCE = (3, 6)
"""RELEASE_NOTES of Postfix 3.6: protocol lists take ``>=TLSv1.2``, and ``>=0303`` for the same."""

_SEPARATORS = re.compile(r"[\s,:]+")
_OLDER = frozenset(["sslv2", "sslv3"])
_BY_NAME = {protocol.value.lower(): protocol for protocol in Protocol}
_NUMBERS = {"none": 0, "sslv3": 0x0300, **{name: 0x0301 + protocol.rank for name, protocol in _BY_NAME.items()}}
"""RFC 8446 section 4.2.1 and before: the versions as they cross the wire. 0 is no bound."""


def is_yes(text: str) -> bool:
    """A boolean of main.cf, which is taken in any case (postconf(5))."""
    return text.lower() == "yes"


def known(kind: Type[E], text: str) -> Optional[E]:
    """A word of Postfix's tables of names, which are searched in any case (name_code(3))."""
    try:
        return kind(text.lower())
    except ValueError:
        return None


def colon_list(text: str) -> Tuple[str, ...]:
    """The items of a list of ciphers or protocols, in which colons part items as well (postconf(5))."""
    return tuple(item for item in _SEPARATORS.split(text) if item)


def server_level(found: Mapping[str, str], prefix: str = "smtpd") -> ServerLevel:
    """What a server demands. What only a client can do counts as ``encrypt`` there, with a warning (smtpd(8)); an empty
    level leaves it to the parameters of Postfix 2.2 (postconf(5)). Wrapper mode is mandatory TLS whatever the level says."""
    if prefix == "smtpd" and is_yes(found.get("smtpd_tls_wrappermode", "")):
        return ServerLevel.ENCRYPT
    text = found.get(f"{prefix}_tls_security_level", "")
    if known(ClientLevel, text) in (ClientLevel.FINGERPRINT, ClientLevel.VERIFY, ClientLevel.SECURE):
        return ServerLevel.ENCRYPT
    level = known(ServerLevel, text)
    if level is not None:
        return level
    if is_yes(found.get(f"{prefix}_enforce_tls", "")):
        return ServerLevel.ENCRYPT
    return ServerLevel.MAY if is_yes(found.get(f"{prefix}_use_tls", "")) else ServerLevel.NONE


def client_level(found: Mapping[str, str], prefix: str = "smtp") -> ClientLevel:
    """What a client demands where no policy says otherwise."""
    level = known(ClientLevel, found.get(f"{prefix}_tls_security_level", ""))
    if level is not None:
        return level
    if is_yes(found.get(f"{prefix}_enforce_tls", "")):
        named = is_yes(found.get(f"{prefix}_tls_enforce_peername", ""))
        return ClientLevel.VERIFY if named else ClientLevel.ENCRYPT
    return ClientLevel.MAY if is_yes(found.get(f"{prefix}_use_tls", "")) else ClientLevel.NONE


def floor(found: Mapping[str, str], parameter: str) -> Optional[Protocol]:
    """The lowest TLS version that a parameter admits."""
    return lowest(admitted(found.get(parameter, ""), read_version(found["mail_version"])))


def lowest(protocols: FrozenSet[Protocol]) -> Optional[Protocol]:
    return min(protocols, key=lambda protocol: protocol.rank, default=None)


@lru_cache(maxsize=1024)
def admitted(text: str, version: Tuple[int, int]) -> FrozenSet[Protocol]:
    """The TLS versions that a list admits: names in, ``!`` names out, and between ``>=`` and ``<=``.

    None where Postfix would find the list invalid: no session is made then (tls_proto_mask_lims in tls_misc.c).
    """
    included: List[str] = []
    excluded: List[str] = []
    least, most = 0, 0
    for item in colon_list(text):
        if item[:2] in (">=", "<="):
            bound = _number(item[2:])
            if bound is None or version < FLOOR_SYNTAX_SINCE:
                return frozenset()
            least, most = (bound, most) if item[0] == ">" else (least, bound)
            continue
        name = item[item.startswith("!") :].lower()
        if name not in _BY_NAME and name not in _OLDER:
            return frozenset()
        (excluded if item.startswith("!") else included).append(name)
    names = set(included or _BY_NAME) - set(excluded)
    return frozenset(p for n, p in _BY_NAME.items() if n in names and least <= _NUMBERS[n] <= (most or _NUMBERS[n]))


def _number(text: str) -> Optional[int]:
    """A bound by name or in hexadecimal digits, of which strtoul(3) takes none for 0."""
    if text.lower() in _NUMBERS:
        return _NUMBERS[text.lower()]
    if not text:
        return 0
    return int(text, 16) if re.match(r"(0[xX])?[0-9a-fA-F]{1,8}\Z", text) else None
