# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first look of the program on the node: whether there is a renewal that was not brought in yet.

A timer starts it twice a minute, so it reads the two files and nothing else where nothing is new. What they hold counts, and
not what the file system tells of them: so links, renames, other file systems and missed events make no difference.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from typing import List, Mapping, Tuple

from .. import _command
from .. import _files as files
from .._edge import Options
from .._errors import HardeningError
from .._given import read_given
from .._postfix.commands import Postfix
from .._postfix.renewals import last_path, read_last

Pair = Tuple[bytes, bytes]
"""The tool's key and certificate."""

PAUSE = 300.0
"""Seconds until what failed is tried again, or when Postfix runs again where it did not."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def main(argv: List[str]) -> int:
    """``renew.pyz NAME``: 0 where nothing is new; else what renewal.py does with it."""
    if len(argv) == 2 and not is_due(argv[0], argv[1]):
        return 0
    from .renewal import main as renew  # noqa: PLC0415 -- half a second of imports

    return renew(argv)


def is_due(program: str, name: str) -> bool:
    """Whether the tool's files are others than those that were looked at last, or it is time to try these again."""
    try:
        options = kept_options(program, name)
        last = read_last(last_of(program, name))
        if last is None or last.pair != digest(pair_at(options["external"])):
            return True
        if last.problem is None:
            return False
        return _is_over(last.time) or (last.waits and Postfix(_command.run, options["config_dir"]).is_running())
    except (OSError, HardeningError, ValueError, KeyError, TypeError):
        return True  # renewal.py says what is wrong


def last_of(program: str, name: str) -> str:
    """Where it is kept how the last renewal ended."""
    return last_path(os.path.dirname(os.path.abspath(program)), name)


def kept_options(program: str, name: str) -> Options:
    """What the task said that installed the certificate."""
    options: Options = json.loads(files.read(os.path.join(os.path.dirname(os.path.abspath(program)), f"{name}.json")))
    return options


def pair_at(external: Mapping[str, str]) -> Pair:
    """What the two files hold now; nothing where one cannot be read."""
    return _read(external["private_key"]), _read(external["certificate"])


def digest(pair: Pair) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in pair)).hexdigest()


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime(_TIME)


def _read(path: str) -> bytes:
    try:
        return read_given(path)
    except (OSError, HardeningError):
        return b""


def _is_over(time: str) -> bool:
    """Also where the clock was wrong then, and shows an earlier time now."""
    then = datetime.datetime.strptime(time, _TIME)
    return abs((datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - then).total_seconds()) > PAUSE
