# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What certificate is wanted, where it comes from and for what it is used."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Callable, Collection, Dict, Iterable, Optional, Tuple

from .._certificates import tlsa
from .._certificates.issue import CertificateSpec
from .._certificates.keys import KeySpec
from .._edge import Options
from .._errors import InvalidValue
from . import words
from .trust import NOTHING, TrustWish, read_trust

MADE_HERE = ("self_signed", "csr", "own_ca")
"""Providers whose key the node makes."""

PROVIDERS = (*MADE_HERE, "pem", "pkcs12", "external", "stored")
"""Each but the last has a suboption of its own name."""

USES = ("server", "client")
PEM_MARK = "-----BEGIN "
DEFAULT_KEY = {"self_signed": "rsa", "csr": "ecdsa", "own_ca": "ecdsa"}
DEFAULT_DAYS = {"self_signed": 3650, "own_ca": 90}
"""A Default Cert proves nothing that would age; what a CA vouches for is renewed each quarter."""

ReadFile = Callable[[str, str], bytes]
"""``read_file(option, path)``: the content of a file on the node."""


@dataclass(frozen=True)
class Material:
    """What exists already: contents, not paths."""

    private_key: bytes
    certificate: bytes
    passphrase: Optional[str]


@dataclass(frozen=True)
class Archive:
    """A PKCS#12 archive."""

    data: bytes
    passphrase: Optional[str]


@dataclass(frozen=True)
class External:
    """Where another tool on the node keeps a certificate that it renews."""

    tool: str
    private_key: str
    certificate: str


@dataclass(frozen=True)
class CertificateWish:
    """The options of one task."""

    name: str
    provider: str
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
    keys: Tuple[KeySpec, ...] = ()
    spec: Optional[CertificateSpec] = None
    ca_certificates: Optional[bytes] = None
    """The fleet's CA, the issuing certificate first."""
    next_ca_certificates: Optional[bytes] = None
    """The CA that will follow: what it has issued already stays."""
    signed: Optional[bytes] = None
    """What a CA signed: on the second call of C(own_ca), on the second run of C(csr)."""
    material: Optional[Material] = None
    archive: Optional[Archive] = None
    external: Optional[External] = None
    trust: TrustWish = NOTHING


def read_wish(options: Options, host: str, read_file: ReadFile) -> CertificateWish:
    """The options of one task. ``host`` is whom a certificate names where no names are given."""
    provider = options["provider"]
    given = {name: value for name, value in (options.get(provider) or {}).items() if value is not None}
    use, withdraw = tuple(options["use"]), tuple(options["withdraw"])
    if set(use) & set(withdraw):
        raise InvalidValue(
            "withdraw", list(withdraw), "is listed in use as well", "decide whether the certificate is to be active"
        )
    wish = CertificateWish(
        name=words.store_name("name", options["name"]),
        provider=provider,
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
    wish = _READERS.get(provider, _read_nothing)(wish, given, host, read_file)
    return replace(wish, trust=read_trust(options["trust"] or {}, given if provider == "own_ca" else {}))


def read_names(option: str, given: Optional[Collection[object]], host: str) -> Tuple[str, ...]:
    """The DNS names of a certificate, the host's own where none are given."""
    if given is not None and not given:
        raise InvalidValue(
            option, [], "names nobody", "leave the option out for the host's own name, or list one name at least"
        )
    return tuple(words.certificate_name(option, name) for name in given or (host,))


def read_spec(provider: str, given: Options, host: str) -> Tuple[Tuple[KeySpec, ...], CertificateSpec]:
    """Keys and names of a certificate whose key is made on the node."""
    days = given.get("days", DEFAULT_DAYS.get(provider, 1))
    if not 0 < days <= 36500:
        raise InvalidValue(f"{provider}.days", days, "is no lifetime", "use 1 to 36500 days")
    keys = KeySpec.read(provider, {"key_type": DEFAULT_KEY[provider], **given})
    return keys, CertificateSpec(read_names(f"{provider}.names", given.get("names"), host), days)


def check_renewal(provider: str, days: int, renew_before: int) -> None:
    """A certificate that lives no longer than C(renew_before) would be renewed by every run."""
    if renew_before >= days:
        raise InvalidValue(
            "renew_before",
            renew_before,
            f"is not shorter than {provider}.days, {days}",
            "choose fewer days, or a longer-lived certificate",
        )


def _read_sni(given: Optional[Iterable[object]]) -> Optional[Tuple[str, ...]]:
    return None if given is None else tuple(words.domain_or_below("sni", name) for name in given)


def _read_nothing(wish: CertificateWish, _given: Options, _host: str, _read_file: ReadFile) -> CertificateWish:
    return wish


def _read_made_here(wish: CertificateWish, given: Options, host: str, read_file: ReadFile) -> CertificateWish:
    provider = wish.provider
    keys, spec = read_spec(provider, given, host)
    if provider in DEFAULT_DAYS:
        check_renewal(provider, spec.days, wish.renew_before)
    signed = given.get("certificate")
    return replace(
        wish, keys=keys, spec=spec, signed=_content(f"{provider}.certificate", signed, read_file) if signed else None
    )


def _read_own_ca(wish: CertificateWish, given: Options, host: str, read_file: ReadFile) -> CertificateWish:
    if PEM_MARK not in given.get("ca_certificate", ""):
        raise InvalidValue(
            "own_ca.ca_certificate",
            given.get("ca_certificate"),
            "is no certificate in PEM",
            "give the fleet's CA as a path on the controller or as content",
        )
    wish = _read_made_here(wish, given, host, read_file)
    following = (given.get("next_ca") or {}).get("ca_certificate")
    return replace(
        wish,
        ca_certificates=given["ca_certificate"].encode(),
        next_ca_certificates=following.encode() if following else None,
    )


def _read_pem(wish: CertificateWish, given: Options, _host: str, read_file: ReadFile) -> CertificateWish:
    key = _content("pem.private_key", given["private_key"], read_file, secret=True)
    certificate = _content("pem.certificate", given["certificate"], read_file)
    return replace(wish, material=Material(key, certificate, given.get("passphrase")))


def _read_external(wish: CertificateWish, given: Options, _host: str, read_file: ReadFile) -> CertificateWish:
    key, certificate = (words.absolute_path(f"external.{name}", given[name]) for name in ("private_key", "certificate"))
    material = Material(read_file("external.private_key", key), read_file("external.certificate", certificate), None)
    return replace(wish, material=material, external=External(given["tool"], key, certificate))


def _read_pkcs12(wish: CertificateWish, given: Options, _host: str, read_file: ReadFile) -> CertificateWish:
    text = given["archive"]
    if text.startswith("/"):
        data = read_file("pkcs12.archive", words.absolute_path("pkcs12.archive", text))
    else:
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidValue(
                "pkcs12.archive",
                text,
                "is neither an absolute path on the node nor Base64",
                "give a path, or the content through the filter b64encode",
            ) from None
    return replace(wish, archive=Archive(data, given.get("passphrase")))


def _content(option: str, value: str, read_file: ReadFile, secret: bool = False) -> bytes:
    """PEM as it is, or the file of that name on the node."""
    if PEM_MARK in value:
        return value.encode()
    if secret and not value.startswith("/"):
        raise InvalidValue(option, value, "is neither PEM nor an absolute path on the node", "give one of the two")
    return read_file(option, words.absolute_path(option, value))


_READERS: Dict[str, Callable[[CertificateWish, Options, str, ReadFile], CertificateWish]] = {
    "self_signed": _read_made_here,
    "csr": _read_made_here,
    "own_ca": _read_own_ca,
    "pem": _read_pem,
    "pkcs12": _read_pkcs12,
    "external": _read_external,
}
