# SPDX-License-Identifier: GPL-3.0-or-later
"""What a version of Postfix cannot do."""

import functools
import re

from on_node import sh


@functools.lru_cache(maxsize=1)
def version():
    """Of Postfix on the nodes."""
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", sh("node1", "postconf -h mail_version")).groups()))


def why_not(job):
    """Why it cannot be tried here; nothing where it can."""
    since = job.get("since")
    if since and version() < since:
        return f"Postfix has it since {since[0]}.{since[1]}, and this is {version()[0]}.{version()[1]}"
    return ""
