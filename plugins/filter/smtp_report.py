# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of harden as data."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Filters
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._report import report


class FilterModule:
    """Filters of this collection."""

    def filters(self) -> Filters:
        return {"smtp_report": report}
