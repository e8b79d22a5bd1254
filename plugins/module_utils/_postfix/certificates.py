# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a task asks of one certificate to a plan for the store and main.cf."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypedDict,
)

from .. import _files as files
from .._bytes import to_bytes
from .._certificates import fitness, tlsa
from .._certificates.chain import Chains, certificates_by_key, chains_pem, is_issued_by
from .._certificates.describe import CertificateFacts, describe, public_key_fingerprint
from .._certificates.keys import public_bytes, public_key_of
from .._certificates.validity import not_after, utc_now
from .._errors import CertificateError, InvalidValue
from .._model.certificates import CertificateWish
from . import helpers, judge, services, sni, store, supply, trust
from .commands import Run
from .levels import Parameters
from .plan import NewFile, Plan, Shown, plan_parameters
from .state import State
from .supply import SIGNATURE, Asked, Next, Provider, Supply

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate


_NOT_IN_DIFFS = ("chain", "days_left", "tlsa_alternatives")


class Behind(NamedTuple):
    """A side that keeps the certificate which it has, since the renewed one is of no use there."""

    use: str
    why: str
    """What the renewed certificate does."""
    days_left: int
    """Of the certificate that stays."""


@dataclass(frozen=True)
class CertificatePlan:
    """The plan, with what it means for the certificate."""

    plan: Plan
    path: Optional[str]
    """The chain file that is, or will be, current."""
    chains: Chains
    """Empty where they are not made yet: in check mode, or until a CA has signed."""
    reason: Optional[str]
    """Why a new certificate is needed; ``None`` where the stored one stays."""
    ca_file: str
    """The trust file that is, or will be, the newest."""
    active: Dict[str, bool]
    sni: Tuple[str, ...]
    awaits: Optional[str] = None
    next: Optional[Next] = None
    """Keys that are, or will be, kept for later."""
    keeps: bool = False
    """Whether these keys, or the request for them, are new."""
    behind: Tuple[Behind, ...] = ()
    """Sides that this certificate does not fit, and that keep an earlier one of its name."""


class NextFacts(TypedDict):
    """What a module returns of keys that are not served yet."""

    public_key_sha256: List[str]
    tlsa: List[str]
    tlsa_alternatives: List[str]
    csr: str


class Report(TypedDict):
    """What a module returns of a certificate and its use."""

    certificate: Optional[CertificateFacts]
    certificates: List[CertificateFacts]
    chain_file: Optional[str]
    reason: Optional[str]
    active: Dict[str, bool]
    sni: List[str]
    ca_file: str
    awaits: Optional[str]
    next: Optional[NextFacts]


def plan_certificate(state: State, asked: Asked, run: Run, check_mode: bool) -> CertificatePlan:
    """Compare what is asked with the store. Makes keys in memory at most; writes nothing."""
    wish, provider = asked
    stored, reason = _stored(state, asked)
    supplied = provider.provide(state, wish, stored, check_mode) if reason else Supply(stored)
    renewed = reason is not None and supplied.awaits is None
    path = store.current(state, wish.name)
    if renewed:
        path = store.next_path(os.path.join(store.certificates_dir(state), wish.name), ".pem")
    uses = store.uses_of(state, wish.name)
    active = {use: use in wish.use or (uses[use] and use not in wish.withdraw) for use in store.USES}
    flaws = partial(_found_flaws, state, asked, run, supplied.chains or stored)
    behind = _left_behind(state, wish.name, path, active, flaws)
    for side in behind:
        active[side.use] = uses[side.use] = False
    hosts = sni.hosts_of(state, wish.name) if wish.sni is None else wish.sni
    began = any(active[use] and path not in store.active_paths(state, use) for use in store.USES)
    began = began or bool(set(hosts) - set(sni.hosts_of(state, wish.name)))
    _check_withdrawal(state, wish, uses)
    chains = supplied.chains or stored
    signed_soon = supplied.awaits == SIGNATURE and provider.signed_at_once
    if renewed or (began and not signed_soon):
        judged = supplied.chains if renewed else chains
        _refuse_strange_keys(run, provider, judged)
        _refuse_flaws(state, asked, run, judged, _served(state, active, hosts))
    if not signed_soon:
        brought = supplied.chains if renewed else stored
        seen = _seen_by_senders(state, wish, active["server"] or bool(hosts), brought)
        _refuse_unannounced(wish, seen, bool(brought) and (renewed or began))
    shown = path if active["server"] else _active_of_store(state)
    served = sni.plan_sni(state, wish.name, hosts if path else (), path, shown)
    trusted = trust.plan_trust(state, wish.trust, wish.accept)
    plan = plan_parameters(
        state,
        {**_activations(state, wish, active, uses, path), **served.parameters, **trusted.parameters},
        services=helpers.for_tls(state) if path and any(active.values()) else (),
        files=(_chain_file(path, supplied.chains) if renewed and path else ()) + trusted.files + served.files,
        obsolete=_obsolete(state, wish, supplied.chains) if renewed else (),
        shown=_shown(asked, stored, supplied, reason) + served.shown + trusted.shown,
    )
    return CertificatePlan(
        plan,
        path,
        chains if supplied.chains or supplied.awaits else (),
        reason,
        trusted.ca_file,
        {use: active[use] and path is not None for use in store.USES},
        tuple(hosts) if path else (),
        supplied.awaits,
        supplied.next if supplied.awaits else _kept(state, wish.name) if not renewed else None,
        bool(supplied.awaits) and (supplied.next is None or not _is_kept(state, wish.name, supplied.next)),
        behind,
    )


def plan_removal(state: State, name: str) -> CertificatePlan:
    """Take a certificate out of the store, all its numbers and its key; refused while it is served."""
    uses, hosts = store.uses_of(state, name), sni.hosts_of(state, name)
    folder = os.path.join(store.certificates_dir(state), name)
    served = [*(f"for the {use}" for use, active in uses.items() if active), *(f"for {host}" for host in hosts)]
    overridden = [s.key for s in state.services if folder in _folders_named(state, " ".join(s.overrides.values()))]
    served += [f"for {service} in master.cf" for service in overridden]
    if served:
        raise InvalidValue(
            "name",
            name,
            f"is active {' and '.join(served)}, so it cannot be deleted",
            "make another certificate active first (use, withdraw, sni)",
        )
    chains, _reason = _read_stored(state, name)
    there = files.is_folder(folder)
    shown = (Shown(f"certificate {name}", _text(chains), ""),) if there else ()
    plan = Plan(obsolete=(folder,) if there else (), shown=shown)
    return CertificatePlan(plan, None, (), None, store.trust_file(state), uses, ())


def _folders_named(state: State, text: str) -> List[str]:
    return [os.path.dirname(path) for path in store.named(state.config_dir, to_bytes(text))]


def report(planned: CertificatePlan) -> Report:
    """The return values that speak of the certificate itself."""
    facts = [describe(chain.certificates, utc_now()) for chain in planned.chains]
    return {
        "certificate": facts[0] if facts else None,
        "certificates": facts,
        "chain_file": planned.path,
        "reason": planned.reason,
        "active": planned.active,
        "sni": list(planned.sni),
        "ca_file": planned.ca_file,
        "awaits": planned.awaits,
        "next": describe_next(planned.next),
    }


def describe_next(found: Optional[Next]) -> Optional[NextFacts]:
    """What is known of keys that are not served yet."""
    if found is None:
        return None
    return {
        "public_key_sha256": [public_key_fingerprint(key.public_key()) for key in found.keys],
        "tlsa": [tlsa.of_key(key.public_key()) for key in found.keys],
        "tlsa_alternatives": [tlsa.of_key(key.public_key(), 2) for key in found.keys],
        "csr": found.request.decode(),
    }


def _stored(state: State, asked: Asked) -> Tuple[Chains, Optional[str]]:
    """What the store holds under the name, and why that will not do."""
    chains, reason = _read_stored(state, asked.wish.name)
    return chains, reason or asked.provider.why(state, asked.wish, chains)


def _read_stored(state: State, name: str) -> Tuple[Chains, Optional[str]]:
    if store.current(state, name) is None:
        return (), "no certificate of this name is stored"
    try:
        return store.stored_chains(state, name), None
    except CertificateError as problem:
        return (), str(problem)


class Served(NamedTuple):
    """For what a certificate is, or will be, active, under which names, and who looks at it."""

    uses: List[str]
    hosts: List[str]
    asking: List[judge.Peer]


def _served(state: State, active: Dict[str, bool], hosts: Iterable[str]) -> Served:
    uses, own = [use for use in store.USES if active[use]], state.effective["myhostname"]
    named = [None if host.startswith(".") else host for host in hosts]
    asking = judge.peers([*([own] if active["server"] else []), *named], active["client"])
    below = [f"*{host}" if host.startswith(".") else host for host in hosts]
    return Served(uses, [*([own] if uses else []), *below], asking)


def _left_behind(
    state: State,
    name: str,
    path: Optional[str],
    active: Mapping[str, bool],
    flaws: Callable[[Served], List[fitness.Flaw]],
) -> Tuple[Behind, ...]:
    """Where an earlier certificate of the name is active, and the newest may not be used: that side stays as it is.

    Public CAs no longer let their certificates be clients', and the server's renewal is not to wait for that. Where no side
    can take the newest, none stays behind, and it is refused.
    """
    kept: List[Behind] = []
    for use in (use for use in store.USES if active[use]):
        earlier = store.active_in_store(state, use, name)
        if earlier is not None and earlier != path:
            alone = _served(state, {side: side == use for side in store.USES}, ())
            unfit = [flaw for flaw in flaws(alone) if flaw.kind == "wrong_usage"]
            kept += (Behind(use, flaw.sentence, _days_left(earlier)) for flaw in unfit[:1])
    return tuple(kept) if len(kept) < sum(active.values()) else ()


def _days_left(path: str) -> int:
    found = certificates_by_key([(path, store.read(path))])
    return min((not_after(chain[0]) - utc_now()).days for _path, chain in found)


def _active_of_store(state: State) -> Optional[str]:
    """The one file of the store that clients are shown who ask for no name."""
    paths = store.active_paths(state, "server")
    return paths[0] if len(paths) == 1 and store.stored_name(state, paths[0]) else None


def _found_flaws(state: State, asked: Asked, run: Run, chains: Chains, served: Served) -> List[fitness.Flaw]:
    """What peers would not take, but for what the task accepts by name. A self-signed certificate proves nothing."""
    wish, provider = asked
    if not provider.judged:
        return []
    known = supply.issuers_known(state, wish, provider.issuers())
    return [flaw for chain in chains for flaw in _flaws(wish, run, chain.certificates, known, served)]


def _refuse_flaws(state: State, asked: Asked, run: Run, chains: Chains, served: Served) -> None:
    provider = asked.provider
    found = _found_flaws(state, asked, run, chains, served)
    if found:
        raise CertificateError(
            f"{provider.option}: the certificate {' and '.join(dict.fromkeys(f.sentence for f in found))}; give one that peers "
            f"will take, or accept: [{', '.join(dict.fromkeys(f.kind for f in found))}]."
        )


def _flaws(
    wish: CertificateWish, run: Run, chain: Sequence[Certificate], known: Sequence[Certificate], served: Served
) -> Iterator[fitness.Flaw]:
    """What we find, and what OpenSSL finds. A root that is sent along is one that some peer trusts."""
    own = fitness.flaws(chain, served.hosts, served.uses, known, utc_now())
    anchors = [*known, *(ca for ca in chain[1:] if is_issued_by(ca, ca))]
    said = judge.objections(run, chain, anchors, served.asking, wish.accept)
    return judge.beside((flaw for flaw in own if flaw.kind not in wish.accept), said)


def _refuse_strange_keys(run: Run, provider: Provider, chains: Chains) -> None:
    """Where only OpenSSL can read a key, it is OpenSSL that says whether it is the certificate's."""
    for chain in chains:
        if not judge.belongs(run, chain):
            raise CertificateError(
                f"{provider.option}: OpenSSL on this node cannot read the private key, or it does not match the certificate; "
                "give a key and a certificate that belong together."
            )


def _seen_by_senders(state: State, wish: CertificateWish, served: bool, chains: Chains) -> Chains:
    """What is shown once the task has ended: this certificate, or while it waits to be, what is there instead."""
    if chains:
        return chains if served else ()
    if "server" not in wish.use:
        return ()
    try:
        return tuple(chain for _path, chain in store.active_chains(state, "server"))
    except CertificateError:
        return ()


def _refuse_unannounced(wish: CertificateWish, served: Chains, is_new: bool) -> None:
    """A client that finds only other TLSA records does not send its mail (RFC 7672 section 3.1)."""
    lacking = [chain for chain in served if not supply.announced(wish, (chain,))]
    if not lacking:
        return
    wanted = "; ".join(tlsa.of_key(public_key_of(chain.leaf)) for chain in lacking)
    if is_new:
        raise CertificateError(
            f"published_tlsa: no record matches the certificate that would be served; publish {wanted} beside the old "
            "record first, wait until the old answer has left all caches (its TTL), then list it in published_tlsa."
        )
    raise CertificateError(
        "published_tlsa: no record matches the certificate that is served, so senders with DANE hold their mail (RFC 7672 "
        f"section 2.2); publish {wanted} at once and list it beside the others, or list nothing where DNS has no TLSA record."
    )


def _check_withdrawal(state: State, wish: CertificateWish, uses: Dict[str, bool]) -> None:
    """A server that offers TLS always has a certificate."""
    offers = services.offering_tls(state)
    if "server" in wish.withdraw and (uses["server"] or store.foreign_paths(state, "server")) and offers:
        raise InvalidValue(
            "withdraw",
            list(wish.withdraw),
            f"would leave {', '.join(offers)} without a certificate, though STARTTLS is offered there",
            "make another certificate active, which takes the place of this one",
        )


def _activations(
    state: State, wish: CertificateWish, active: Dict[str, bool], uses: Dict[str, bool], path: Optional[str]
) -> Parameters:
    wanted: Parameters = {}
    for use in store.USES:
        if active[use] and path is not None:
            wanted.update(store.activation(state, use, path))
        elif not active[use] and (uses[use] or (use in wish.withdraw and store.foreign_paths(state, use))):
            wanted.update(store.deactivation(use))
    return wanted


def left_active(state: State, wish: CertificateWish) -> Iterator[str]:
    """A warning of a client certificate that is none of the store's, where a task brings the server's alone."""
    foreign = store.foreign_paths(state, "client")
    if "server" in wish.use and not {"client"} & {*wish.use, *wish.withdraw} and foreign:
        yield (
            f"Servers that ask for a certificate are still shown {', '.join(foreign)}, which main.cf named before and is none of "
            "this store's; use: [client] puts this certificate in its place, withdraw: [client] takes it out."
        )


def _is_kept(state: State, name: str, found: Next) -> bool:
    kept = supply.next_kept(state, name)
    return kept is not None and kept.request == found.request


def _kept(state: State, name: str) -> Optional[Next]:
    """What waits on the node, whatever this task asks; whoever needs it says what is wrong with it."""
    try:
        return supply.next_kept(state, name)
    except CertificateError:
        return None


def _chain_file(path: str, chains: Chains) -> Tuple[NewFile, ...]:
    """What main.cf is about to name. Check mode makes no key, and its plan, which nobody writes, says that a file will be there."""
    return (NewFile(path, chains_pem(chains), 0o600),)


def _obsolete(state: State, wish: CertificateWish, brought: Chains) -> Tuple[str, ...]:
    """Keys that were kept for what is now there. Those that DNS announces, and nobody has brought, are waited for."""
    kept = _kept(state, wish.name)
    if kept is not None and wish.published_tlsa and supply.is_listed(wish, kept):
        served = {public_bytes(public_key_of(chain.leaf)) for chain in brought}
        if served.isdisjoint(public_bytes(key.public_key()) for key in kept.keys):
            return ()
    paths = (store.next_key(state, wish.name), store.next_request(state, wish.name))
    return tuple(path for path in paths if files.exists(path))


def _shown(asked: Asked, before: Chains, supplied: Supply, reason: Optional[str]) -> Tuple[Shown, ...]:
    if reason is None or supplied.awaits:
        return ()
    after = _text(supplied.chains) if supplied.chains else _promise(asked.provider)
    return (Shown(f"certificate {asked.wish.name}", _text(before), after),)


def _text(chains: Chains) -> str:
    lines: List[str] = []
    for chain in chains:
        facts = describe(chain.certificates, utc_now()).items()
        lines += (f"{name}: {_word(value)}\n" for name, value in facts if name not in _NOT_IN_DIFFS)
    return "".join(lines)


def _promise(provider: Provider) -> str:
    """What is known of a certificate that check mode does not make."""
    lines: Dict[str, object] = {"provider": provider.name}
    if provider.promise.keys:
        lines["subject_alternative_names"] = provider.promise.names
        lines["keys"] = [f"{key.kind} {key.size}" for key in provider.promise.keys]
    return "".join(f"{name}: {_word(value)}\n" for name, value in lines.items())


def _word(value: object) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)
