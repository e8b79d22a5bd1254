# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names for what no type checker can see through: what Ansible hands over and takes back, and what JSON holds.

``Any`` stands here and nowhere else. Inside, readers make dataclasses of it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

Options = Mapping[str, Any]
"""Options, or suboptions, which Ansible has checked against an argument_spec."""

Arguments = Dict[str, Any]
"""A module's argument_spec, or what an action plugin gives to a module."""

Result = Dict[str, Any]
"""Return values of a module."""

Facts = Mapping[str, Any]
"""Return values that come back: by hostvars, or from a file in JSON."""

Variables = Dict[str, Any]
"""What an action plugin is told of the inventory."""

Filters = Dict[str, Callable[..., object]]
"""What a filter plugin has, by name; Jinja passes on whatever a template says."""

End = Callable[..., None]
"""``exit_json`` and ``fail_json``, which take return values by name."""
