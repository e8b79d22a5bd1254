# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a task asks of one certificate to a plan for the store and main.cf."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

from .._certificates import fitness
from .._certificates.chain import (
    Chain,
    build_chain,
    is_issued_by,
    order,
    read_certificates,
    read_chain,
    read_chain_file,
)
from .._certificates.describe import describe, dns_names, not_after, utc_now
from .._certificates.issue import self_sign
from .._certificates.keys import make_key, read_key
from .._errors import CertificateError, present
from .._model.certificates import CertificateWish
from . import store
from .levels import Parameters
from .plan import NewFile, Plan, Shown, plan_parameters
from .state import State


@dataclass(frozen=True)
class CertificatePlan:
    """The plan, with what it means for the certificate."""

    plan: Plan
    path: str
    """The chain file that is, or will be, current."""
    chain: Optional[Chain]
    """``None`` where it is not made yet: in check mode, or until the controller has signed."""
    reason: Optional[str]
    """Why a new certificate is needed; ``None`` where the stored one stays."""
    ca_file: str
    """The trust file that is, or will be, the newest."""
    awaits_signature: bool = False


def plan_certificate(state: State, wish: CertificateWish, check_mode: bool) -> CertificatePlan:
    """Compare ``wish`` with the store. Makes keys in memory at most; writes nothing."""
    stored, reason = _stored(state, wish)
    folder = os.path.join(store.certificates_dir(state), wish.name)
    path = store.current(state, wish.name)
    chain = stored
    if reason is not None:
        path = store.next_path(folder, ".pem")
        chain = None if check_mode else _provide(state, wish)
    path = present(path)
    awaits = reason is not None and wish.provider == "own_ca" and wish.signed is None
    trust = _trust(state, wish)
    files = ((trust,) if trust else ()) + ((NewFile(path, chain.to_pem(), 0o600),) if reason and chain else ())
    wanted = _move_trust(state, trust)
    for use in wish.use:
        wanted.update(store.activation(state, use, path))
    plan = plan_parameters(
        state,
        {} if awaits else wanted,
        files=files,
        obsolete=(store.pending_key(state, wish.name),) if chain and reason else (),
        shown=_shown(wish, stored, chain, reason) + _shown_trust(state, trust),
    )
    return CertificatePlan(plan, path, chain, reason, trust.path if trust else store.trust_file(state), awaits)


def report(state: State, wish: CertificateWish, planned: CertificatePlan) -> Dict[str, Any]:
    """The return values that speak of the certificate itself."""
    uses = store.uses_of(state, wish.name)
    certificate = planned.chain and describe(planned.chain.certificates, utc_now())
    return {
        "certificate": certificate,
        "chain_file": planned.path,
        "reason": planned.reason,
        "active": {use: uses[use] or use in wish.use for use in store.USES},
        "ca_file": planned.ca_file,
    }


def _stored(state: State, wish: CertificateWish) -> Tuple[Optional[Chain], Optional[str]]:
    """What the store holds under the name, and why that will not do."""
    path = store.current(state, wish.name)
    if path is None:
        return None, "no certificate of this name is stored"
    try:
        chain = read_chain_file(path, store.read(path))
    except CertificateError as problem:
        return None, str(problem)
    return chain, _PROVIDER_REASONS[wish.provider](chain, wish) or _age(chain, wish)


def _age(chain: Chain, wish: CertificateWish) -> Optional[str]:
    left = (not_after(chain.leaf) - utc_now()).days
    if wish.provider != "pem" and left < wish.renew_before:
        return f"the stored certificate has {left} days left, fewer than renew_before"
    return None


def _made_here_reason(chain: Chain, wish: CertificateWish) -> Optional[str]:
    if not present(wish.key).fits(chain.leaf.public_key()):
        return "the stored certificate has another kind of key"
    if tuple(dns_names(chain.leaf)) != present(wish.spec).names:
        return "the stored certificate has other names"
    return None


def _self_signed_reason(chain: Chain, wish: CertificateWish) -> Optional[str]:
    if not is_issued_by(chain.leaf, chain.leaf):
        return "the stored certificate is not self-signed"
    return _made_here_reason(chain, wish)


def _own_ca_reason(chain: Chain, wish: CertificateWish) -> Optional[str]:
    if not is_issued_by(chain.leaf, _ca(wish)[0]):
        return "the stored certificate is not issued by this CA"
    return _made_here_reason(chain, wish)


def _pem_reason(chain: Chain, wish: CertificateWish) -> Optional[str]:
    given = _given(wish)
    return None if given.certificates == chain.certificates else "another certificate is given"


_PROVIDER_REASONS = {"self_signed": _self_signed_reason, "own_ca": _own_ca_reason, "pem": _pem_reason}


def _provide(state: State, wish: CertificateWish) -> Optional[Chain]:
    """The new chain; ``None`` while the controller has not signed it."""
    if wish.provider == "self_signed":
        key = make_key(present(wish.key))
        return Chain(key, (self_sign(present(wish.spec), key, utc_now()),))
    if wish.provider == "pem":
        return _given(wish)
    if wish.signed is None:
        return None
    key = read_key("pending key", store.read(store.pending_key(state, wish.name)))
    chain = build_chain("own_ca", key, read_certificates("own_ca.certificate", wish.signed))
    # The root may stay out of a chain; intermediates that the CA file holds belong into it.
    authorities = [ca for ca in _ca(wish) if not is_issued_by(ca, ca)]
    return Chain(key, order(chain.leaf, [*chain.certificates[1:], *authorities]))


def _given(wish: CertificateWish) -> Chain:
    """The chain of provider pem, refused where no peer should take it."""
    material = present(wish.material)
    chain = read_chain("pem", material.private_key, material.certificate, material.passphrase)
    problems = list(fitness.weaknesses(chain.leaf, utc_now()))
    if problems:
        raise CertificateError(
            f"pem.certificate: the certificate {' and '.join(problems)}; give one that peers will accept."
        )
    return chain


def _ca(wish: CertificateWish) -> Tuple[Any, ...]:
    return read_certificates("own_ca.ca_certificate", present(wish.ca_certificate))


def _trust(state: State, wish: CertificateWish) -> Optional[NewFile]:
    """A new trust file, where the newest one holds other CAs."""
    if wish.ca_certificate is None:
        return None
    path = store.trust_file(state)
    content = wish.ca_certificate.strip() + b"\n"
    same = os.path.exists(path) and store.read(path) == content
    return None if same else NewFile(store.next_trust_file(state), content)


def _move_trust(state: State, trust: Optional[NewFile]) -> Parameters:
    """Whoever trusts the store's CAs trusts the new ones, from the swap on."""
    if trust is None:
        return {}
    names = ("smtpd_tls_CAfile", "smtp_tls_CAfile")
    return {name: trust.path for name in names if store.is_trust_file(state, state.explicit.get(name, ""))}


def _shown(
    wish: CertificateWish, before: Optional[Chain], after: Optional[Chain], reason: Optional[str]
) -> Tuple[Shown, ...]:
    if reason is None:
        return ()
    return (Shown(f"certificate {wish.name}", _text(before), _text(after) if after else _promise(wish)),)


def _shown_trust(state: State, trust: Optional[NewFile]) -> Tuple[Shown, ...]:
    if trust is None:
        return ()
    newest = store.trust_file(state)
    before = store.read(newest).decode() if os.path.exists(newest) else ""
    return (Shown(trust.path, before, trust.content.decode()),)


def _text(chain: Optional[Chain]) -> str:
    if chain is None:
        return ""
    facts = describe(chain.certificates, utc_now())
    del facts["chain"], facts["days_left"]
    return "".join(f"{name}: {_word(value)}\n" for name, value in facts.items())


def _promise(wish: CertificateWish) -> str:
    """What is known of a certificate that check mode does not make."""
    lines: Dict[str, Any] = {"provider": wish.provider}
    if wish.key is not None and wish.spec is not None:
        lines.update(subject_alternative_names=wish.spec.names, key_type=wish.key.kind, key_size=wish.key.size)
    return "".join(f"{name}: {_word(value)}\n" for name, value in lines.items())


def _word(value: Any) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)
