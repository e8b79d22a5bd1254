#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_tls_info
short_description: Tell how a Postfix node protects SMTP now
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Returns what protects mail on this node in fact, the certificate store and the active certificates, and what has changed
    since the last proven state. Changes nothing.
  - Does not fail because something is broken, as long as Postfix's own commands can read C(main.cf); RV(findings) tells it.
  - Given a profile, values or records, it returns what would have to change for them (RV(pending)).
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.dnssec
  - mailfleet.smtp_hardening.smtp.attributes
options:
  profile:
    description: A profile, to learn what is pending; as O(mailfleet.smtp_hardening.smtp_tls_mode#module:profile).
    type: str
    choices: [lenient_default, trusted_agents_strict]
  server:
    description: Values for receiving, as O(mailfleet.smtp_hardening.smtp_tls_mode#module:server).
    type: dict
  client:
    description: Values for sending, as O(mailfleet.smtp_hardening.smtp_tls_mode#module:client).
    type: dict
  services:
    description: Services that differ, as O(mailfleet.smtp_hardening.smtp_tls_mode#module:services).
    type: list
    elements: dict
  domains:
    description: A complete list of records, as O(mailfleet.smtp_hardening.smtp_domain_policy#module:domains).
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Ask how mail is protected on this node
  mailfleet.smtp_hardening.smtp_tls_info:
  register: smtp

- name: Show which certificate is served, to compare it across the fleet
  ansible.builtin.debug:
    msg: "{{ smtp.active.server | map(attribute='certificate_sha256') }}"
"""

RETURN = r"""
myhostname:
  description: The name with which Postfix introduces itself, and which MX records should give it.
  returned: success
  type: str
  sample: mx1.example.com
postfix_version:
  description: The version of Postfix.
  returned: success
  type: str
  sample: 3.10.13
server:
  description: The policy in effect for receiving.
  returned: success
  type: dict
  sample: {level: may, client_certificates: ignore, minimum_protocol: TLSv1.2, ciphers: medium, exclude_ciphers: [], ca_file: ""}
client:
  description: The policy in effect for sending.
  returned: success
  type: dict
  sample: {level: may, minimum_protocol: TLSv1.2, ciphers: medium, exclude_ciphers: [], ca_file: "", match: [], connection_reuse: false}
protocols:
  description: The TLS versions that C(server) and C(client) admit, from the oldest to the newest.
  returned: success
  type: dict
  sample: {server: [TLSv1.2, TLSv1.3], client: [TLSv1.2, TLSv1.3]}
active:
  description: >-
    The active certificates for C(server) and C(client): what M(mailfleet.smtp_hardening.smtp_tls_cert) returns of a
    certificate, the C(file) that Postfix is told to use, and the C(name) in the store (null where it is not of the store).
    Compare C(certificate_sha256) and C(public_key_sha256) across nodes; C(tlsa) is what DNS is to say of the active ones.
  returned: success
  type: dict
  sample: {server: [{file: /etc/postfix/smtp_hardening/certificates/default/1.pem, name: default, self_signed: true}], client: []}
certificates:
  description: >-
    The store, by name: the chain file, for which side and which host names it is served, what its chains say, the tool on the
    node that renews it, if any, with how its last C(renewal) ended (C(problem), C(since) and C(warnings); the problem is among
    RV(findings), too), and C(next), the keys that are made and not served yet, with the TLSA records to announce.
  returned: success
  type: dict
  sample:
    default:
      active: {server: true, client: false}
      sni: []
      chains: [{self_signed: true, days_left: 3649}]
      renewed_by: null
      renewal: null
      next: null
sni:
  description: Each host name for which clients are shown a certificate of its own, and that certificate's name in the store.
  returned: success
  type: dict
  sample: {mail.example.net: public}
trust:
  description: >-
    The store's trust file, what its CAs (C(authorities)) say, as M(mailfleet.smtp_hardening.smtp_tls_cert) returns it of a
    certificate, those of the operating system left out, and the public keys of peers that are pinned.
  returned: success
  type: dict
  sample:
    ca_file: /etc/postfix/smtp_hardening/trust/1.pem
    authorities: [{subject: CN=Fleet CA, self_signed: true, serial: 3F2A}]
    pins: []
domains:
  description: >-
    The records of M(mailfleet.smtp_hardening.smtp_domain_policy), C(expired) and C(in_force) (the level that counts today;
    null for the default) beside each.
  returned: success
  type: list
  elements: dict
  sample: [{name: partner.example, level: secure, mode: testing, expires: null, expired: false, in_force: may}]
unlisted_senders:
  description: What becomes of mail from domains that no record lets in.
  returned: success
  type: str
  sample: accept
posture:
  description: >-
    What protects mail in fact. C(servers) and C(clients): C(main.cf) and each service of C(master.cf), with the values that
    hold there as Postfix reads them. C(ways): where mail for each domain that a table or record speaks of goes (C(hops), each
    with what has chosen it and the key of its TLS policy), and what holds on all of these; C(other mail) is the rest.
    C(policy_sources) are tables that somebody else keeps, who may ask for more protection; they are not asked.
    C(where_tls_fails) is what mail has with which TLS fails at the first server: it is C(kept), goes to another next hop, as a
    fallback relay, at the level that is named, or to the same server in C(plaintext).
  returned: success; null where a finding says why
  type: dict
  sample:
    servers: {server: {level: may, minimum_protocol: TLSv1.2}}
    clients: {client: {level: may, minimum_protocol: TLSv1.2}}
    ways: {other mail: {level: may, hops: [{transport: smtp, next_hop: example.com, by: default_transport, policy: null}]}}
drift:
  description: >-
    What has changed since the last proven state (C(since)), by whatever means: C(differs), parameters and services before and
    after, and C(weaker), what protects less now. Null where no state is remembered, or C(master.cf) cannot be read.
  returned: success
  type: dict
  sample: {since: {number: 3}, differs: [{name: smtp_tls_security_level, before: secure, after: may}], weaker: []}
findings:
  description: >-
    What is broken and could not be told, such as a file that is missing or a key that does not fit; C(about) what.
    C(postfix) says that Postfix is not running, so that no change could be proven.
    C(policy_sources) is a map in C(smtp_tls_policy_maps) that gives Postfix no answer, so that mail waits; C(resolver) says that a
    resolver on this host is silent, or why DANE, which a client or record demands, cannot be believed any more (O(dnssec_test)).
  returned: success
  type: list
  elements: dict
  sample: []
pending:
  description: >-
    What would have to change for O(profile), O(server), O(client) and O(services) (C(mode)) and for O(domains) (C(domains)), as
    these modules return it; C(refused) where they would refuse, and why. Null for what was not asked.
  returned: success
  type: dict
  sample: {mode: {changed: true, set: {smtp_tls_security_level: may}, refused: null}, domains: null}
unproven:
  description: The listeners that the last proven change let pass by name, each with the C(problem) that stood in the way of its proof.
  returned: success
  type: list
  elements: dict
  sample:
    - {service: 10025/inet, problem: "turns this host away: 554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied"}
history:
  description: The last proven states of the node, oldest first, to which M(mailfleet.smtp_hardening.smtp_rollback) goes back.
  returned: success
  type: list
  elements: dict
  sample:
    - number: 3
      time: "2026-11-24T12:00:00Z"
      module: smtp_tls_mode
      task: Set how mail is received and sent
      summary: "set: smtpd_tls_security_level"
      proven: true
interrupted:
  description: >-
    A change that was killed in the middle and that this run has found and undone (in check mode, would undo), with the
    module, the task and the time that began it.
  returned: always; null where there was none
  type: dict
  sample: null
"""

import datetime
from functools import partial
from typing import Callable, Dict, List, Optional, Tuple, TypeVar

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificates.describe import describe
from ..module_utils._certificates.validity import utc_now
from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._errors import HardeningError
from ..module_utils._model.domains import DomainPolicy, read_domains
from ..module_utils._model.policies import as_facts, read_client_policy, read_server_policy
from ..module_utils._model.services import read_services
from ..module_utils._postfix import renewals, sni, store, supply, trust
from ..module_utils._postfix.certificates import describe_next
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.domains import DomainWish, plan_domains
from ..module_utils._postfix.incoming import read_unlisted
from ..module_utils._postfix.levels import read_client, read_protocols, read_server
from ..module_utils._postfix.mode import Wish, plan_mode
from ..module_utils._postfix.plan import Plan
from ..module_utils._postfix.records import current_folder, read_records
from ..module_utils._postfix.state import State, Unreadable, read_state
from ..module_utils._posture.facts import as_facts as posture_facts
from ..module_utils._posture.in_force import why_not
from ..module_utils._posture.posture import Posture
from ..module_utils._profiles import PROFILES, find_profile
from ..module_utils._proof import resolver
from ..module_utils._proof.policy_sources import ask_sources
from ..module_utils._proof.validator import Names
from ..module_utils._task.hooks import renewed_by
from ..module_utils._task.work import COMMON_ARGUMENTS
from ..module_utils._transaction.change import check_running
from ..module_utils._transaction.drift import drift
from ..module_utils._transaction.history import past, unproven_facts
from ..module_utils._transaction.ratchet import posture
from ..module_utils._transaction.unreadable import main_cf_alone

T = TypeVar("T")


def stored(state: State, name: str, now: datetime.datetime) -> Dict[str, object]:
    """What the store holds under one name, and what it is used for."""
    path, last = store.current(state, name), renewals.read_last(renewals.last_path(renewals.folder(state.store), name))
    return {
        "chain_file": path,
        "active": store.uses_of(state, name),
        "sni": list(sni.hosts_of(state, name)),
        "chains": [describe(chain.certificates, now) for chain in (store.stored_chains(state, name) if path else ())],
        "renewed_by": renewed_by(state, name),
        "renewal": last.as_facts() if last else None,
        "next": describe_next(supply.next_kept(state, name)),
    }


def told(record: DomainPolicy, today: datetime.date) -> Dict[str, object]:
    """One domain's record, and what of it counts."""
    level = record.in_force(today).level
    return {
        **record.as_facts(),
        "expired": record.has_expired(today),
        "in_force": None if level is None else level.value,
    }


class Findings:
    """What is broken: a section of the result that cannot be told does not keep others from being told."""

    def __init__(self) -> None:
        self.found: List[Dict[str, str]] = []

    def told(self, about: str, tell: Callable[[], T]) -> Optional[T]:
        """What ``tell`` finds; nothing where something is broken."""
        try:
            return tell()
        except HardeningError as problem:
            sentence = str(problem)
        except OSError as problem:
            sentence = f"{problem.filename or 'The file system'}: {problem.strerror}."
        self.found.append({"about": about, "problem": sentence})
        return None


def work(postfix: Postfix, options: Options, check_mode: bool) -> Callable[[], Result]:
    """What is found on the node, and, without the lock, what others answer."""
    findings = Findings()
    state, refused = read_what_can_be_read(postfix, findings)
    now = utc_now()
    result = known(postfix, state, options, now, findings=findings, refused=refused)

    def ask() -> Result:
        asked(postfix, state, options, now.date(), findings)
        return {**result, "findings": findings.found}

    return ask


def asked(postfix: Postfix, state: State, options: Options, today: datetime.date, findings: Findings) -> None:
    """Sources of policies that are silent, and a resolver that does not do what DANE needs."""
    for source, problem in ask_sources(postfix, state).items():
        if problem:
            sentence = f"{source} in smtp_tls_policy_maps gives Postfix no answer, and mail waits: {problem}"
            findings.found.append({"about": "policy_sources", "problem": sentence})
    names = Names(**(options.get("dnssec_test") or {}))
    lost = findings.told("resolver", lambda: resolver.lost(state, names, today))
    if lost:
        findings.found.append({"about": "resolver", "problem": lost})


def known(
    postfix: Postfix,
    state: State,
    options: Options,
    now: datetime.datetime,
    *,
    findings: Findings,
    refused: Optional[Unreadable],
) -> Result:
    """What can be read."""
    findings.told("postfix", lambda: check_running(postfix, state))
    seen = findings.told("posture", lambda: posture(postfix, state))
    return {
        "changed": False,
        "myhostname": state.effective["myhostname"],
        "postfix_version": state.effective["mail_version"],
        "server": as_facts(read_server(state.effective)),
        "client": as_facts(read_client(state.effective)),
        "protocols": read_protocols(state.effective),
        "posture": seen and posture_facts(seen),
        "drift": None if refused else seen and findings.told("drift", lambda: drift(postfix, state, seen)),
        "pending": pending(postfix, state, options, refused),
        **certificates(state, now, findings),
        "trust": {
            "ca_file": store.trust_file(state),
            "authorities": findings.told(
                "trust.authorities", lambda: [describe([ca], now) for ca in trust.known(state)]
            )
            or [],
            "pins": findings.told("trust.pins", lambda: list(trust.pins(state))) or [],
        },
        "domains": findings.told("domains", lambda: domains(state, seen, now.date(), findings)) or [],
        "unlisted_senders": read_unlisted(state).value,
        "unproven": unproven_facts(postfix.config_dir),
        "history": [state.as_facts() for state in past(postfix.config_dir)],
    }


def read_what_can_be_read(postfix: Postfix, findings: Findings) -> Tuple[State, Optional[Unreadable]]:
    """Everything; where nobody can read master.cf, what main.cf says, and why no change would go through."""
    try:
        return read_state(postfix), None
    except Unreadable as problem:
        alone = main_cf_alone(postfix, problem)
        findings.found.append({"about": "master.cf", "problem": str(problem)})
        return alone, problem


def domains(state: State, seen: Optional[Posture], today: datetime.date, findings: Findings) -> List[Dict[str, object]]:
    """Each record; one that does not hold on this node, whatever the tables were made for, is in force for nobody."""
    found = []
    for record in read_records(current_folder(state)):
        problem = why_not(seen, record.in_force(today)) if seen else None
        if problem:
            findings.found.append({"about": f"domains.{record.name}", "problem": problem})
        found.append({**told(record, today), **({"in_force": None} if problem else {})})
    return found


def certificates(state: State, now: datetime.datetime, findings: Findings) -> Result:
    """The store, and what of it and beside it is shown to whom."""
    active: Dict[str, List[Result]] = {use: [] for use in store.USES}
    for use in store.USES:
        for source in store.active_sources(state, use):
            active[use] += [
                {"file": path, "name": store.stored_name(state, path), **describe(chain.certificates, now)}
                for path, chain in findings.told(f"active.{use}", source.chains) or ()
            ]
    kept = {
        name: findings.told(f"certificates.{name}", partial(stored, state, name, now)) for name in store.names(state)
    }
    for name, last in renewals.failing(state.store):
        if last:
            problem = f"its renewal fails since {last.since}: {last.problem}"
            findings.found.append({"about": f"certificates.{name}", "problem": problem})
    served = findings.told("sni", lambda: sni.served(state)) or {}
    return {
        "active": active,
        "certificates": {name: facts for name, facts in kept.items() if facts is not None},
        "sni": {host: store.name_of(path) for host, path in served.items()},
    }


def pending(
    postfix: Postfix, state: State, options: Options, refused: Optional[Unreadable]
) -> Dict[str, Optional[Result]]:
    """What the planners of the other modules would do; nothing is asked of anybody else."""
    asks_mode = any(options.get(name) for name in ("profile", "server", "client", "services"))
    return {
        "mode": _planned(lambda: _mode(postfix, state, options), refused) if asks_mode else None,
        "domains": _planned(lambda: _domains(state, options), refused) if options.get("domains") is not None else None,
    }


def _mode(postfix: Postfix, state: State, options: Options) -> Tuple[Plan, Optional[str]]:
    wish = Wish(
        profile=find_profile(options.get("profile")),
        server=read_server_policy(options.get("server")),
        client=read_client_policy(options.get("client")),
        services=read_services(options.get("services")),
    )
    planned = plan_mode(state, wish, postfix.run)
    return planned.plan, planned.unmet


def _domains(state: State, options: Options) -> Tuple[Plan, Optional[str]]:
    records, absent = read_domains(options["domains"])
    planned = plan_domains(state, DomainWish(tuple(records), tuple(absent), exclusive=True), utc_now().date())
    return planned.plan, planned.unmet


def _planned(make: Callable[[], Tuple[Plan, Optional[str]]], refused: Optional[Unreadable]) -> Result:
    try:
        if refused:
            raise refused
        plan, unmet = make()
    except HardeningError as problem:
        return {"changed": True, "refused": str(problem), **Plan().summary()}
    return {"changed": plan.changed, "refused": unmet, **plan.summary()}


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "profile": {"type": "str", "choices": list(PROFILES)},
            "server": {"type": "dict"},
            "client": {"type": "dict"},
            "services": {"type": "list", "elements": "dict"},
            "domains": {"type": "list", "elements": "dict"},
            "dnssec_test": resolver.DNSSEC_ARGUMENTS,
            **COMMON_ARGUMENTS,
        },
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
