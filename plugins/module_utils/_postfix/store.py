# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificate store on a node, and which of its chains Postfix uses.

Layout below the configuration directory, in ``smtp_hardening/``::

    certificates/NAME/3.pem       key and chain, or two of them; a new number for each new content, so that
                                  the old main.cf keeps naming the old content until it is swapped
    certificates/NAME/next.key    the key of a certificate that is not signed, or not announced, yet;
    certificates/NAME/next.csr    and the request for it
    trust/2.pem                   the CAs that peers' certificates are verified with
    trust_with_system/2.pem       the same, and those of the operating system
    sni/4/, pins/1/, domains/7/   the tables for host names, for peers' public keys, of all domain policies
    secrets/2/                    tables with passwords for other servers
    renewal/                      what brings certificates in that another tool renews
    history/, transaction/        what the transaction room keeps there
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from .. import _files as files
from .. import _given
from .._certificates.chain import (
    Chain,
    Chains,
    Located,
    build_chain,
    certificates_by_key,
    read_certificates,
    read_chain_file,
    read_chain_files,
)
from .._certificates.keys import read_any_key
from .._errors import CertificateError, HardeningError, InvalidValue, present
from .levels import Parameters
from .state import STORE, State, split_list

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate

USES = ("server", "client")
TABLES = ("domains", "sni", "pins", "secrets")
"""Numbered folders of tables."""
_SIDE = {"server": "smtpd", "client": "smtp"}
_LEGACY_PAIRS = (("cert_file", "key_file"), ("eccert_file", "eckey_file"), ("dcert_file", "dkey_file"))
_LEGACY = tuple(name for pair in _LEGACY_PAIRS for name in pair)


TRUST, TRUST_WITH_SYSTEM = "trust", "trust_with_system"


def trust_file(state: State, kind: str = TRUST) -> str:
    """The newest trust file; where there is none yet, where it will be."""
    found = generations(os.path.join(state.store, kind), ".pem")
    return found[-1][1] if found else next_trust_file(state, kind)


def next_trust_file(state: State, kind: str = TRUST) -> str:
    return next_path(os.path.join(state.store, kind), ".pem")


def trust_kind(state: State, path: str) -> Optional[str]:
    """Which of the store's trust files ``path`` is, of whatever number; ``None`` where it is none."""
    folder, kind = os.path.split(os.path.dirname(path))
    return kind if folder == state.store and kind in (TRUST, TRUST_WITH_SYSTEM) else None


def certificates_dir(state: State) -> str:
    return os.path.join(state.store, "certificates")


def next_key(state: State, name: str) -> str:
    return os.path.join(certificates_dir(state), name, "next.key")


def next_request(state: State, name: str) -> str:
    return os.path.join(certificates_dir(state), name, "next.csr")


def names(state: State) -> List[str]:
    """The certificates in the store, those that only wait for a signature among them."""
    entries = files.names(certificates_dir(state))
    return [name for name in entries if current(state, name) or files.exists(next_key(state, name))]


def current(state: State, name: str) -> Optional[str]:
    """The newest chain file of a stored certificate."""
    found = generations(os.path.join(certificates_dir(state), name), ".pem")
    return found[-1][1] if found else None


def stored_chains(state: State, name: str) -> Chains:
    """What the store holds under ``name``."""
    path = present(current(state, name))
    return read_chain_file(path, read(path))


def name_of(path: str) -> str:
    """Under which name the store holds a chain file."""
    return os.path.basename(os.path.dirname(path))


def stored_name(state: State, path: str) -> Optional[str]:
    """The same of a file that may lie elsewhere."""
    return name_of(path) if path.startswith(certificates_dir(state) + os.sep) else None


def next_path(folder: str, suffix: str = "") -> str:
    """Where new content goes, beside all that is there."""
    number = max((number for number, _path in generations(folder, suffix)), default=0) + 1
    return os.path.join(folder, f"{number}{suffix}")


def generations(folder: str, suffix: str = "") -> List[Tuple[int, str]]:
    """The numbered entries of a folder, in the order of their numbers."""
    found = ((re.match(rf"(\d+){re.escape(suffix)}\Z", entry), entry) for entry in files.names(folder))
    return sorted((int(match[1]), os.path.join(folder, entry)) for match, entry in found if match)


def named(config_dir: str, content: bytes) -> List[str]:
    """The numbered files and folders of the store that a main.cf or master.cf names, and the chain files that such
    a table for host names was made from."""
    here = re.escape(os.path.join(config_dir, STORE))
    found = re.findall(
        rf"{here}/(?:certificates/[\w-]+|trust|trust_with_system)/\d+\.pem|{here}/(?:{'|'.join(TABLES)})/\d+",
        content.decode("utf-8", "replace"),
    )
    tables = [os.path.join(path, "table") for path in set(found) if os.path.basename(os.path.dirname(path)) == "sni"]
    for table in filter(files.exists, tables):
        found += named(config_dir, read(table))
    return sorted(set(found))


def unnamed(config_dir: str, contents: Sequence[bytes]) -> List[str]:
    """What none of these states names. The newest of each certificate and of the trust files stays:
    it may be made active later."""
    here = os.path.join(config_dir, STORE)
    kept = {path for content in contents for path in named(config_dir, content)}
    folders = [os.path.join(here, kind) for kind in (TRUST, TRUST_WITH_SYSTEM)]
    certificates = os.path.join(here, "certificates")
    folders += [os.path.join(certificates, name) for name in files.names(certificates)]
    older = [path for folder in folders for _number, path in generations(folder, ".pem")[:-1]]
    older += [path for kind in TABLES for _number, path in generations(os.path.join(here, kind))]
    return [path for path in older if path not in kept]


@dataclass(frozen=True)
class Source:
    """Files that Postfix reads as one: chain files, in which each key stands before its chain, in a file of its own or not; or
    the two files of a legacy pair, of certificates and of their key."""

    paths: Tuple[str, ...]
    legacy: bool = False

    @property
    def certificate_paths(self) -> Tuple[str, ...]:
        """Where certificates may stand: not in the file of a legacy key."""
        return self.paths[:1] if self.legacy else self.paths

    def chains(self) -> Tuple[Located[Chain], ...]:
        """Each chain with the file of its leaf; a sentence where one cannot be used."""
        pems = [(path, read(path)) for path in self.paths]
        if not self.legacy:
            return read_chain_files(pems)
        (path, pem), (key_path, key_pem) = pems[0], pems[-1]
        return ((path, build_chain(path, read_any_key(key_path, key_pem), read_certificates(path, pem))),)

    def certificates(self) -> Tuple[Located[Tuple[Certificate, ...]], ...]:
        """The certificates of each chain with the file of the first; keys are not read."""
        return certificates_by_key([(path, read(path)) for path in self.certificate_paths])


def active_sources(state: State, use: str) -> List[Source]:
    """The chain files that main.cf names; where it names none, the legacy pairs."""
    side = _SIDE[use]
    chain_files = split_list(state.effective.get(f"{side}_tls_chain_files", ""))
    if chain_files:
        return [Source(chain_files)]
    named = (
        (state.effective.get(f"{side}_tls_{c}", ""), state.effective.get(f"{side}_tls_{k}", ""))
        for c, k in _LEGACY_PAIRS
    )
    return [Source((path, key_path or path), legacy=True) for path, key_path in named if path and path != "none"]


def active_paths(state: State, use: str) -> Tuple[str, ...]:
    """The files of all active sources, those of legacy keys left out."""
    return tuple(path for source in active_sources(state, use) for path in source.certificate_paths)


def active_chains(state: State, use: str) -> Tuple[Located[Chain], ...]:
    """Each active chain with the file it stands in; a sentence where one cannot be used."""
    return tuple(found for source in active_sources(state, use) for found in source.chains())


def active_certificates(state: State, use: str) -> Tuple[Located[Tuple[Certificate, ...]], ...]:
    """The certificates of each active chain, with the file of the first; keys are not read."""
    return tuple(found for source in active_sources(state, use) for found in source.certificates())


def own_client_pem(state: State) -> Optional[bytes]:
    """That with which this node shows who it is when it sends, key included; nothing in it where it cannot be read."""
    source = next(iter(active_sources(state, "client")), None)
    if source is None:
        return None
    try:
        return b"\n".join(read(path) for path in dict.fromkeys(source.paths))
    except HardeningError:
        return b""


def activation(state: State, use: str, path: str) -> Parameters:
    """main.cf that makes ``path`` the one active chain file.

    Postfix ignores the legacy parameters beside it with a warning, so they go (postconf(5)).
    """
    side = _SIDE[use]
    wanted: Parameters = {f"{side}_tls_chain_files": path}
    wanted.update((f"{side}_tls_{name}", None) for name in _LEGACY)
    return wanted


def deactivation(use: str) -> Parameters:
    """main.cf that shows no certificate on one side."""
    return {f"{_SIDE[use]}_tls_{name}": None for name in ("chain_files", *_LEGACY)}


def foreign_paths(state: State, use: str) -> Tuple[str, ...]:
    """The active files on one side that are none of the store's."""
    return tuple(path for path in active_paths(state, use) if stored_name(state, path) is None)


def certificate_parameters(name: str) -> Tuple[str, ...]:
    """All parameters that say with which certificates a side is shown, if this is one of them: they go together."""
    for side in _SIDE.values():
        names = tuple(f"{side}_tls_{one}" for one in ("chain_files", *_LEGACY))
        if name in names:
            return names
    return ()


def uses_of(state: State, name: str) -> Dict[str, bool]:
    """For which side the stored certificate ``name`` is active."""
    folder = os.path.join(certificates_dir(state), name) + os.sep
    return {use: any(path.startswith(folder) for path in active_paths(state, use)) for use in USES}


def active_in_store(state: State, use: str, name: str) -> Optional[str]:
    """The file of the stored certificate ``name``, of whatever number, that is active for one side."""
    return next((path for path in active_paths(state, use) if stored_name(state, path) == name), None)


def read_given(option: str, path: str) -> bytes:
    """A file that an option names."""
    try:
        return _given.read_given(path)
    except OSError as problem:
        raise InvalidValue(option, path, f"cannot be read ({problem.strerror})", "put the file there first") from None


def read(path: str) -> bytes:
    try:
        return _given.read_given(path)
    except OSError as problem:
        raise CertificateError(
            f"{path}: cannot be read ({problem.strerror}); Postfix is told to use it, so put it back or make another certificate active."
        ) from None
