# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node's half of a signature by a CA that lies elsewhere."""

from __future__ import annotations

from .._certificates.keys import write_key
from .._model.certificates import CertificateWish
from .._postfix.state import State
from .._postfix.store import next_key, next_request
from .._postfix.supply import Next
from .._transaction.change import keep_for_later


def keep(state: State, wish: CertificateWish, found: Next) -> bool:
    """Keep keys and request on this node until the certificate can be used; whether they were new."""
    keys = b"".join(write_key(key) for key in found.keys)
    new = [
        keep_for_later(state, next_key(state, wish.name), keys),
        keep_for_later(state, next_request(state, wish.name), found.request),
    ]
    return any(new)
