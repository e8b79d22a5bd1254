# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom this node trusts: the store's trust files, and pinned public keys of peers."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Collection, Dict, Iterable, List, Optional, Tuple

from .. import _files
from .._certificates.chain import certificates_pem, is_issued_by, read_certificates, readable_certificates
from .._certificates.shown import name_text
from .._errors import CertificateError, InvalidValue
from .._model.levels import ClientCertificates, ClientLevel
from .._model.trust import TrustWish
from . import store
from .levels import Parameters, read_client, read_server
from .plan import NewFile, Shown
from .state import State, without

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the CAs they trust, one file each: Debian, Red Hat, SUSE, BSD."""

RESTRICTIONS = "smtpd_client_restrictions"
PEERS = "smtp_tls_fingerprint_cert_match"
_DIGESTS = ("smtpd_tls_fingerprint_digest", "smtp_tls_fingerprint_digest")
"""MD5 unless compatibility_level says otherwise (postconf(5)): no pin would match."""

_CA_FILE = {"server": "smtpd_tls_CAfile", "client": "smtp_tls_CAfile"}


@dataclass(frozen=True)
class TrustPlan:
    ca_file: str
    """The trust file that is, or will be, the newest."""
    parameters: Parameters = field(default_factory=dict)
    files: Tuple[NewFile, ...] = ()
    shown: Tuple[Shown, ...] = ()


def plan_trust(state: State, wish: TrustWish, accepted: Collection[str]) -> TrustPlan:
    """Compare the wish with the store. Whoever trusts the store's CAs trusts the new ones, from the swap on."""
    before = _known_or_nothing(state) if wish.authorities else known(state)
    after = _distinct(_read(wish.authorities)) if wish.authorities else before
    if wish.system and not after:
        raise InvalidValue(
            "trust.system", list(wish.system), "has no other CA beside it", "list the fleet's CA in trust.authorities"
        )
    if "distrusted_issuer" not in accepted:
        _check_nobody_is_left_behind(state, before, after)
    files, shown = [], []
    paths: Dict[str, str] = {}
    for kind, content in _contents(state, wish, after).items():
        path = paths[kind] = store.trust_file(state, kind)
        old = store.read(path) if _files.exists(path) else b""
        if content != old:
            paths[kind] = store.next_trust_file(state, kind)
            files.append(NewFile(paths[kind], content))
            shown.append(Shown(f"CAs in {os.path.dirname(path)}", _subjects(old), _subjects(content)))
    pinned = _plan_pins(state, wish)
    return TrustPlan(
        ca_file=paths.get(store.TRUST) or store.trust_file(state),
        parameters={**_ca_files(state, wish, paths), **pinned.parameters},
        files=(*files, *pinned.files),
        shown=(*shown, *pinned.shown),
    )


def known(state: State) -> Tuple[Certificate, ...]:
    """The CAs in the store's newest trust file, those of the system left out."""
    path = store.trust_file(state)
    return read_certificates(path, store.read(path)) if _files.exists(path) else ()


def _known_or_nothing(state: State) -> Tuple[Certificate, ...]:
    """What a broken file held need not be known where another takes its place."""
    try:
        return known(state)
    except CertificateError:
        return ()


def known_to_system() -> Tuple[Certificate, ...]:
    """The CAs that the operating system trusts, as far as they can be read; none where it keeps no such file."""
    path = next(filter(_files.exists, SYSTEM_BUNDLES), None)
    return readable_certificates(store.read(path)) if path else ()


def kind_for(state: State, side: str) -> str:
    """Which of the store's trust files one side is to use: the one it has, else the fleet's CAs alone."""
    return store.trust_kind(state, state.explicit.get(_CA_FILE[side], "")) or store.TRUST


def _read(contents: Iterable[bytes]) -> List[Certificate]:
    return [found for content in contents for found in read_certificates("trust.authorities", content)]


def _distinct(certificates: Iterable[Certificate]) -> Tuple[Certificate, ...]:
    return tuple(dict.fromkeys(certificates))


def _contents(state: State, wish: TrustWish, authorities: Tuple[Certificate, ...]) -> Dict[str, bytes]:
    """What each trust file that somebody needs is to hold."""
    if wish.authorities is None and wish.system is None:
        return {}
    contents = {store.TRUST: certificates_pem(authorities)} if wish.authorities else {}
    if store.TRUST_WITH_SYSTEM in _kinds(state, wish).values():
        system = known_to_system()
        if not system:
            raise InvalidValue(
                "trust.system", list(wish.system or ()), "finds no CAs of the system", "install ca-certificates"
            )
        contents[store.TRUST_WITH_SYSTEM] = certificates_pem(_distinct([*authorities, *system]))
    return contents


def _kinds(state: State, wish: TrustWish) -> Dict[str, Optional[str]]:
    """Which of the store's trust files each side is to use; ``None`` for a file that is not the store's."""
    kinds: Dict[str, Optional[str]] = {}
    for side, parameter in _CA_FILE.items():
        kinds[side] = store.trust_kind(state, state.explicit.get(parameter, ""))
        if wish.system is not None and side in wish.system:
            kinds[side] = store.TRUST_WITH_SYSTEM
        elif wish.system is not None and kinds[side]:
            kinds[side] = store.TRUST
    return kinds


def _ca_files(state: State, wish: TrustWish, paths: Dict[str, str]) -> Parameters:
    """The parameters that name the trust files which this task has brought or chosen."""
    if wish.authorities is None and wish.system is None:
        return {}
    return {
        _CA_FILE[side]: paths.get(kind) or store.trust_file(state, kind)
        for side, kind in _kinds(state, wish).items()
        if kind
    }


def _check_nobody_is_left_behind(state: State, before: Tuple[Certificate, ...], after: Tuple[Certificate, ...]) -> None:
    """While peers are verified, the CA that issued our own certificate issued our neighbours' as well."""
    lost = [ca for ca in before if ca not in after]
    if not lost or not _verifies(state):
        return
    for use in store.USES:
        for path, chain in store.active_chains(state, use):
            issuer = next((ca for ca in lost if any(is_issued_by(c, ca) for c in chain.certificates)), None)
            if issuer is not None:
                raise CertificateError(
                    f"trust: {name_text(issuer.subject)} would not be trusted any more, and it issued {path}, which is active: "
                    "neighbours with certificates of the same CA would be refused. Let all nodes trust both CAs first "
                    "(own_ca.next_ca, trust.authorities, or the playbook rotate_certificates), or accept: [distrusted_issuer]."
                )


def _verifies(state: State) -> bool:
    return (
        read_client(state.effective).level in (ClientLevel.SECURE, ClientLevel.VERIFY)
        or read_server(state.effective).client_certificates is ClientCertificates.REQUIRE
    )


def _plan_pins(state: State, wish: TrustWish) -> TrustPlan:
    """Postfix looks at no revocation list: where peers are pinned, a key that is not listed gets no mail in.

    The table answers DUNNO for each pin, so that all other restrictions still count, and
    refuses every other key. It is asked for the public key alone (check_ccert_access, postconf(5)).
    """
    if wish.pins is None:
        return TrustPlan("")
    before = pins(state)
    others = without(state.explicit.get(RESTRICTIONS, ""), _ours(state))
    peers: Parameters = {}
    if wish.pins:
        peers = {PEERS: " ".join(wish.pins), **dict.fromkeys(_DIGESTS, "sha256")}
    elif state.explicit.get(PEERS) == " ".join(before):
        peers = {PEERS: None}
    named = re.search(_ours(state), state.explicit.get(RESTRICTIONS, ""))
    if before == wish.pins and bool(named) == bool(wish.pins):
        return TrustPlan("", peers if wish.pins else {})
    shown = (Shown("pinned public keys of peers", _lines(before), _lines(wish.pins)),)
    if not wish.pins:
        return TrustPlan("", {**peers, RESTRICTIONS: others or None}, (), shown)
    table = os.path.join(store.next_path(os.path.join(state.store, "pins")), "table")
    ours = f"check_ccert_access {{ regexp:{table}, {{ search_order = pubkey_fingerprint }} }}"
    value = ", ".join(part for part in (ours, others) if part)
    return TrustPlan("", {**peers, RESTRICTIONS: value}, (NewFile(table, _render(wish.pins)),), shown)


def pins(state: State) -> Tuple[str, ...]:
    """The public keys of peers that are pinned."""
    found = re.search(_ours(state), state.explicit.get(RESTRICTIONS, ""))
    if not found or not _files.exists(found["path"]):
        return ()
    return tuple(re.findall(r"^/\^([0-9A-F:]+)\$/ DUNNO$", store.read(found["path"]).decode(), re.M))


def ours(state: State) -> str:
    """Our part of smtpd_client_restrictions."""
    found = re.search(_ours(state), state.explicit.get(RESTRICTIONS, ""))
    return found.group() if found else ""


def _render(wanted: Iterable[str]) -> bytes:
    head = "# Made by mailfleet.smtp_hardening.smtp_tls_cert; changes made here are undone by its next run.\n"
    rows = "".join(f"/^{pin}$/ DUNNO\n" for pin in wanted)
    return f"{head}{rows}/^/ 554 5.7.1 The public key of your certificate is not pinned here\n".encode()


def _ours(state: State) -> str:
    folder = re.escape(os.path.join(state.store, "pins"))
    return rf"check_ccert_access \{{ regexp:(?P<path>{folder}/\d+/table), \{{ search_order = pubkey_fingerprint \}} \}}"


def _subjects(pem: bytes) -> str:
    """The CAs by name; those of the system are only counted."""
    if not pem:
        return ""
    found, system = read_certificates("trust", pem), set(known_to_system())
    own = "".join(f"{name_text(ca.subject)} {ca.serial_number:X}\n" for ca in found if ca not in system)
    count = sum(ca in system for ca in found)
    return own + (f"{count} of the system\n" if count else "")


def _lines(items: Iterable[str]) -> str:
    return "".join(f"{item}\n" for item in items)
