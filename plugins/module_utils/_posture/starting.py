# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a client can speak TLS at all. Where something that it needs is broken, Postfix logs C(disabling TLS support) and goes
on without, which at C(may) means plaintext (tls_client_init in tls_client.c). ``postfix check`` says nothing of it.
"""

from __future__ import annotations

import hashlib
from typing import Iterator, Mapping

from .._postfix.state import split_list
from .configuration import Configuration
from .trust import holds_nothing


def can_start(configuration: Configuration, found: Mapping[str, str], side: str) -> bool:
    """Whether all is there that TLS needs from its start."""
    return not any(_lacking(configuration, found, side))


def _lacking(configuration: Configuration, found: Mapping[str, str], side: str) -> Iterator[bool]:
    authorities = found.get(f"{side}_tls_CAfile", "")
    yield bool(authorities) and (configuration.lacks(authorities) or holds_nothing(configuration, authorities))
    yield from map(configuration.lacks, _own(found, side))
    settings = found.get("tls_config_file", "")
    yield settings.startswith("/") and configuration.lacks(settings)
    digest = found.get(f"{side}_tls_fingerprint_digest", "")
    yield bool(digest) and not is_digest(digest)
    yield not _is_served(configuration, found.get("tlsmgr_service_name") or "tlsmgr")


def is_digest(name: str) -> bool:
    """Whether OpenSSL knows it, under any of its names."""
    try:
        return bool(hashlib.new(name).name)
    except ValueError:
        return False


def _own(found: Mapping[str, str], side: str) -> Iterator[str]:
    """The files of its own certificates: chains in the place of all others (postconf(5), smtp_tls_chain_files)."""
    chains = split_list(found.get(f"{side}_tls_chain_files", ""))
    pairs = (found.get(f"{side}_tls_{kind}_file", "") for kind in ("cert", "dcert", "eccert"))
    return (path for path in chains or pairs if path)


def _is_served(configuration: Configuration, name: str) -> bool:
    """Whether master(8) starts a service of this host (postconf(5), master_service_disable)."""
    disabled = split_list(configuration.parameter("master_service_disable"))
    kept = {f"{name}.{kind}" for kind in ("unix", "fifo")}.isdisjoint(disabled)
    return kept and configuration.state.service(name, "unix") is not None
