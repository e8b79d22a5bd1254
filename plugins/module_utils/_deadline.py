# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An end to everything that could last: a command that hangs, a peer that sends an octet a second."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional

from ._errors import HardeningError


class DeadlinePassed(HardeningError):
    """Something has not ended in its time."""


class _Ring(BaseException):
    """The bell of one ``within``, which passes whatever handles errors on the way there."""


_AGAIN = 5.0
"""Seconds after which the bell rings once more, for what lasts on the way out."""


@contextmanager
def within(seconds: float, sentence: str) -> Iterator[None]:
    """Raise ``DeadlinePassed`` with this sentence where what is done inside takes longer, whatever it waits for.

    May be nested: the nearest end counts. Signals reach the main thread alone, which all modules work in (signal(3)).
    """
    began = time.monotonic()
    outer = signal.getitimer(signal.ITIMER_REAL)[0]
    if threading.current_thread() is not threading.main_thread() or 0 < outer <= seconds:
        yield
        return
    bell, done = _Ring(), False

    def ring(_number: int, _frame: Optional[FrameType]) -> None:
        if not done:
            raise bell

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    except _Ring as rung:
        if rung is not bell:
            raise
        raise DeadlinePassed(sentence) from None
    finally:
        done = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - began), 0.001), _AGAIN)
