# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificate store on a node, and which of its chains Postfix uses.

Layout below the configuration directory, in ``smtp_hardening/``::

    certificates/NAME/3.pem       key and chain; a new number for each new content, so that the
                                  old main.cf keeps naming the old content until it is swapped
    certificates/NAME/pending.key the key of a certificate that is being signed elsewhere
    trust/2.pem                   the CAs that peers' certificates are verified with
    domains/7/                    the tables of all domain policies
    history/, transaction/        what the transaction room keeps there
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._certificates.chain import Chain, build_chain, read_certificates, read_chain_file
from .._certificates.keys import read_key
from .._errors import CertificateError, present
from .levels import Parameters
from .state import STORE, State, split_list

USES = ("server", "client")
_SIDE = {"server": "smtpd", "client": "smtp"}
_LEGACY = ("cert_file", "key_file", "eccert_file", "eckey_file", "dcert_file", "dkey_file")
_LEGACY_PAIRS = (("cert_file", "key_file"), ("eccert_file", "eckey_file"))


def trust_file(state: State) -> str:
    """The newest trust file; where there is none yet, where it will be."""
    found = generations(_trust_dir(state), ".pem")
    return found[-1][1] if found else next_trust_file(state)


def next_trust_file(state: State) -> str:
    return next_path(_trust_dir(state), ".pem")


def is_trust_file(state: State, path: str) -> bool:
    """Whether ``path`` is one of the store's trust files, of whatever number."""
    return os.path.dirname(path) == _trust_dir(state)


def _trust_dir(state: State) -> str:
    return os.path.join(state.store, "trust")


def certificates_dir(state: State) -> str:
    return os.path.join(state.store, "certificates")


def pending_key(state: State, name: str) -> str:
    return os.path.join(certificates_dir(state), name, "pending.key")


def names(state: State) -> List[str]:
    """The certificates in the store."""
    try:
        entries = sorted(os.listdir(certificates_dir(state)))
    except FileNotFoundError:
        return []
    return [name for name in entries if current(state, name)]


def current(state: State, name: str) -> Optional[str]:
    """The newest chain file of a stored certificate."""
    found = generations(os.path.join(certificates_dir(state), name), ".pem")
    return found[-1][1] if found else None


def stored_chain(state: State, name: str) -> Chain:
    """The key and chain that the store holds under ``name``."""
    path = present(current(state, name))
    return read_chain_file(path, read(path))


def next_path(folder: str, suffix: str = "") -> str:
    """Where new content goes, beside all that is there."""
    number = max((number for number, _path in generations(folder, suffix)), default=0) + 1
    return os.path.join(folder, f"{number}{suffix}")


def generations(folder: str, suffix: str = "") -> List[Tuple[int, str]]:
    """The numbered entries of a folder, in the order of their numbers."""
    try:
        entries = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = ((re.match(rf"(\d+){re.escape(suffix)}\Z", entry), entry) for entry in entries)
    return sorted((int(match[1]), os.path.join(folder, entry)) for match, entry in found if match)


def named(config_dir: str, content: bytes) -> List[str]:
    """The numbered files and folders of the store that a main.cf or master.cf names."""
    here = re.escape(os.path.join(config_dir, STORE))
    found = re.findall(
        rf"{here}/(?:certificates/[\w-]+|trust)/\d+\.pem|{here}/domains/\d+", content.decode("utf-8", "replace")
    )
    return sorted(set(found))


def unnamed(config_dir: str, contents: Sequence[bytes]) -> List[str]:
    """What none of these states names. The newest of each certificate and of the trust files stays:
    it may be made active later."""
    here = os.path.join(config_dir, STORE)
    kept = {path for content in contents for path in named(config_dir, content)}
    folders = [os.path.join(here, "trust")]
    if os.path.isdir(os.path.join(here, "certificates")):
        folders += [entry.path for entry in os.scandir(os.path.join(here, "certificates"))]
    older = [path for folder in folders for _number, path in generations(folder, ".pem")[:-1]]
    older += [path for _number, path in generations(os.path.join(here, "domains"))]
    return [path for path in older if path not in kept]


def active_paths(state: State, use: str) -> Tuple[str, ...]:
    """The chain files that main.cf names; where it names none, the legacy certificate files."""
    return tuple(path for path, _key_path in _active_files(state, use))


def active_chains(state: State, use: str) -> Tuple[Tuple[str, Chain], ...]:
    """Each active chain with the file it stands in; a sentence where one cannot be used."""
    return tuple((path, _read_active(path, key_path)) for path, key_path in _active_files(state, use))


def active_certificates(state: State, use: str) -> Tuple[Tuple[Any, ...], ...]:
    """The certificates of each active chain, leaf first; keys are not read."""
    return tuple(read_certificates(path, read(path)) for path in active_paths(state, use))


def own_client_chain(state: State) -> Optional[str]:
    """The file with which this node shows who it is when it sends, key included."""
    return next(iter(active_paths(state, "client")), None)


def _active_files(state: State, use: str) -> List[Tuple[str, Optional[str]]]:
    """(certificate file, key file); no key file where the key stands before its chain."""
    side = _SIDE[use]
    chain_files = split_list(state.effective.get(f"{side}_tls_chain_files", ""))
    if chain_files:
        return [(path, None) for path in chain_files]
    named = (
        (state.effective.get(f"{side}_tls_{c}", ""), state.effective.get(f"{side}_tls_{k}", ""))
        for c, k in _LEGACY_PAIRS
    )
    return [(path, key_path or path) for path, key_path in named if path and path != "none"]


def _read_active(path: str, key_path: Optional[str]) -> Chain:
    if key_path is None:
        return read_chain_file(path, read(path))
    return build_chain(path, read_key(key_path, read(key_path)), read_certificates(path, read(path)))


def activation(state: State, use: str, path: str) -> Parameters:
    """main.cf that makes ``path`` the one active chain file.

    Postfix ignores the legacy parameters beside it with a warning, so they go (postconf(5)).
    """
    side = _SIDE[use]
    wanted: Parameters = {f"{side}_tls_chain_files": path}
    wanted.update((f"{side}_tls_{name}", None) for name in _LEGACY)
    return wanted


def uses_of(state: State, name: str) -> Dict[str, bool]:
    """For which side the stored certificate ``name`` is active."""
    folder = os.path.join(certificates_dir(state), name) + os.sep
    return {use: any(path.startswith(folder) for path in active_paths(state, use)) for use in USES}


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError as problem:
        raise CertificateError(
            f"{path}: cannot be read ({problem.strerror}); Postfix is told to use it, so put it back or make another certificate active."
        ) from None
