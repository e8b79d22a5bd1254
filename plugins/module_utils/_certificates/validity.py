# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a certificate is valid, as aware times in UTC, whatever the version of cryptography."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from .kinds import Certificate


def not_before(certificate: Certificate) -> datetime.datetime:
    return _utc(certificate, "not_valid_before")


def not_after(certificate: Certificate) -> datetime.datetime:
    return _utc(certificate, "not_valid_after")


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _utc(certificate: Certificate, attribute: str) -> datetime.datetime:
    """cryptography 42 brought the aware attributes and deprecated the naive ones."""
    aware: Optional[datetime.datetime] = getattr(certificate, attribute + "_utc", None)
    if aware is not None:
        return aware
    naive: datetime.datetime = getattr(certificate, attribute)
    return naive.replace(tzinfo=datetime.timezone.utc)
