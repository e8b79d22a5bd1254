# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parameters of main.cf that belong to no other part of the model: checked, then taken as they are."""

from __future__ import annotations

import re
from typing import Dict, Iterable, Mapping, NamedTuple, Optional

from .._edge import Options
from .._errors import InvalidValue
from .._secrecy import NOT_SHOWN, holds_password
from .networks import check_networks

# The first that fits counts.
_OWNED = {
    r"smtp_tls_policy_maps|transport_maps|relay_domains|smtp_hardening_.+": "smtp_domain_policy",
    r"smtpd?_tls_(?!auth_only|wrappermode).+|smtpd?_(use|enforce)_tls|tls_server_sni_maps": "smtp_tls_mode or smtp_tls_cert",
}

_INSTALLATION = re.compile(
    r"(?:(config|queue|data|daemon|command|meta|shlib)_directory|mail_owner|setgid_group|(mailq|newaliases|sendmail)_path)\Z"
)
"""Where Postfix lies and who it is: nothing that a reload can move (postconf(5))."""


Values = Mapping[str, Optional[str]]


class Settings(NamedTuple):
    parameters: Values
    where_known: Values
    """Passed over where this Postfix does not know them."""


def read_settings(parameters: Options, where_known: Options, public: Iterable[object]) -> Settings:
    """The options of C(smtp_settings) that speak of main.cf; ``public`` are the public ranges that may relay."""
    settings = Settings(read_parameters(parameters), read_parameters(where_known))
    for values in settings:
        check_networks("parameters.mynetworks", values.get("mynetworks"), public)
    return settings


def read_parameters(given: Options) -> Dict[str, Optional[str]]:
    """Each parameter with its value as main.cf spells it; ``None`` takes it out."""
    return {_name(name): read_value(f"parameters.{name}", value) for name, value in given.items()}


def _name(name: object) -> str:
    text = str(name)
    if not re.match(r"[A-Za-z0-9_]+\Z", text):
        raise InvalidValue(
            "parameters", name, "is no name of a parameter", "use letters, digits and underscores, as in postconf(5)"
        )
    for pattern, module in _OWNED.items():
        if re.match(f"(?:{pattern})\\Z", text):
            raise InvalidValue(
                "parameters", name, "belongs to another module", f"use {module}, which keeps it consistent"
            )
    if _INSTALLATION.match(text):
        raise InvalidValue(
            "parameters",
            name,
            "belongs to the installation",
            "change it while Postfix is stopped, with the package's tools",
        )
    return text


def read_value(option: str, value: object) -> Optional[str]:
    """A value as main.cf spells it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise InvalidValue(option, value, "holds a line break or another control character", "write it on one line")
    if holds_password(option, text):
        raise InvalidValue(
            option, NOT_SHOWN, "is a password that everybody on the node could read", "put it into secrets, or a file"
        )
    return text
