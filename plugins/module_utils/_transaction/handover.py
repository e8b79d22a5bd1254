# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets mail that is on its way arrive before the client's certificates change beneath it.

With connection reuse, smtp(8) leaves TLS to tlsproxy(8) and names the files that it was started
with itself. A tlsproxy that was started after a reload has other files, cannot load these any
more (it has left root's privileges and may be in a chroot), and the message is deferred with
"Cannot start TLS". smtp(8) reads main.cf whenever it starts, also between the swap and the
reload, so neither order of the two is safe. Therefore no process speaks through tlsproxy meanwhile:

1. the old configuration without reuse; processes that began with reuse end after the delivery at hand;
2. the new configuration without reuse; each tlsproxy that has the old files ends, or leaves its socket to
   others while it goes on with the sessions that it has;
3. the new configuration.

Which processes must end is looked at between the swap and the reload: one that starts later has read the
new main.cf.
"""

from __future__ import annotations

import time
from typing import List, Mapping

from .._postfix.processes import daemons

REUSE = "smtp_tls_connection_reuse"
_FILES = tuple(
    f"smtp_tls_{name}" for name in "chain_files CAfile CApath cert_file key_file eccert_file eckey_file".split()
)

PATIENCE = 30.0
"""Seconds to wait for deliveries that are under way; one that takes longer may be deferred once."""


def is_needed(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether deliveries may be under way that would miss the files they began with."""
    return before.get(REUSE) == "yes" and any(before.get(name) != after.get(name) for name in _FILES)


def wait_for_end(pids: List[int], master: int, name: str) -> None:
    """Wait until these have ended, which they do after the work at hand once Postfix has been reloaded."""
    deadline = time.monotonic() + PATIENCE
    while set(pids) & set(daemons(master, name)) and time.monotonic() < deadline:
        time.sleep(0.05)
