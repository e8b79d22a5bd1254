# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node's half of a signature by a CA that lies on the controller."""

from __future__ import annotations

from typing import Any, Dict

from ._certificates.issue import request
from ._certificates.keys import make_key, write_key
from ._errors import present
from ._model.certificates import CertificateWish
from ._postfix.state import State
from ._postfix.store import pending_key
from ._transaction.change import keep_pending_key


def begin_request(state: State, wish: CertificateWish) -> Dict[str, Any]:
    """Make a key, keep it on this node, and return what the controller needs to sign for it."""
    key, spec = make_key(present(wish.key)), present(wish.spec)
    keep_pending_key(state, pending_key(state, wish.name), write_key(key))
    return {"csr": request(spec.names, key).decode(), "names": list(spec.names), "days": spec.days}
