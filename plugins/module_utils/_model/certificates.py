# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What certificate is wanted, where it comes from and for what it is used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Optional, Tuple

from .._certificates.issue import CertificateSpec
from .._certificates.keys import KeySpec
from .._errors import InvalidValue
from . import words

PROVIDERS = ("self_signed", "own_ca", "pem")
PEM_MARK = "-----BEGIN "
DEFAULT_KEY = {"self_signed": {"key_type": "rsa"}, "own_ca": {"key_type": "ecdsa"}}
DEFAULT_DAYS = {"self_signed": 3650, "own_ca": 90}
"""A Default Cert proves nothing that would age; what a CA vouches for is renewed each quarter."""


@dataclass(frozen=True)
class Material:
    """What the provider ``pem`` is given: contents, not paths."""

    private_key: bytes
    certificate: bytes
    passphrase: Optional[str]


@dataclass(frozen=True)
class CertificateWish:
    """The options of one task."""

    name: str
    provider: str
    use: Tuple[str, ...]
    renew_before: int
    key: Optional[KeySpec] = None
    spec: Optional[CertificateSpec] = None
    ca_certificate: Optional[bytes] = None
    signed: Optional[bytes] = None
    """What the controller signed, on the second call of C(own_ca)."""
    material: Optional[Material] = None


def read_names(option: str, given: Optional[Any], host: str) -> Tuple[str, ...]:
    """The DNS names of a certificate, the host's own where none are given."""
    if given is not None and not given:
        raise InvalidValue(
            option, [], "names nobody", "leave the option out for the host's own name, or list one name at least"
        )
    return tuple(words.domain_name(option, name) for name in given or (host,))


def read_spec(provider: str, given: Mapping[str, Any], host: str) -> Tuple[KeySpec, CertificateSpec]:
    """Key and names of a certificate that is made on the node."""
    days = given.get("days", DEFAULT_DAYS[provider])
    if not 0 < days <= 36500:
        raise InvalidValue(f"{provider}.days", days, "is no lifetime", "use 1 to 36500 days")
    return KeySpec.read(provider, given), CertificateSpec(
        read_names(f"{provider}.names", given.get("names"), host), days
    )


def check_renewal(provider: str, days: int, renew_before: int) -> None:
    """A certificate that lives no longer than C(renew_before) would be renewed by every run."""
    if renew_before >= days:
        raise InvalidValue(
            "renew_before",
            renew_before,
            f"is not shorter than {provider}.days, {days}",
            "choose fewer days, or a longer-lived certificate",
        )


def read_wish(options: Mapping[str, Any], host: str, read_file: Callable[[str], bytes]) -> CertificateWish:
    """The options of one task. ``host`` is whom a certificate names where no names are given."""
    provider = options["provider"]
    given = {name: value for name, value in (options[provider] or {}).items() if value is not None}
    wish = CertificateWish(
        name=words.store_name("name", options["name"]),
        provider=provider,
        use=tuple(options["use"]),
        renew_before=options["renew_before"],
    )
    if provider == "pem":
        return replace(wish, material=_read_material(given, read_file))
    key, spec = read_spec(provider, {**DEFAULT_KEY[provider], **given}, host)
    check_renewal(provider, spec.days, wish.renew_before)
    wish = replace(wish, key=key, spec=spec)
    if provider == "self_signed":
        return wish
    if PEM_MARK not in given.get("ca_certificate", ""):
        raise InvalidValue(
            "own_ca.ca_certificate",
            given.get("ca_certificate"),
            "is no certificate in PEM",
            "give the fleet's CA as a path on the controller or as content",
        )
    signed = given.get("certificate")
    return replace(wish, ca_certificate=given["ca_certificate"].encode(), signed=signed.encode() if signed else None)


def _read_material(given: Mapping[str, Any], read_file: Callable[[str], bytes]) -> Material:
    def content(option: str) -> bytes:
        value = given[option]
        return value.encode() if PEM_MARK in value else read_file(words.absolute_path(f"pem.{option}", value))

    return Material(content("private_key"), content("certificate"), given.get("passphrase"))
