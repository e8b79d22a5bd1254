# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of single services of master.cf, where they differ from the rest: pure data, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterable, Optional, Sequence, Tuple

from .._edge import Options
from .._errors import InvalidValue
from .levels import ClientCertificates, ClientLevel, Protocol
from .options import read_options, switch, word

TYPES = ("inet", "unix", "fifo", "pass", "unix-dgram")
"""master(5)."""


@dataclass(frozen=True)
class ServicePolicy:
    """One service. ``None`` means: not asked for, left alone."""

    name: str
    """``name/type``, as postconf -M takes it."""
    level: Optional[ClientLevel] = field(default=None, metadata=word(ClientLevel))
    """A server knows the first three levels only."""
    client_certificates: Optional[ClientCertificates] = field(default=None, metadata=word(ClientCertificates))
    minimum_protocol: Optional[Protocol] = field(default=None, metadata=word(Protocol))
    wrapper_mode: Optional[bool] = field(default=None, metadata=switch())


def read_services(items: Optional[Iterable[Options]]) -> Tuple[ServicePolicy, ...]:
    """The option ``services`` of a task."""
    read = tuple(_service(index, item) for index, item in enumerate(items or ()))
    check_listed_once([service.name for service in read])
    return read


def check_listed_once(names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidValue("services", twice[0], "is listed twice", "keep one entry per service")


def _service(index: int, item: Options) -> ServicePolicy:
    name = read_service_name(f"services[{index}].name", item["name"])
    asked = read_options(ServicePolicy, f"services[{name}]", item)
    if not asked:
        raise InvalidValue(
            "services",
            name,
            "says nothing about the service",
            "give it a level, client_certificates, a protocol or a mode",
        )
    return ServicePolicy(name, **asked)


def read_service_name(option: str, value: object) -> str:
    """``submission`` is ``submission/inet``."""
    text = str(value)
    name = text if text.rpartition("/")[2] in TYPES else f"{text}/inet"
    if not re.match(r"[A-Za-z0-9_.:\[\]-]+/[a-z-]+\Z", name):
        raise InvalidValue(
            option, value, "is no service", "write name/type as in the first two columns of master.cf (master(5))"
        )
    return name
