# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The model in Postfix's words, and back: one table for each side.

``None`` as a parameter's value means: not in main.cf, so Postfix's default holds.
"""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional, Sequence, Tuple, Type, Union

from .._model.levels import CipherGrade, ClientCertificates, ClientLevel, E, Protocol, ServerLevel
from .._model.policies import ClientPolicy, ServerPolicy
from .state import split_list

Parameters = Dict[str, Optional[str]]
Version = Tuple[int, int]

DANE = (ClientLevel.DANE, ClientLevel.DANE_ONLY)
DANE_PARAMETERS: Parameters = {"smtp_dns_support_level": "dnssec", "smtp_tls_dane_insecure_mx_policy": "dane"}
"""Without the first there is no DANE; the second's default differs between versions (postconf(5))."""

FLOOR_SYNTAX_SINCE = (3, 6)
"""RELEASE_NOTES of Postfix 3.6: protocol lists take ``>=TLSv1.2``."""


def server_parameters(policy: ServerPolicy, version: Version) -> Parameters:
    """main.cf for what is asked of the server, and for nothing else."""
    wanted: Parameters = {}
    if policy.level is not None:
        wanted["smtpd_tls_security_level"] = policy.level.value
        wanted["smtpd_tls_loglevel"] = "1"
        wanted["smtpd_tls_received_header"] = "yes"
    if policy.client_certificates is not None:
        asked = policy.client_certificates
        wanted["smtpd_tls_ask_ccert"] = _yes(asked is ClientCertificates.REQUEST)
        wanted["smtpd_tls_req_ccert"] = _yes(asked is ClientCertificates.REQUIRE)
        wanted["smtpd_tls_fingerprint_digest"] = "sha256"
    wanted.update(_common("smtpd", policy, version))
    return wanted


def client_parameters(policy: ClientPolicy, version: Version) -> Parameters:
    """main.cf for what is asked of the client, and for nothing else."""
    wanted: Parameters = {}
    if policy.level is not None:
        wanted["smtp_tls_security_level"] = policy.level.value
        wanted["smtp_tls_loglevel"] = "1"
        wanted["smtp_tls_fingerprint_digest"] = "sha256"
        if policy.level in DANE:
            wanted.update(DANE_PARAMETERS)
    if policy.match is not None:
        wanted.update(_match(policy.level, policy.match))
    if policy.connection_reuse is not None:
        wanted["smtp_tls_connection_reuse"] = _yes(policy.connection_reuse)
    wanted.update(_common("smtp", policy, version))
    return wanted


def protocol_list(floor: Protocol, version: Version) -> str:
    """All TLS versions from ``floor`` on, in the syntax that this version of Postfix knows."""
    if version >= FLOOR_SYNTAX_SINCE:
        return f">={floor.value}"
    below = [p.value for p in Protocol if p.rank < floor.rank]
    return ", ".join(f"!{name}" for name in ["SSLv2", "SSLv3", *below])


_PROTOCOL_WORDS = {
    f"{sign}{name}".lower(): f"{sign}{name}" for sign in ("", "!", ">=", "<=") for name in Protocol.words()
}
"""Postfix takes protocol names in any case."""


def read_protocol_list(text: str) -> Optional[Protocol]:
    """The lowest version that a protocol list admits; ``None`` where the list is no plain floor."""
    items = [_PROTOCOL_WORDS.get(word.lower(), word) for word in re.split(r"[\s,:]+", text) if word]
    floors = [item[2:] for item in items if item.startswith(">=")]
    if floors:
        return Protocol(floors[-1]) if floors[-1] in Protocol.words() else None
    excluded = {item[1:] for item in items if item.startswith("!")}
    if any(not re.match(r"!|<=", item) for item in items):
        return None
    return next((p for p in Protocol if p.value not in excluded), None)


def read_server(effective: Mapping[str, str]) -> ServerPolicy:
    """What Postfix does as a server now."""
    level = _known(ServerLevel, effective["smtpd_tls_security_level"]) or _legacy_server_level(effective)
    if effective["smtpd_tls_req_ccert"] == "yes" and level is ServerLevel.ENCRYPT:
        certificates = ClientCertificates.REQUIRE
    elif effective["smtpd_tls_ask_ccert"] == "yes" or effective["smtpd_tls_req_ccert"] == "yes":
        certificates = ClientCertificates.REQUEST
    else:
        certificates = ClientCertificates.IGNORE
    prefix = _governing_prefix("smtpd", level is ServerLevel.ENCRYPT)
    return ServerPolicy(
        level=level,
        client_certificates=certificates,
        minimum_protocol=read_protocol_list(effective[f"{prefix}_protocols"]),
        ciphers=_known(CipherGrade, effective[f"{prefix}_ciphers"]),
        exclude_ciphers=split_list(effective["smtpd_tls_exclude_ciphers"]),
        ca_file=effective["smtpd_tls_CAfile"],
    )


def read_client(effective: Mapping[str, str]) -> ClientPolicy:
    """What Postfix does as a client now, where no domain policy says otherwise."""
    level = _known(ClientLevel, effective["smtp_tls_security_level"]) or _legacy_client_level(effective)
    prefix = _governing_prefix("smtp", level.is_mandatory)
    return ClientPolicy(
        level=level,
        minimum_protocol=read_protocol_list(effective[f"{prefix}_protocols"]),
        ciphers=_known(CipherGrade, effective[f"{prefix}_ciphers"]),
        exclude_ciphers=split_list(effective["smtp_tls_exclude_ciphers"]),
        ca_file=effective["smtp_tls_CAfile"],
        match=split_list(effective.get(MATCH_PARAMETER.get(level, ""), "")),
        connection_reuse=effective["smtp_tls_connection_reuse"] == "yes",
    )


MATCH_PARAMETER = {
    ClientLevel.FINGERPRINT: "smtp_tls_fingerprint_cert_match",
    ClientLevel.VERIFY: "smtp_tls_verify_cert_match",
    ClientLevel.SECURE: "smtp_tls_secure_cert_match",
}


def _match(level: Optional[ClientLevel], match: Sequence[str]) -> Parameters:
    governing = MATCH_PARAMETER.get(level) if level else None
    return {name: (" ".join(match) or None) if name == governing else None for name in MATCH_PARAMETER.values()}


def _common(side: str, policy: Union[ServerPolicy, ClientPolicy], version: Version) -> Parameters:
    wanted: Parameters = {}
    if policy.minimum_protocol is not None:
        floor = protocol_list(policy.minimum_protocol, version)
        wanted[f"{side}_tls_protocols"] = wanted[f"{side}_tls_mandatory_protocols"] = floor
    if policy.ciphers is not None:
        wanted[f"{side}_tls_ciphers"] = wanted[f"{side}_tls_mandatory_ciphers"] = policy.ciphers.value
    if policy.exclude_ciphers is not None:
        wanted[f"{side}_tls_exclude_ciphers"] = ", ".join(policy.exclude_ciphers) or None
        wanted[f"{side}_tls_mandatory_exclude_ciphers"] = None
    if policy.ca_file is not None:
        # The file alone decides who is trusted: a CApath beside it would add the whole system bundle.
        wanted[f"{side}_tls_CAfile"] = policy.ca_file
        wanted[f"{side}_tls_CApath"] = None
    return wanted


def _governing_prefix(side: str, mandatory: bool) -> str:
    return f"{side}_tls_mandatory" if mandatory else f"{side}_tls"


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _known(kind: Type[E], text: str) -> Optional[E]:
    return kind(text) if text in kind.words() else None


def _legacy_server_level(effective: Mapping[str, str]) -> ServerLevel:
    """postconf(5): an empty level leaves it to the parameters of Postfix 2.2."""
    if effective.get("smtpd_enforce_tls") == "yes":
        return ServerLevel.ENCRYPT
    return ServerLevel.MAY if effective.get("smtpd_use_tls") == "yes" else ServerLevel.NONE


def _legacy_client_level(effective: Mapping[str, str]) -> ClientLevel:
    if effective.get("smtp_enforce_tls") == "yes":
        return ClientLevel.VERIFY if effective.get("smtp_tls_enforce_peername") == "yes" else ClientLevel.ENCRYPT
    return ClientLevel.MAY if effective.get("smtp_use_tls") == "yes" else ClientLevel.NONE
