# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""smtp_settings on the controller: the node's history keeps the task's name."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._named_task import ActionModule

__all__ = ["ActionModule"]
