# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a server of master.cf protects what it receives, and what it demands of those who send."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Iterator, Mapping, Optional

from .._model.levels import CipherGrade, ClientCertificates, ServerLevel
from .._postfix.levels import client_certificates, excluded_ciphers, governing_prefix
from .._postfix.state import Service, split_list
from .._postfix.values import admitted, known, lowest, server_level
from . import passwords, relaying
from .clients import cipher_list
from .configuration import Configuration
from .protections import AtLeast, Protection, Unknown
from .trust import trusted

PINNED, OF_SENDERS, LISTED = "pinned certificates", "certificates of senders' domains", "listed senders"
"""What this collection demands by lists of restrictions."""


def protections(configuration: Configuration, service: Optional[Service]) -> Dict[str, Optional[Protection]]:
    """What holds for a server, or for one of which master.cf says nothing."""
    found = configuration.state.found(service)
    level = _level(configuration, found, service)
    demands = _demands(configuration, found)
    values: Dict[str, Optional[Protection]] = {
        "level": level,
        **relaying.protections(configuration, found, service),
        "demands": AtLeast(demands),
    }
    if level is ServerLevel.NONE:
        return values
    mandatory = level is ServerLevel.ENCRYPT
    prefix, certificates = governing_prefix("smtpd", mandatory), client_certificates(found, level)
    values.update(
        client_certificates=certificates,
        minimum_protocol=lowest(admitted(found.get(f"{prefix}_protocols", ""), configuration.state.version)),
        ciphers=known(CipherGrade, found.get(f"{prefix}_ciphers", "")),
        exclude_ciphers=AtLeast(frozenset(excluded_ciphers(found, "smtpd", mandatory))),
        auth_only=passwords.kept_by_server(found, level),
    )
    values.update(cipher_list(found, values["ciphers"]))
    if not mandatory:
        values["starttls"] = Unknown(frozenset(_may_hide_tls(found, _command(service))))
    if certificates is ClientCertificates.REQUIRE or any("certificate" in name for name in demands):
        values["trust"] = trusted(configuration, found, "smtpd")
    return values


def _level(configuration: Configuration, found: Mapping[str, str], service: Optional[Service]) -> ServerLevel:
    """postscreen(8) has a level of its own, which is smtpd's, an override included, where nobody says otherwise. STARTTLS that
    is not announced is no TLS where it is not demanded."""
    command, said = _command(service), {*configuration.state.explicit, *(service.overrides if service else ())}
    level = server_level(found, command if f"{command}_tls_security_level" in said else "smtpd")
    return ServerLevel.NONE if level is ServerLevel.MAY and _hides_tls(found, command) else level


def _command(service: Optional[Service]) -> str:
    return service.command if service else "smtpd"


def _hides_tls(found: Mapping[str, str], command: str) -> bool:
    """Whether STARTTLS is announced to nobody (postconf(5), smtpd_discard_ehlo_keywords)."""
    return "starttls" in split_list(found.get(f"{command}_discard_ehlo_keywords", "").lower())


def _may_hide_tls(found: Mapping[str, str], command: str) -> Iterator[str]:
    """What may take STARTTLS from some clients: a table of their addresses, and a filter of commands."""
    for name in ("discard_ehlo_keyword_address_maps", "command_filter"):
        if found.get(f"{command}_{name}"):
            yield f"{command}_{name} = {found[f'{command}_{name}']}"


def _demands(configuration: Configuration, found: Mapping[str, str]) -> FrozenSet[str]:
    """What this collection has put into the lists of restrictions, whatever the numbers of its tables."""
    store = re.escape(configuration.state.store)
    text = f"{found.get('smtpd_client_restrictions', '')} {found.get('smtpd_sender_restrictions', '')}"
    demands = {
        PINNED: rf"{store}/pins/\d+/table",
        OF_SENDERS: rf"check_sender_access \w+:{store}/domains/\d+/senders",
        LISTED: r"\bsmtp_hardening_unlisted\b",
    }
    return frozenset(name for name, pattern in demands.items() if re.search(pattern, text))
