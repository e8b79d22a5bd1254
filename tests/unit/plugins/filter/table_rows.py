# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of tables for people share."""

from __future__ import annotations


def rows(text):
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
