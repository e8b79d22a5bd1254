# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose certificates a side believes: the CAs of its files, each by its digest, and folders as a whole."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from binascii import Error
from typing import Iterator, Mapping, Optional

from .._postfix.state import split_list
from .._postfix.values import is_yes
from .configuration import Configuration
from .protections import AtMost

_PEM = re.compile(rb"-----BEGIN (?:(?:TRUSTED |X509 )?CERTIFICATE|PUBLIC KEY)-----(.+?)-----END", re.S)
"""Trust anchors may be public keys too (postconf(5), smtp_tls_trust_anchor_file)."""


def trusted(configuration: Configuration, found: Mapping[str, str], side: str, anchors: Optional[str] = None) -> AtMost:
    """Trust anchors of a policy or of main.cf take the place of the CAs (postconf(5), smtp_tls_trust_anchor_file)."""
    files = split_list(found.get(f"{side}_tls_trust_anchor_file", "") if anchors is None else anchors)
    if not files:
        return AtMost(frozenset(_authorities(configuration, found, side)))
    return AtMost(frozenset(name for path in files for name in _in_file(configuration, path)))


def _authorities(configuration: Configuration, found: Mapping[str, str], side: str) -> Iterator[str]:
    """The system's are appended where there is anything to append them to (tls_set_ca_certificate_info in tls_certkey.c)."""
    path = found.get(f"{side}_tls_CAfile", "")
    if path:
        yield from _in_file(configuration, path)
    folder = found.get(f"{side}_tls_CApath", "")
    if folder:
        yield f"folder {folder}"
    if (path or folder) and is_yes(found.get("tls_append_default_CA", "no")):
        yield "the system's CAs (tls_append_default_CA)"


def holds_nothing(configuration: Configuration, path: str) -> bool:
    """Whether a file that can be read has no CA in it; then TLS does not start at all."""
    return configuration.read(path) is not None and next(_in_file(configuration, path), None) is None


def _in_file(configuration: Configuration, path: str) -> Iterator[str]:
    """Nobody, where the file is none: then nobody is believed."""
    for body in (found[1] for found in _PEM.finditer(configuration.read(path) or b"")):
        try:
            yield f"CA {hashlib.sha256(b64decode(body)).hexdigest()[:16]}"
        except Error:
            continue
