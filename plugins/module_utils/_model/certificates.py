# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of a certificate, wherever it comes from, and for what it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Optional, Tuple

from .._certificates import tlsa
from .._edge import Options
from .._errors import InvalidValue
from . import words
from .trust import NOTHING, TrustWish

USES = ("server", "client")
PEM_MARK = "-----BEGIN "

ReadFile = Callable[[str, str], bytes]
"""``read_file(option, path)``: the content of a file on the node."""


@dataclass(frozen=True)
class Reading:
    """What a provider needs beside its own options to read them."""

    host: str
    """Whom a certificate names where no names are given."""
    renew_before: int
    """Days. A certificate that has fewer left is made anew."""
    read_file: ReadFile

    def content(self, option: str, value: str, secret: bool = False) -> bytes:
        """PEM as it is, or the file of that name on the node. What is neither is an ``InvalidValue``.

        Of a ``secret`` that error does not say that a path was meant: it may be a key whose first line is missing.
        """
        if PEM_MARK in value:
            return value.encode()
        if secret and not value.startswith("/"):
            raise InvalidValue(option, value, "is neither PEM nor an absolute path on the node", "give one of the two")
        return self.read_file(option, words.absolute_path(option, value))


@dataclass(frozen=True)
class CertificateWish:
    """The options of one task but those of the provider."""

    name: str
    use: Tuple[str, ...] = ()
    withdraw: Tuple[str, ...] = ()
    sni: Optional[Tuple[str, ...]] = None
    """Host names for which clients are shown this certificate (RFC 6066); C(None) leaves them as they are."""
    renew_before: int = 30
    renew_now: bool = False
    renew_key: bool = True
    accept: Tuple[str, ...] = ()
    send_root: bool = False
    published_tlsa: Tuple[tlsa.Record, ...] = ()
    trust: TrustWish = NOTHING


def read_wish(options: Options) -> CertificateWish:
    """The options of one task but the provider's own and C(trust), which a provider may add to.

    What cannot be meant is an ``InvalidValue``.
    """
    use, withdraw = tuple(options["use"]), tuple(options["withdraw"])
    if set(use) & set(withdraw):
        raise InvalidValue(
            "withdraw", list(withdraw), "is listed in use as well", "decide whether the certificate is to be active"
        )
    return CertificateWish(
        name=words.store_name("name", options["name"]),
        use=use,
        withdraw=withdraw,
        sni=_read_sni(options["sni"]),
        renew_before=options["renew_before"],
        renew_now=options["renew_now"],
        renew_key=options["renew_key"] == "replace",
        accept=tuple(options["accept"]),
        send_root=options["send_root"],
        published_tlsa=tuple(
            tlsa.read_record(f"published_tlsa[{i}]", record) for i, record in enumerate(options["published_tlsa"])
        ),
    )


def _read_sni(given: Optional[Iterable[object]]) -> Optional[Tuple[str, ...]]:
    return None if given is None else tuple(words.domain_or_below("sni", name) for name in given)
