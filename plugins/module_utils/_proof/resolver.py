# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the resolver that Postfix asks validates DNSSEC: without that, there is no DANE (RFC 7672 section 2.1)."""

from __future__ import annotations

import os
from datetime import date
from typing import List, Optional

from .._edge import Arguments, Options
from .._errors import HardeningError
from .._postfix.levels import DANE
from .._postfix.records import current_folder, read_records
from .._postfix.services import is_client
from .._postfix.state import State, split_list
from .._postfix.values import client_level
from . import validator
from .validator import Names

DNSSEC_ARGUMENTS: Arguments = {
    "type": "dict",
    "options": {name: {"type": "str", "default": default} for name, default in Names()._asdict().items()},
}


def lost(state: State, names: Names, today: date) -> Optional[str]:
    """Why DANE, where it is in force on this node, does not protect it any more; elsewhere, which resolver of its own is silent."""
    if _uses_dane(state, today):
        return _unmet(state, names)
    silent = next(filter(None, map(validator.why_silent, map(_resolv_conf, [_chroot(state), "/"]))), None)
    return (
        f"Mail waits, or is slow, for {silent}; start that resolver, or name another in resolv.conf."
        if silent
        else None
    )


def unmet(state: State, given: Optional[Options]) -> Optional[str]:
    """Why DANE would hold mail back, or protect nothing, on this node; ``given`` is the option ``dnssec_test``."""
    return _unmet(state, Names(**given) if given else Names())


def _unmet(state: State, names: Names) -> Optional[str]:
    try:
        _check(state, names)
    except HardeningError as problem:
        return str(problem)
    return None


def _check(state: State, names: Names) -> None:
    lookup = state.effective["smtp_host_lookup"]
    if "dns" not in split_list(lookup):
        raise _refusal(f"smtp_host_lookup = {lookup} asks no DNS")
    reason = validator.why_not(_resolvers(state), names)
    if reason:
        raise _refusal(reason)


def _uses_dane(state: State, today: date) -> bool:
    """Whether a client or a record demands DANE. What a source of policies answers, that source knows."""
    clients = [service for service in state.services if is_client(service) and service.command == "smtp"]
    levels = [client_level(state.found(service), "smtp") for service in (None, *clients)]
    return bool({*levels, *(record.in_force(today).level for record in read_records(current_folder(state)))} & {*DANE})


def _resolvers(state: State) -> List[str]:
    """Those that Postfix's client uses: in a chroot, those of the copy there."""
    chroot = _chroot(state)
    inside, outside = (_nameservers(root) for root in (chroot, "/"))
    if inside != outside:
        raise _refusal(
            f"Postfix's copy of resolv.conf in {chroot} names {', '.join(inside) or 'no resolver'} and the system "
            f"{', '.join(outside) or 'none'}; restart Postfix to renew the copy"
        )
    return inside


def _chroot(state: State) -> str:
    """Where Postfix's client has its root."""
    smtp = state.service("smtp", "unix")
    chroot = state.effective["queue_directory"] if smtp and smtp.chroot in ("y", "-") else "/"
    if smtp and smtp.chroot == "-" and state.version >= (3, 0) and state.effective["compatibility_level"] != "0":
        return "/"
    return chroot


def _resolv_conf(root: str) -> str:
    return os.path.join(root, validator.RESOLV_CONF.lstrip("/"))


def _nameservers(root: str) -> List[str]:
    path = _resolv_conf(root)
    try:
        return validator.of_host(path)
    except OSError as problem:
        raise _refusal(f"{path} cannot be read ({problem.strerror})") from None


def _refusal(reason: str) -> HardeningError:
    return HardeningError(
        f"Level dane needs a resolver on loopback that validates DNSSEC, and {reason}. Install one (role relay: "
        "relay_resolver: unbound), or name other names to ask in dnssec_test."
    )
