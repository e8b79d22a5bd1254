# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""To whom a password may cross a network as it is written, which SASL leaves to the mechanism and Postfix to lists of options
(SASL_README; postconf(5), smtp_sasl_security_options)."""

from __future__ import annotations

from typing import Mapping

from .._model.levels import ClientLevel, ServerLevel
from .._postfix.state import split_list
from .._postfix.values import is_yes
from .protections import AtMost, Switch

WITHOUT_TLS, UNVERIFIED = "connections without TLS", "servers that are not verified"


def kept_by_server(found: Mapping[str, str], level: ServerLevel) -> Switch:
    """Whether passwords cross the network encrypted alone (postconf(5), smtpd_tls_auth_only)."""
    kept = level is ServerLevel.ENCRYPT or is_yes(found.get("smtpd_tls_auth_only", ""))
    offered = is_yes(found.get("smtpd_sasl_auth_enable", ""))
    return Switch(kept or not offered, "passwords in plaintext" if offered and not kept else "no password in plaintext")


def shown_by_client(found: Mapping[str, str], side: str, level: ClientLevel) -> AtMost:
    """Where a password may go in plaintext at a level. What a connection without TLS may carry, one to a server that nobody has
    verified may, too."""
    if not is_yes(found.get(f"{side}_sasl_auth_enable", "")) or not found.get(f"{side}_sasl_password_maps"):
        return AtMost()
    if not level.demands_tls and _takes_plaintext(found, f"{side}_sasl_security_options"):
        return AtMost(frozenset([WITHOUT_TLS, UNVERIFIED]))
    unverified = not level.is_verified and _takes_plaintext(found, f"{side}_sasl_tls_security_options")
    return AtMost(frozenset([UNVERIFIED] if unverified else []))


def shown_by(side: str, level: ClientLevel) -> str:
    """The parameter that says which mechanisms a client uses at a level, where the server speaks TLS."""
    if level is ClientLevel.NONE:
        return f"{side}_sasl_security_options"
    return f"{side}_sasl_tls_verified_security_options" if level.is_verified else f"{side}_sasl_tls_security_options"


def _takes_plaintext(found: Mapping[str, str], parameter: str) -> bool:
    return "noplaintext" not in split_list(found.get(parameter, "noplaintext").lower())
