# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bytes that are mostly UTF-8 as text, and back without a loss: what Postfix is told need not be UTF-8 (PEP 383)."""

from __future__ import annotations


def to_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
