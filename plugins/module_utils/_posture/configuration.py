# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A configuration to be judged: live, staged or remembered, with the files that it names or is about to."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Iterator, Mapping, Optional, Tuple

from .. import _given
from .._errors import HardeningError
from .._model.domains import DomainPolicy
from .._postfix.domain_tables import all_tables, render
from .._postfix.incoming import read_unlisted
from .._postfix.records import RECORDS, current_folder, parse_records
from .._postfix.state import Service, State
from .maps import Maps, split_words


@dataclass(frozen=True, eq=False)
class Configuration:
    """Parameters and services, its tables, and what is planned to lie in files that are not there yet.

    Like none but itself, so that what is found out about it once can be kept (functools.lru_cache).
    """

    state: State
    maps: Maps
    planned: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    without_records: bool = False
    """Whether only its tables are looked at, because nobody can read the records that they were made from."""

    def read(self, path: str) -> Optional[bytes]:
        """A file that the configuration names; ``None`` where it cannot be read."""
        if path in self.planned:
            return self.planned[path]
        try:
            return _given.read_given(path)
        except (OSError, HardeningError):
            return None

    def lacks(self, path: str) -> bool:
        """Whether a file that the configuration names is not there; one that may not be read here is Postfix's all the same."""
        return path not in self.planned and not _given.exists(path)

    def parameter(self, name: str, service: Optional[Service] = None) -> str:
        """What holds, for a service of master.cf with its overrides."""
        return self.state.value(name, service)

    def patterns(self, text: str) -> Iterator[str]:
        """Each pattern of a list; ``!`` before a file goes for all in it (match_list_parse in match_list.c)."""
        for item in split_words(text):
            path = item.lstrip("!")
            if path.startswith("/"):
                content = self.read(path)
                lines = content.decode("utf-8", "replace").split("\n") if content else []
                inner = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
                yield from (item[: len(item) - len(path)] + word for word in self.patterns(inner))
            else:
                yield item

    def routed(self, name: str) -> str:
        """What holds for the daemon that chooses transports and next hops (trivial-rewrite(8))."""
        return self._routed.get(name, "")

    @cached_property
    def _routed(self) -> Mapping[str, str]:
        return self.state.found(self.state.service(self.parameter("rewrite_service_name") or "rewrite", "unix"))

    def renewed(self, today: datetime.date) -> Configuration:
        """The same with the domain tables as the next run makes them, where records have expired since they were made."""
        records, folder = self.records(), current_folder(self.state)
        if folder is None or not any(record.has_expired(today) for record in records):
            return self
        in_force = [record.in_force(today) for record in records]
        tables = all_tables(self.state, in_force, read_unlisted(self.state))
        made = {os.path.join(folder, name): render(table) for name, table in tables.items()}
        planned = {**self.planned, **made}
        return Configuration(self.state, self.maps.beside(planned), planned)

    def records(self) -> Tuple[DomainPolicy, ...]:
        """The domain records that its tables were made from, whatever their mode and expiry."""
        folder = current_folder(self.state)
        if folder is None or self.without_records:
            return ()
        path = os.path.join(folder, RECORDS)
        return parse_records(path, self.read(path))
