# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log as systemd's journal has it, and how far it was read."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Dict, Iterator, List, Union

from .. import _command
from .._postfix.state import State
from .._proof.log import by_postfix
from .instance import tags
from .lines import Event
from .log import BYTES

SECONDS = 20.0
"""In which one run reads; the next one goes on."""

Entry = Dict[str, Union[str, List[Union[int, str]], None]]
"""What journalctl(1) writes of one; a field that is no text comes as its octets, one that is there twice as a list."""


def _text_of(field: Union[str, List[Union[int, str]], None]) -> str:
    if isinstance(field, list):
        return bytes(n for n in field if isinstance(n, int)).decode("utf-8", "replace")
    return field or ""


def _read_entry(line: bytes) -> Entry:
    entry: Entry = json.loads(line)
    if not isinstance(entry, dict):
        raise ValueError("journalctl(1) writes something else than entries")
    return entry


class Journal:
    """systemd's journal."""

    def __init__(self, state: State, position: object = None) -> None:
        self.tags = tags(state)
        self.matches = by_postfix(state)  # others can log under any name
        self.position = position if isinstance(position, str) else self._end()

    def _end(self) -> str:
        return next((_text_of(entry["__CURSOR"]) for entry in self._entries("--lines=1")), "")

    def events(self) -> Iterator[Event]:
        options = [f"--identifier={tag}" for tag in self.tags] + self.matches
        left, end = BYTES, time.monotonic() + SECONDS
        for entry in self._entries(*([f"--after-cursor={self.position}"] if self.position else []), *options):
            text = _text_of(entry.get("MESSAGE"))
            self.position = _text_of(entry["__CURSOR"])
            process = _text_of(entry.get("SYSLOG_PID")) or _text_of(entry.get("_PID"))
            yield _text_of(entry.get("SYSLOG_IDENTIFIER")), process, text
            left -= len(text)
            if left < 0 or time.monotonic() > end:
                return

    @staticmethod
    def _entries(*options: str) -> Iterator[Entry]:
        fields = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID"
        argv = ["journalctl", "--quiet", "--no-pager", "--output=json", fields, *options]
        with contextlib.closing(_command.lines(argv)) as lines:
            yield from map(_read_entry, lines)
