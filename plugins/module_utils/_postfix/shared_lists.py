# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lists in main.cf that an operator and this collection share: ours stands first, whoever sets the rest."""

from __future__ import annotations

from . import incoming, trust
from .levels import Parameters
from .state import State


def beside_ours(state: State, wanted: Parameters) -> Parameters:
    """``wanted`` with what this collection demands of clients and senders kept in the lists that it sets or takes out."""
    kept = {
        incoming.RESTRICTIONS: incoming.ours(state, incoming.RESTRICTIONS),
        incoming.CLASSES: incoming.ours(state, incoming.CLASSES),
        trust.RESTRICTIONS: trust.ours(state),
    }
    return {
        name: ", ".join(filter(None, [kept[name], value])) if kept.get(name) else value
        for name, value in wanted.items()
    }
