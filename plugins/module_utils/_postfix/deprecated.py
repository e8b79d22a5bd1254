# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parameters of older releases that still speak beside their successors.

Those that contradict what a task asks go in the same transaction; the others are reported.
Sources: postconf(5) and RELEASE_NOTES of Postfix 3.9, which warns of all of them.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Union

from .._model.levels import ClientLevel, ServerLevel
from .levels import Parameters
from .state import State

Level = Union[ServerLevel, ClientLevel]


class Deprecated(NamedTuple):
    side: str
    successor: str
    contradicts: Callable[[str, Level], bool]
    """Whether its value says something else than the level that is asked."""


def _says_use(value: str, level: Level) -> bool:
    return (value == "yes") != (str(level) != "none")


def _says_enforce(value: str, level: Level) -> bool:
    return (value == "yes") != (str(level) not in ("none", "may"))


_SERVER_LEVEL, _CLIENT_LEVEL = "smtpd_tls_security_level", "smtp_tls_security_level"
_TABLE: Dict[str, Deprecated] = {
    "smtpd_use_tls": Deprecated("server", _SERVER_LEVEL, _says_use),
    "smtpd_enforce_tls": Deprecated("server", _SERVER_LEVEL, _says_enforce),
    # "none" offers no ECDHE at all, "strong" and "ultra" one curve: peers without it would fail.
    "smtpd_tls_eecdh_grade": Deprecated(
        "server", "tls_eecdh_auto_curves", lambda value, level: value != "auto" and str(level) != "none"
    ),
    # Postfix uses its own 2048-bit group with OpenSSL's choice; a file may hold less.
    "smtpd_tls_dh1024_param_file": Deprecated("server", "Postfix's own choice", lambda value, level: False),
    "smtpd_tls_dh512_param_file": Deprecated("server", "Postfix's own choice", lambda value, level: False),
    "smtp_use_tls": Deprecated("client", _CLIENT_LEVEL, _says_use),
    "smtp_enforce_tls": Deprecated("client", _CLIENT_LEVEL, _says_enforce),
    "smtp_tls_enforce_peername": Deprecated(
        "client", _CLIENT_LEVEL, lambda value, level: value == "no" and str(level) in ("verify", "secure")
    ),
    # Where no policy map is set it decides per site, and may say NONE where more is asked.
    "smtp_tls_per_site": Deprecated(
        "client", "smtp_tls_policy_maps", lambda value, level: str(level) not in ("none", "may")
    ),
}


def removals(state: State, server: Optional[ServerLevel], client: Optional[ClientLevel]) -> Parameters:
    """What is taken out because it contradicts a level that is asked."""
    return {name: None for name in _present(state) if _contradicts(state, name, server, client)}


def reports(state: State, server: Optional[ServerLevel], client: Optional[ClientLevel]) -> Iterator[str]:
    """A warning for each deprecated parameter that stays."""
    for name in _present(state):
        if not _contradicts(state, name, server, client):
            yield (
                f"main.cf: {name} = {state.explicit[name]} is deprecated and contradicts nothing here; "
                f"take it out when you can, in favour of {_TABLE[name].successor}."
            )


def _present(state: State) -> List[str]:
    return [name for name in _TABLE if name in state.explicit]


def _contradicts(state: State, name: str, server: Optional[ServerLevel], client: Optional[ClientLevel]) -> bool:
    row = _TABLE[name]
    level = server if row.side == "server" else client
    return level is not None and row.contradicts(state.effective.get(name, state.explicit[name]), level)
