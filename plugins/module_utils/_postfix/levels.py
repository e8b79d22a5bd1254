# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The model in Postfix's words, and back: one table for each side.

``None`` as a parameter's value means: not in main.cf, so Postfix's default holds.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .._edge import Options
from .._model.levels import CipherGrade, ClientCertificates, ClientLevel, Protocol, ServerLevel
from .._model.options import kinds
from .._model.policies import ClientPolicy, ServerPolicy
from .state import read_version, split_list
from .values import FLOOR_SYNTAX_SINCE, admitted, client_level, colon_list, floor, is_yes, known, server_level

Parameters = Dict[str, Optional[str]]
Version = Tuple[int, int]

DANE = (ClientLevel.DANE, ClientLevel.DANE_ONLY)
DANE_PARAMETERS: Parameters = {"smtp_dns_support_level": "dnssec", "smtp_tls_dane_insecure_mx_policy": "dane"}
"""Without the first there is no DANE; the second's default differs between versions (postconf(5))."""


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
    wanted.update(_common("smtp", policy, version))
    return wanted


def protocol_list(floor: Protocol, version: Version) -> str:
    """All TLS versions from ``floor`` on, in the syntax that this version of Postfix knows."""
    if version >= FLOOR_SYNTAX_SINCE:
        return f">={floor.value}"
    below = [p.value for p in Protocol if p.rank < floor.rank]
    return ", ".join(f"!{name}" for name in ["SSLv2", "SSLv3", *below])


def read_server(effective: Mapping[str, str]) -> ServerPolicy:
    """What Postfix does as a server now."""
    level = server_level(effective)
    prefix = governing_prefix("smtpd", level is ServerLevel.ENCRYPT)
    return ServerPolicy(
        level=level,
        client_certificates=client_certificates(effective, level),
        minimum_protocol=floor(effective, f"{prefix}_protocols"),
        ciphers=known(CipherGrade, effective[f"{prefix}_ciphers"]),
        exclude_ciphers=colon_list(effective["smtpd_tls_exclude_ciphers"]),
        ca_file=effective["smtpd_tls_CAfile"],
        **_read_plain(ServerPolicy, "smtpd", effective),
    )


def client_certificates(found: Mapping[str, str], level: ServerLevel) -> ClientCertificates:
    """What a server asks of its clients: a certificate is required only where TLS is (postconf(5), smtpd_tls_req_ccert)."""
    required = is_yes(found.get("smtpd_tls_req_ccert", ""))
    if required and level is ServerLevel.ENCRYPT:
        return ClientCertificates.REQUIRE
    asked = required or is_yes(found.get("smtpd_tls_ask_ccert", ""))
    return ClientCertificates.REQUEST if asked else ClientCertificates.IGNORE


def excluded_ciphers(found: Mapping[str, str], side: str, mandatory: bool) -> Tuple[str, ...]:
    """What one side (C(smtpd), C(smtp), C(lmtp)) never uses: where TLS is mandatory, a list of its own comes on top."""
    names = [f"{side}_tls_exclude_ciphers", *([f"{side}_tls_mandatory_exclude_ciphers"] if mandatory else [])]
    return tuple(cipher for name in names for cipher in colon_list(found.get(name, "")))


def read_client(effective: Mapping[str, str]) -> ClientPolicy:
    """What Postfix does as a client now, where no domain policy says otherwise."""
    level = client_level(effective)
    prefix = governing_prefix("smtp", level.is_mandatory)
    return ClientPolicy(
        level=level,
        minimum_protocol=floor(effective, f"{prefix}_protocols"),
        ciphers=known(CipherGrade, effective[f"{prefix}_ciphers"]),
        exclude_ciphers=colon_list(effective["smtp_tls_exclude_ciphers"]),
        ca_file=effective["smtp_tls_CAfile"],
        match=split_list(effective.get(MATCH_PARAMETER.get(level, ""), "")),
        tls_required_no=is_yes(effective["tls_required_enable"]) if "tls_required_enable" in effective else None,
        **_read_plain(ClientPolicy, "smtp", effective),
    )


def read_protocols(effective: Mapping[str, str]) -> Dict[str, List[str]]:
    """The TLS versions that each side admits now, in their order: a list may end before the newest."""
    lists = {
        "server": governing_prefix("smtpd", server_level(effective) is ServerLevel.ENCRYPT),
        "client": governing_prefix("smtp", client_level(effective).is_mandatory),
    }
    version = read_version(effective["mail_version"])
    found = {side: admitted(effective[f"{prefix}_protocols"], version) for side, prefix in lists.items()}
    return {side: [protocol.value for protocol in Protocol if protocol in found[side]] for side in lists}


MATCH_PARAMETER = {
    ClientLevel.FINGERPRINT: "smtp_tls_fingerprint_cert_match",
    ClientLevel.VERIFY: "smtp_tls_verify_cert_match",
    ClientLevel.SECURE: "smtp_tls_secure_cert_match",
}


def _match(level: Optional[ClientLevel], match: Sequence[str]) -> Parameters:
    governing = MATCH_PARAMETER.get(level) if level else None
    return {name: (" ".join(match) or None) if name == governing else None for name in MATCH_PARAMETER.values()}


def _common(side: str, policy: Union[ServerPolicy, ClientPolicy], version: Version) -> Parameters:
    wanted = _plain(side, policy)
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


def _plain(side: str, policy: Union[ServerPolicy, ClientPolicy]) -> Parameters:
    """Options that are one parameter with the same value."""
    asked = {kind.parameter: getattr(policy, name) for name, kind in kinds(type(policy)) if kind.parameter}
    written = {name: value if value is None or isinstance(value, str) else _yes(value) for name, value in asked.items()}
    return {f"{side}_{name}": str(value) for name, value in written.items() if value is not None}


def _read_plain(policy: type, side: str, effective: Mapping[str, str]) -> Options:
    """Their values as they are now."""
    found = [(name, kind, effective[f"{side}_{kind.parameter}"]) for name, kind in kinds(policy) if kind.parameter]
    return {name: known(kind.words, text) if kind.words else is_yes(text) for name, kind, text in found}


def governing_prefix(side: str, mandatory: bool) -> str:
    """Of the parameters that hold at a level: where TLS is mandatory, lists of their own."""
    return f"{side}_tls_mandatory" if mandatory else f"{side}_tls"


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
