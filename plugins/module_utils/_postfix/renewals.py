# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the last renewal of a certificate ended that another tool on the node brought: kept beside the hook's options."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Tuple

from .. import _files as files
from .._errors import HardeningError

_SUFFIX = ".last.json"
"""No name in the store holds a full stop."""


@dataclass(frozen=True)
class Last:
    """What became of the tool's files when they were looked at last."""

    pair: str
    """A digest of the key and the certificate that it is about."""
    time: str
    """UTC (RFC 3339)."""
    since: str
    """When it ended so for the first time."""
    problem: Optional[str] = None
    """Why the certificate is not in place; ``None`` where it is."""
    waits: bool = False
    """Whether it waits until Postfix runs."""
    warnings: Tuple[str, ...] = ()

    def as_facts(self) -> Dict[str, object]:
        """Return values: digests of keys are nobody's business."""
        return {"time": self.time, "since": self.since, "problem": self.problem, "warnings": list(self.warnings)}

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


def folder(store: str) -> str:
    return os.path.join(store, "renewal")


def last_path(here: str, name: str) -> str:
    return os.path.join(here, f"{name}{_SUFFIX}")


def read_last(path: str) -> Optional[Last]:
    """``None`` where there was none yet, or none that can be read."""
    try:
        found = json.loads(files.read(path))
        return Last(**{**found, "warnings": tuple(found["warnings"])})
    except (OSError, HardeningError, ValueError, KeyError, TypeError):
        return None


def failing(store: str) -> List[Tuple[str, Optional[Last]]]:
    """Each certificate that another tool renews, and its last renewal where that failed."""
    here = folder(store)
    names = [entry[: -len(_SUFFIX)] for entry in files.names(here) if entry.endswith(_SUFFIX)]
    found = [(name, read_last(last_path(here, name))) for name in names]
    return [(name, last if last and last.problem else None) for name, last in found]


def names(store: str) -> List[str]:
    """The certificates that have a hook."""
    entries = files.names(folder(store))
    return [entry[: -len(".json")] for entry in entries if entry.endswith(".json") and not entry.endswith(_SUFFIX)]
