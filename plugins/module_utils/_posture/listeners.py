# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a server of master.cf protects what it receives, and what it demands of those who send."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Mapping, Optional, Tuple

from .._model.levels import CipherGrade, ClientCertificates, ServerLevel
from .._model.networks import public_networks
from .._postfix.levels import client_certificates, excluded_ciphers, governing_prefix
from .._postfix.state import Service, split_list
from .._postfix.values import admitted, is_yes, known, lowest, server_level
from .clients import cipher_list
from .configuration import Configuration
from .protections import AtLeast, AtMost, Protection, Switch
from .trust import trusted

PINNED, OF_SENDERS, LISTED = "pinned certificates", "certificates of senders' domains", "listed senders"
"""What this collection demands by lists of restrictions."""
_REFUSALS = ("reject_unauth_destination", "defer_unauth_destination", "reject", "defer")
_OPEN = ("permit", "permit_tls_all_clientcerts")
"""What lets anybody relay, or anybody with a certificate of any CA that is trusted (postconf(5), smtpd_relay_restrictions)."""


def protections(configuration: Configuration, service: Optional[Service]) -> Dict[str, Optional[Protection]]:
    """What holds for a server, or for one of which master.cf says nothing."""
    found = configuration.state.found(service)
    level = _level(configuration, found, service)
    demands = _demands(configuration, found)
    values: Dict[str, Optional[Protection]] = {
        "level": level,
        **_relaying(configuration, found),
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
        auth_only=_auth_only(found, level),
    )
    values.update(cipher_list(found, values["ciphers"]))
    if certificates is ClientCertificates.REQUIRE or any("certificate" in name for name in demands):
        values["trust"] = trusted(configuration, found, "smtpd")
    return values


def _level(configuration: Configuration, found: Mapping[str, str], service: Optional[Service]) -> ServerLevel:
    """postscreen(8) has a level of its own, which is smtpd's, an override included, where nobody says otherwise."""
    if service is None or service.command != "postscreen":
        return server_level(found)
    said = {*configuration.state.explicit, *service.overrides}
    return server_level(found, "postscreen" if "postscreen_tls_security_level" in said else "smtpd")


def _auth_only(found: Mapping[str, str], level: ServerLevel) -> Switch:
    """Whether passwords cross the network encrypted alone (postconf(5), smtpd_tls_auth_only)."""
    kept = level is ServerLevel.ENCRYPT or is_yes(found.get("smtpd_tls_auth_only", ""))
    offered = is_yes(found.get("smtpd_sasl_auth_enable", ""))
    return Switch(kept or not offered, "passwords in plaintext" if offered and not kept else "no password in plaintext")


def _relaying(configuration: Configuration, found: Mapping[str, str]) -> Dict[str, Optional[Protection]]:
    """Who may send to anywhere: strangers are refused where one of two lists refuses them, each read to its first refusal."""
    networks = " ".join(configuration.patterns(found.get("mynetworks", "")))
    values: Dict[str, Optional[Protection]] = {"relay_networks": AtMost(public_networks(networks))}
    lists = [found.get(f"smtpd_{name}_restrictions", "").lower() for name in ("relay", "recipient")]
    if any(lists):
        before = [_before_refusal(text) for text in lists]
        refusing = [items for items in before if items is not None and not set(items) & set(_OPEN)]
        values["relay"] = Switch(bool(refusing), "refused to strangers" if refusing else "open to strangers")
        asked = [frozenset(item for item in items if ":" in item) for items in refusing]
        values["relay_exceptions"] = AtMost(min(asked, key=len, default=frozenset()))
    return values


def _before_refusal(text: str) -> Optional[Tuple[str, ...]]:
    """What a list asks before it refuses strangers; ``None`` where it never does. After warn_if_reject nothing is refused."""
    words = split_list(re.sub(r"\bwarn_if_reject[\s,]+\S+", "", text))
    first = next((index for index, word in enumerate(words) if word in _REFUSALS), None)
    return None if first is None else words[:first]


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
