# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what a task asks of server and client to a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Iterator, List, Mapping, Optional, Tuple

from .. import _given
from .._certificates import fitness
from .._certificates.chain import read_certificates
from .._certificates.validity import utc_now
from .._errors import CertificateError, HardeningError, InvalidValue, present
from .._model.allowance import NOTHING, Allowance
from .._model.levels import VERIFY_WARNING, ClientLevel, ServerLevel
from .._model.policies import ClientPolicy, ServerPolicy, check_client, check_match, check_server, overlay
from .._model.services import ServicePolicy
from .._profiles import Profile
from . import deprecated, helpers, judge, services, store, trust
from .commands import Run
from .domain_checks import check_demands_can_be_met
from .kept import keep_mandatory_exclusions, keep_stricter
from .levels import DANE, Parameters, client_parameters, read_client, read_server, server_parameters
from .plan import Plan, plan_parameters
from .state import State
from .tls_required import tls_required
from .values import is_yes

if TYPE_CHECKING:
    from .._certificates.kinds import Certificate


@dataclass(frozen=True)
class Wish:
    """What a task asks: a profile as the base, and the values that override it one by one."""

    profile: Optional[Profile]
    server: ServerPolicy
    client: ClientPolicy
    services: Tuple[ServicePolicy, ...] = ()
    allowance: Allowance = NOTHING
    """Where it covers stricter ciphers than the profile's, the profile's take their place."""

    @property
    def uses_dane(self) -> bool:
        levels = [self.client.level or (self.profile.client.level if self.profile else None)]
        return any(level in DANE for level in [*levels, *(service.level for service in self.services)])


@dataclass(frozen=True)
class ModePlan:
    """The plan, and the policies before and after it."""

    plan: Plan
    server_before: ServerPolicy
    server_after: ServerPolicy
    client_before: ClientPolicy
    client_after: ClientPolicy
    warnings: Tuple[str, ...]
    unmet: Optional[str]
    """What must be on the node first: a certificate or CA file that another task brings."""
    kept: Mapping[str, str]
    """What is stricter than the profile and stays."""


def plan_mode(state: State, wish: Wish, run: Run) -> ModePlan:
    """Compare ``wish`` with ``state``; refuse what would stop mail. Writes nothing."""
    server, client = _asked(state, wish)
    server, kept = keep_stricter(state.effective, "server", server, wish.server, wish.allowance)
    client, kept_too = keep_stricter(state.effective, "client", client, wish.client, wish.allowance)
    server_before, client_before = read_server(state.effective), read_client(state.effective)
    check_demands_can_be_met(state, "server", server.level, server.client_certificates)
    for service in wish.services:
        if service.name.endswith("/inet"):
            check_demands_can_be_met(state, f"services[{service.name}]", service.level, service.client_certificates)
    _check_combinations(overlay(server_before, server), server, overlay(client_before, client), client)
    _check_wrapper_mode(state, client)
    plan = plan_parameters(
        state,
        {
            **deprecated.removals(state, server.level, client.level),
            **_kept(state, wish, "server", server_parameters(server, state.version)),
            **_kept(state, wish, "client", _without_pins(state, client, client_parameters(client, state.version))),
            **tls_required(state, [client.level], wish.client.tls_required_no),
        },
        services=_helpers(state, overlay(server_before, server), overlay(client_before, client)),
        overrides=services.service_overrides(state, wish.services),
    )
    services.check_services(state, plan, (server, client), wish.services)
    effective = plan.effective_after(state)
    server_after, client_after = read_server(effective), read_client(effective)
    return ModePlan(
        plan=plan,
        server_before=server_before,
        server_after=server_after,
        client_before=client_before,
        client_after=client_after,
        warnings=tuple(_warnings(state, wish, server, client)),
        unmet=_unmet(state, wish, server, server_after, client, run=run),
        kept=dict([*kept, *kept_too]),
    )


def _helpers(state: State, server_after: ServerPolicy, client_after: ClientPolicy) -> Tuple[str, ...]:
    """The services without which what is asked would not work."""
    speaks_tls = server_after.level is not ServerLevel.NONE or client_after.level is not ClientLevel.NONE
    return (
        *(helpers.for_tls(state) if speaks_tls else ()),
        *(helpers.for_reuse(state) if client_after.connection_reuse else ()),
    )


def _kept(state: State, wish: Wish, side: str, wanted: Parameters) -> Parameters:
    stated = wish.server.exclude_ciphers if side == "server" else wish.client.exclude_ciphers
    return keep_mandatory_exclusions(state.effective, wanted, side, stated, wish.allowance)


def _check_combinations(
    server_after: ServerPolicy, server: ServerPolicy, client_after: ClientPolicy, client: ClientPolicy
) -> None:
    if server != ServerPolicy():
        check_server(server_after)
    if client != ClientPolicy():
        check_client(client_after)


def _check_wrapper_mode(state: State, client: ClientPolicy) -> None:
    """Refuse what Postfix itself refuses message by message (postconf(5), smtp_tls_wrappermode)."""
    if client.level in (ClientLevel.NONE, ClientLevel.MAY) and is_yes(state.effective.get("smtp_tls_wrappermode", "")):
        raise InvalidValue(
            "client.level",
            str(client.level),
            "would hold back all mail, since smtp_tls_wrappermode = yes in main.cf needs encrypt or a stricter level",
            "set client: {level: encrypt}, or take smtp_tls_wrappermode out of main.cf, once hosts where TLS comes first have a "
            "record with a route to them (smtp_domain_policy, route: '[host]:465'; role relay, relay_smarthost)",
        )


def _unmet(
    state: State, wish: Wish, server: ServerPolicy, server_after: ServerPolicy, client: ClientPolicy, *, run: Run
) -> Optional[str]:
    """The first sentence about a certificate or CA file that the change would rest on in vain."""
    try:
        if server != ServerPolicy():
            _check_server_certificate(state, server_after)
        for option, path in (("server.ca_file", server.ca_file), ("client.ca_file", client.ca_file)):
            if path is not None:
                read_ca_file(option, path)
        if wish.profile is not None and wish.profile.demands_ca_signed:
            _check_agents_certificates(state, server_after.ca_file, run)
    except HardeningError as problem:
        return str(problem)
    return None


def read_ca_file(option: str, path: str) -> Tuple[Certificate, ...]:
    """The CA certificates in a file on the node."""
    try:
        return read_certificates(f"{option}: {path}", _given.read_given(path))
    except OSError as problem:
        raise InvalidValue(
            option,
            path,
            f"cannot be read ({problem.strerror})",
            "put the PEM file of the CA there first, as smtp_tls_cert with provider: own_ca does",
        ) from None


def _asked(state: State, wish: Wish) -> Tuple[ServerPolicy, ClientPolicy]:
    """The task's values over the profile's, with the store's trust file where a CA is needed."""
    server, client = wish.server, wish.client
    if wish.profile is not None:
        server, client = overlay(wish.profile.server, server), overlay(wish.profile.client, client)
        if wish.profile.demands_ca_signed:
            server = server if server.ca_file else replace(server, ca_file=_trust_file(state, "server"))
            client = client if client.ca_file else replace(client, ca_file=_trust_file(state, "client"))
    if client.match is not None and client.level is None:
        client = replace(client, level=read_client(state.effective).level)
    if client.match:
        check_match(client.level, client.match)
    return server, client


def _without_pins(state: State, client: ClientPolicy, wanted: Parameters) -> Parameters:
    """Pins of peers' keys are smtp_tls_cert's, unless names or fingerprints to match are given here."""
    if client.match or not trust.pins(state):
        return wanted
    return {name: value for name, value in wanted.items() if name != trust.PEERS}


def _trust_file(state: State, side: str) -> str:
    return store.trust_file(state, trust.kind_for(state, side))


def _check_server_certificate(state: State, server: ServerPolicy) -> None:
    """A server that offers STARTTLS needs a certificate whose key matches it.

    ``postfix check`` notices none of this: smtpd would answer STARTTLS with 454.
    """
    if server.level is ServerLevel.NONE:
        return
    if not store.active_chains(state, "server"):
        raise CertificateError(
            f"server.level: {server.level} offers STARTTLS but no certificate is active for the server; "
            "run smtp_tls_cert with use: [server] first."
        )


def _check_agents_certificates(state: State, ca_file: Optional[str], run: Run) -> None:
    authorities = read_ca_file("server.ca_file", present(ca_file))
    host = state.effective["myhostname"]
    problems: List[str] = []
    for use in ("server", "client"):
        chains = store.active_chains(state, use)
        if not chains:
            problems.append(f"no certificate is active for the {use}")
        for path, chain in chains:
            unfit = fitness.unfit_for_agents(chain.certificates, host, use, authorities, utc_now())
            asking = judge.peers([host] if use == "server" else [], use == "client")
            said = judge.objections(run, chain.certificates, authorities, asking)
            problems.extend(f"the {use} certificate in {path} {flaw.sentence}" for flaw in judge.beside(unfit, said))
    if problems:
        raise CertificateError(
            f"profile: trusted_agents_strict cannot be switched on: {'; '.join(problems)}; "
            "run smtp_tls_cert with provider: own_ca (or pem) and use: [server, client] first."
        )


def _warnings(state: State, wish: Wish, server: ServerPolicy, client: ClientPolicy) -> Iterator[str]:
    meant = wish.profile is not None and wish.profile.server.level is ServerLevel.ENCRYPT
    if server.level is ServerLevel.ENCRYPT and not meant and any(service.is_listener for service in state.services):
        yield (
            "server.level: encrypt refuses clients without STARTTLS on every smtpd service; RFC 3207 section 4 "
            "forbids that on a server that receives mail from the Internet."
        )
    if client.level is ClientLevel.VERIFY:
        yield f"client.level: {VERIFY_WARNING}"
    yield from deprecated.reports(state, server.level, client.level)
    yield from services.ineffective(state)
