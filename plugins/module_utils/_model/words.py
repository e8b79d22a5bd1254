# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks on words that a person writes and that end in main.cf, a table or a certificate."""

from __future__ import annotations

import re
from typing import Iterator

from .._errors import InvalidValue

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_CIPHER = re.compile(r"[A-Za-z0-9_+-]+\Z")
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}\Z")
_STORE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


def domain_name(option: str, value: object) -> str:
    """A DNS name in lower case (RFC 1123 labels; 253 octets at most, RFC 1035)."""
    text = str(value)
    if not text.isascii():
        raise InvalidValue(
            option, value, "is an internationalized name", "write its A-label, as in xn--mnchen-3ya.example"
        )
    name = text.lower()
    if len(name) > 253:
        raise InvalidValue(option, value, "is longer than 253 characters", "DNS has no such name (RFC 1035)")
    if not all(_LABEL.match(label) for label in name.split(".")):
        raise InvalidValue(
            option,
            value,
            "is not a domain name",
            "write labels of letters, digits and hyphens joined by dots, as in partner.example",
        )
    return name


def domains_above(name: str) -> Iterator[str]:
    """The domains above a name, the nearest first; C(.domain) is below its domain."""
    rest = name.lstrip(".")
    if rest != name:
        yield rest
    while "." in rest:
        rest = rest.partition(".")[2]
        yield rest


def domain_or_below(option: str, value: object) -> str:
    """A DNS name, or ``.domain`` for all names below it, as Postfix's tables and match lists take both."""
    text = str(value)
    return "." + domain_name(option, text[1:]) if text.startswith(".") else domain_name(option, text)


def certificate_name(option: str, value: object) -> str:
    """A DNS name, or one with C(*) as its whole first label (RFC 6125 section 6.4.3)."""
    text = str(value)
    return "*." + domain_name(option, text[2:]) if text.startswith("*.") else domain_name(option, text)


def absolute_path(option: str, value: object) -> str:
    """A path that main.cf can hold as it is: absolute, no blanks, no ``$``, no separators."""
    text = str(value)
    if not text.startswith("/"):
        raise InvalidValue(
            option, value, "is not an absolute path", "write the whole path on the node, as in /etc/ssl/fleet-ca.pem"
        )
    if re.search(r"[\s,$\x00-\x1f\x7f]", text):
        raise InvalidValue(
            option,
            value,
            "holds a blank, a comma, '$' or a control character",
            "Postfix would read something else; rename the file",
        )
    return text


def map_name(option: str, value: object) -> str:
    """A lookup table in Postfix's notation, C(type:name), that a list in main.cf can hold as it is (DATABASE_README)."""
    text = str(value)
    if not re.match(r"[a-z]+:[^\s,{}$\x00-\x1f\x7f]+\Z", text):
        raise InvalidValue(
            option, value, "is not a lookup table", "write type:name, as in socketmap:inet:127.0.0.1:8461:postfix"
        )
    return text


def cipher_name(option: str, value: object) -> str:
    """One name of an OpenSSL cipher or cipher family, as smtpd_tls_exclude_ciphers takes it."""
    text = str(value)
    if not _CIPHER.match(text):
        raise InvalidValue(
            option, value, "is not a cipher name", "use OpenSSL's names, one an item, as in aNULL or AES128-SHA"
        )
    return text


def fingerprint(option: str, value: object) -> str:
    """A SHA-256 fingerprint of a certificate or public key in Postfix's format, in upper case."""
    text = str(value).upper()
    if not _FINGERPRINT.match(text):
        raise InvalidValue(
            option,
            value,
            "is not a SHA-256 fingerprint",
            "write 32 hexadecimal pairs joined by colons, as posttls-finger prints them",
        )
    return text


def store_name(option: str, value: object) -> str:
    """The name of a certificate in the store; it becomes a folder's name."""
    text = str(value)
    if not _STORE_NAME.match(text):
        raise InvalidValue(
            option, value, "cannot name a certificate", "use up to 64 letters, digits, '-' and '_', as in default"
        )
    return text
