# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception family that crosses the rooms; modules turn it into a failed task."""

from __future__ import annotations

import os
import traceback
from typing import Iterable, Optional, Tuple, TypeVar

from ._secrecy import tellable, without_keys

T = TypeVar("T")


class HardeningError(Exception):
    """Something a person must know, in one sentence that ends with what to do."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(without_keys(message))
        self.facts = facts
        """Return values that help to understand the failure, never secrets."""


class InvalidValue(HardeningError):
    """An option holds a value that cannot be meant: nothing was written. The value is repeated unless it may be a secret."""

    def __init__(self, option: str, value: object, problem: str, remedy: str) -> None:
        super().__init__(f"{option}: {tellable(option, value)!r} {problem}; {remedy}.")
        self.option = option


class CertificateError(HardeningError):
    """A key, certificate or chain is unusable for what was asked."""


class PostfixError(HardeningError):
    """Postfix or one of its commands does not answer as it must."""


Shortcoming = Tuple[str, str]
"""A service of master.cf, and what is wrong with it."""


class ProofFailed(HardeningError):
    """The wire shows something else than what was asked; the old state is back."""

    def __init__(self, message: str, shortcomings: Iterable[Shortcoming] = (), **facts: object) -> None:
        super().__init__(message, **facts)
        self.shortcomings = frozenset(shortcomings)
        """Of listeners, where they were looked at."""


def unforeseen(problem: Exception) -> str:
    """Of what nobody foresaw, the kind and the place: what it quotes may be a secret."""
    place = traceback.extract_tb(problem.__traceback__)[-1]
    return f"{type(problem).__name__} in {os.path.basename(place.filename)}, line {place.lineno}"


def present(value: Optional[T]) -> T:
    """``value``, where the code before has made sure that there is one."""
    if value is None:
        raise AssertionError("a value that was checked before is missing")
    return value
