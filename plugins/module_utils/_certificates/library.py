# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether python3-cryptography is there; a module says which package is missing where it is not."""

from __future__ import annotations

import importlib
import traceback
from typing import Optional

MISSING: Optional[str] = None
"""The import's traceback where the library is missing."""

try:
    importlib.import_module("cryptography")
except ImportError:  # pragma: no cover
    MISSING = traceback.format_exc()
