# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks tables that others keep, by Postfix's own client: many questions at a time, and not for long."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Sequence

from .._postfix.commands import Heard, Postfix, Question

DEADLINE = 30.0
"""Seconds for all questions together. What is not answered by then is not known."""
AT_ONCE = 16
"""Questions under way at the same time."""


def hear(postfix: Postfix, questions: Sequence[Question]) -> None:
    """Keep what is said, or that nothing is, for this run."""
    end = time.monotonic() + DEADLINE

    def ask(question: Question) -> Heard:
        left = end - time.monotonic()
        return postfix.ask_others(question, left) if left > 0 else Heard(False)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        postfix.heard.update(zip(questions, pool.map(ask, questions)))
