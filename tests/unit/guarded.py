# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans before the ratchet, as every module puts them there."""

from __future__ import annotations

import datetime
from unittest import mock

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import read_allowance
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.sources import Unheard
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.sources import hear
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import ratchet


def guarded(node, plan, allow_weaker=False, *, said=(), today=None):
    """What the ratchet says of a plan that changes something; it raises where protection would fall.

    ``said`` is what the task asks for by name, ``today`` the day of the records.
    """
    if not plan.changed:
        return None
    now = datetime.datetime.now(datetime.timezone.utc)
    day = now if today is None else now.replace(year=today.year, month=today.month, day=today.day)
    postfix, allowance = node.postfix, read_allowance(allow_weaker, frozenset(said))
    with mock.patch.object(ratchet, "utc_now", lambda: day):
        try:
            return ratchet.check(postfix, node.state, plan, allowance)
        except Unheard as lacking:
            hear(postfix, lacking.questions)
            return ratchet.check(postfix, node.state, plan, allowance)


def remedy(names):
    """How a refusal ends that names these items."""
    return f"set allow_weaker: true if that is meant, or allow_weaker: [{names}] for that alone."
