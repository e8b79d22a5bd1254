# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The profiles: one table, each value with the standard that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Tuple, Union

from ._edge import Options
from ._errors import InvalidValue
from ._model.policies import ClientPolicy, ServerPolicy, read_client_policy, read_server_policy


class Setting(NamedTuple):
    """One value of a profile: the option of C(smtp_tls_mode) that it stands for, and why."""

    option: str
    value: Union[str, bool, List[str]]
    why: str


@dataclass(frozen=True)
class Profile:
    """A named, versioned set of values."""

    name: str
    version: int
    settings: Tuple[Setting, ...]
    demands_ca_signed: bool
    """Whether active certificates must be CA-signed, current, strong and name the host."""

    @property
    def server(self) -> ServerPolicy:
        return read_server_policy(self._side("server"))

    @property
    def client(self) -> ClientPolicy:
        return read_client_policy(self._side("client"))

    def _side(self, side: str) -> Options:
        prefix = side + "."
        return {s.option[len(prefix) :]: s.value for s in self.settings if s.option.startswith(prefix)}


LENIENT_DEFAULT = Profile(
    name="lenient_default",
    version=1,
    demands_ca_signed=False,
    settings=(
        Setting("server.level", "may", "RFC 3207 section 4: a public MX must not require STARTTLS"),
        Setting(
            "server.client_certificates",
            "ignore",
            "asking forbids the anonymous ciphers of clients that show no certificate",
        ),
        Setting("server.minimum_protocol", "TLSv1.2", "RFC 8996, RFC 9325 section 3.1.1"),
        Setting("server.ciphers", "medium", "RFC 7435: weak encryption beats none where the alternative is plaintext"),
        Setting("server.exclude_ciphers", [], "RFC 7435 section 3, as above"),
        Setting("client.level", "may", "RFC 3207, RFC 7435: deliver always, encrypt where the peer can"),
        Setting("client.minimum_protocol", "TLSv1.2", "RFC 8996, RFC 9325 section 3.1.1"),
        Setting("client.ciphers", "medium", "RFC 7435, as for the server"),
        Setting("client.exclude_ciphers", [], "RFC 7435, as for the server"),
        Setting("client.match", [], "nothing is matched at this level"),
        Setting("client.connection_reuse", False, "postconf(5): the default, no tlsproxy needed"),
    ),
)

TRUSTED_AGENTS_STRICT = Profile(
    name="trusted_agents_strict",
    version=1,
    demands_ca_signed=True,
    settings=(
        Setting("server.level", "encrypt", "RFC 3207 section 4 allows it where the server is not publicly referenced"),
        Setting("server.client_certificates", "require", "NIST SP 800-52r2 section 3.5.4: mutual authentication"),
        Setting(
            "server.minimum_protocol",
            "TLSv1.3",
            "RFC 8446 section 4.4.2: below it both certificates cross in the clear",
        ),
        Setting("server.ciphers", "high", "RFC 9325 section 4.2; governs TLS 1.2 where the floor is lowered"),
        Setting("server.exclude_ciphers", ["aNULL"], "RFC 9325 section 4.1: no anonymous key exchange"),
        Setting("client.level", "secure", "postconf(5): verify would trust names from insecure DNS"),
        Setting("client.minimum_protocol", "TLSv1.3", "RFC 8446 section 4.4.2, as for the server"),
        Setting("client.ciphers", "high", "RFC 9325 section 4.2, as for the server"),
        Setting("client.exclude_ciphers", ["aNULL"], "RFC 9325 section 4.1, as for the server"),
        Setting("client.match", [], "Postfix's default for secure: the next hop's name and names below it"),
        Setting(
            "client.connection_reuse", True, "CPU per message: 78 % of plaintext's throughput with it, 53 % without"
        ),
    ),
)

PROFILES = {profile.name: profile for profile in (LENIENT_DEFAULT, TRUSTED_AGENTS_STRICT)}


def find_profile(name: Optional[str]) -> Optional[Profile]:
    """The profile called ``name``; ``None`` where no profile is asked for."""
    if name is None:
        return None
    if name not in PROFILES:
        raise InvalidValue("profile", name, "is not known", f"use one of {', '.join(PROFILES)}")
    return PROFILES[name]
