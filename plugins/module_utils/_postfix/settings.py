# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From other parameters, entries of master.cf and secrets to a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Tuple

from .._model.entries import EntryWish
from .._model.settings import Settings
from .entries import entry_changes
from .helpers import check_removal
from .plan import Plan, plan_parameters
from .secrets import secret_changes
from .shared_lists import beside_ours
from .state import State
from .tables import Table


@dataclass(frozen=True)
class SettingsWish:
    """What a task asks."""

    settings: Settings
    entries: Tuple[EntryWish, ...] = ()
    secrets: Mapping[str, Table] = field(default_factory=dict)

    @property
    def passwords(self) -> Table:
        """By next hop; those of senders are among them, which are no next hops."""
        return dict(self.secrets.get("smtp_sasl_password_maps", {}))


def plan_settings(state: State, wish: SettingsWish) -> Plan:
    """Compare ``wish`` with ``state``; nothing is written."""
    known = {name: value for name, value in wish.settings.where_known.items() if name in state.defaults}
    entries = entry_changes(state, wish.entries)
    check_removal(state, entries.gone)
    secrets = secret_changes(state, wish.secrets)
    return plan_parameters(
        state,
        {**beside_ours(state, {**wish.settings.parameters, **known}), **secrets.parameters},
        services=entries.services,
        gone=entries.gone,
        overrides=entries.overrides,
        files=secrets.files,
        shown=secrets.shown,
    )
