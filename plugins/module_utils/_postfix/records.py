# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The domain records on a node, which lie beside the tables that were made from them."""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from typing import Optional, Tuple

from .._errors import CertificateError, HardeningError, PostfixError
from .._model.domains import DomainPolicy, read_domain
from . import incoming, store
from .domain_tables import TABLES, ours
from .state import State

RECORDS = "records.json"


def current_folder(state: State) -> Optional[str]:
    """The numbered folder of domain tables that main.cf names."""
    for parameter in (*TABLES.values(), incoming.RESTRICTIONS):
        found = re.search(ours(state), state.explicit.get(parameter, ""))
        if found:
            return os.path.dirname(found["path"])
    return None


@lru_cache(maxsize=4)
def parse_records(path: str, content: Optional[bytes]) -> Tuple[DomainPolicy, ...]:
    """The records in a file of ours."""
    try:
        if content is None:
            raise ValueError
        return tuple(read_domain(f"{path}[{index}]", item) for index, item in enumerate(json.loads(content)))
    except (HardeningError, ValueError, KeyError, TypeError, AttributeError):
        raise _unreadable(path) from None


def _unreadable(path: str) -> PostfixError:
    return PostfixError(
        f"{path} cannot be read, so nobody knows any more what the domain tables beside it were made from. List all domains "
        "with exclusive: true and allow_weaker: true (smtp_domain_policy), or bring an earlier state back "
        "(smtp_rollback with allow_weaker: true)."
    )


def read_records(folder: Optional[str]) -> Tuple[DomainPolicy, ...]:
    """The records that the tables in ``folder`` were made from."""
    if folder is None:
        return ()
    path = os.path.join(folder, RECORDS)
    try:
        return parse_records(path, store.read(path))
    except CertificateError:
        raise _unreadable(path) from None
