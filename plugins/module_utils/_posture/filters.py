# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where mail goes that no recipient's domain sends there: content filters (FILTER_README), the action FILTER of access tables
and header checks (access(5), header_checks(5)), and the proxy that smtpd(8) itself speaks to (SMTPD_PROXY_README).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, Iterable, Iterator, Mapping, Tuple

from .._postfix.state import split_list
from .configuration import Configuration
from .maps import INDEXES, is_a_file, path_of, split_maps

CONTENT_FILTER = "content_filter"
PROXY_FILTER = "smtpd_proxy_filter"
ACTION = "FILTER"
"""The first words of these ways' names."""
_CHECKS = ("header_checks", "mime_header_checks", "nested_header_checks", "body_checks", "milter_header_checks")
_RESTRICTIONS = re.compile(r"smtpd_\w+_restrictions\Z")
_ACTION = re.compile(r"\bFILTER[ \t]+([^\s,}]+)", re.IGNORECASE)


@lru_cache(maxsize=8)
def content_filters(configuration: Configuration) -> Mapping[str, str]:
    """By what a person finds it under: a transport, and a next hop or none. Tables are read once for a configuration."""
    found = {CONTENT_FILTER: configuration.parameter(CONTENT_FILTER)}
    for service in configuration.state.services:
        if CONTENT_FILTER in service.overrides:
            found[f"{CONTENT_FILTER} of {service.key}"] = service.overrides[CONTENT_FILTER]
    for text, parameter in _actions(configuration).items():
        found[f"{ACTION} {text} in {parameter}"] = text
    return {name: text for name, text in found.items() if text}


def proxy_filters(configuration: Configuration) -> Dict[str, str]:
    """By service: where smtpd(8) hands on what it receives, without TLS, before it takes it."""
    servers = [service for service in configuration.state.services if service.command == "smtpd"]
    found = {f"{PROXY_FILTER} of {s.key}": configuration.parameter(PROXY_FILTER, s) for s in servers}
    return {name: text for name, text in found.items() if text}


def _actions(configuration: Configuration) -> Dict[str, str]:
    """What the tables of checks say that can be read, each with the parameter that names the table."""
    found: Dict[str, str] = {}
    for parameter, maps in _checked(configuration):
        for item in split_maps(maps):
            for text in _ACTION.findall("\n".join(_texts(configuration, item))):
                found.setdefault(text, parameter)
    return found


def _checked(configuration: Configuration) -> Iterator[Tuple[str, str]]:
    """Each parameter of checks with its text, in main.cf and where a service says otherwise."""
    state = configuration.state
    classes = split_list(configuration.parameter("smtpd_restriction_classes"))
    for found in (state.explicit, *(service.overrides for service in state.services)):
        for name in found:
            if name in _CHECKS or name in classes or _RESTRICTIONS.match(name):
                yield name, found[name] if found is not state.explicit else configuration.parameter(name)


def _texts(configuration: Configuration, item: str) -> Iterable[str]:
    """The actions of a table; an indexed one is listed if the word stands in it at all. What stands in main.cf itself may be in a
    table that is made of others (DATABASE_README, pipemap, unionmap)."""
    path = path_of(item)
    if not is_a_file(item):
        inner = split_maps(path[1:-1] if path.startswith("{") else path)
        return [path, *(text for one in inner for text in _texts(configuration, one))]
    contents = [configuration.read(f"{path}{suffix}") or b"" for suffix in INDEXES]
    if not any(re.search(b"filter", content, re.IGNORECASE) for content in contents):
        return []
    return configuration.maps.entries(item).values() or [contents[0].decode("utf-8", "replace")]
