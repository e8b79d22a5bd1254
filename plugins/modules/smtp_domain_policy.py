#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_domain_policy
short_description: Say for each domain how its mail is routed and protected
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Keeps the records of all domains in one call and renders from them the tables behind C(smtp_tls_policy_maps),
    C(transport_maps), C(relay_domains) and C(smtpd_sender_restrictions), so that these cannot disagree.
  - Postfix looks a policy up by the next hop verbatim, so the key of a domain with a route is derived from the route.
  - Tables that an operator put into those parameters stay there, after ours.
  - Each table is built beside the old one and asked before C(main.cf) names it. After a change the module talks SMTP to
    the node's own listeners, and restores everything byte for byte where they fail.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.ratchet
  - mailfleet.smtp_hardening.smtp.dnssec
  - mailfleet.smtp_hardening.smtp.attributes
options:
  domains:
    description:
      - The records, one for each domain.
      - Required where O(src) is not given.
    type: list
    elements: dict
    suboptions:
      name:
        description: The domain, or C(.domain) for all names below it. Internationalized names as A-labels.
        type: str
        required: true
      state:
        description: Whether the record is wanted.
        type: str
        choices: [present, absent]
        default: present
      subdomains:
        description: Whether level, route and local hold for all names below the domain as well.
        type: bool
        default: false
      level:
        description:
          - The level toward the domain's next hop (postconf(5), C(smtp_tls_policy_maps)). Left out, the default level holds.
          - V(dane) and V(dane-only) need a validating resolver on loopback, see O(dnssec_test); the parameters that
            DANE needs are set with them.
        type: str
        choices: [none, may, encrypt, dane, dane-only, fingerprint, verify, secure]
      match:
        description:
          - DNS names that the next hop's certificate must carry at V(secure) and V(verify); SHA-256 fingerprints of
            its certificate or public key at V(fingerprint).
        type: list
        elements: str
        default: []
      minimum_protocol:
        description: The lowest TLS version toward the next hop, in place of the default.
        type: str
        choices: [TLSv1, TLSv1.1, TLSv1.2, TLSv1.3]
      ciphers:
        description: The minimum grade of ciphers toward the next hop (TLS 1.2 and below), in place of the default.
        type: str
        choices: [medium, high]
      servername:
        description:
          - The name that the client sends in the handshake (SNI, RFC 6066 section 3), for which a host with many certificates shows
            the right one. V(nexthop) is the next hop's own name, V(hostname) that of the host which DNS names.
          - Left out, C(smtp_tls_servername) holds, which sends none by default; DANE sends its own.
        type: str
      requiretls:
        description:
          - What becomes of messages to the domain whose senders ask for REQUIRETLS (RFC 8689), in place of Postfix's default
            (postconf(5), C(smtp_requiretls_policy)). V(enforce) returns what cannot be sent verified to a host that announces
            REQUIRETLS. Other messages are not concerned.
          - Needs Postfix 3.11, which announces REQUIRETLS to clients by itself.
        type: str
        choices: [disable, opportunistic, opportunistic+starttls, enforce]
      route:
        description:
          - The next hop instead of what DNS says (transport(5)), as V([host]:port), V([host]), or a domain whose MX to
            ask. C(lmtp:) before it speaks LMTP, also to a socket, as in V(lmtp:unix:private/dovecot-lmtp), where no C(level) demands
            TLS; any other client service of master.cf can stand there as well, as in V(relay:[host]:25), and must exist.
          - Postfix looks a policy up by the next hop verbatim; that key is derived from the route.
        type: str
      implicit_tls:
        description:
          - Whether TLS comes before SMTP at the route's host (RFC 8314 section 3.3). Port 465 implies it; V(false) says that the
            host speaks STARTTLS there all the same.
          - Such mail goes by a client service of its own, C(smtps), with C(smtp_tls_wrappermode), at O(domains[].level) V(encrypt)
            where no stricter one is given.
        type: bool
      local:
        description: Whether mail for the domain is accepted from anywhere (C(relay_domains)).
        type: bool
        default: false
      incoming:
        description:
          - What mail from this domain, and from the names below it, must show; the envelope's sender counts.
          - Where a certificate or O(unlisted_senders) is asked for, mail that is let in passes the rest of
            C(smtpd_sender_restrictions) unseen; our part stands first there. Other lists of restrictions still count.
        type: dict
        suboptions:
          level:
            description: V(encrypt) refuses it without TLS (450 4.7.1); V(may) demands nothing and makes the domain known.
            type: str
            choices: [may, encrypt]
            default: encrypt
          client_certificates:
            description:
              - V(require) refuses it without a client certificate of a CA that the server trusts (C(smtpd_tls_CAfile); 554 5.7.1).
              - The server must ask for certificates, see C(server.client_certificates) of M(mailfleet.smtp_hardening.smtp_tls_mode).
            type: str
            choices: [ignore, require]
          pins:
            description:
              - SHA-256 fingerprints of client certificates or their public keys, one of which must be shown, whoever issued it.
            type: list
            elements: str
            default: []
      mode:
        description:
          - V(testing) holds no mail back. Mail to the domain goes at V(may), mail from it is let in and Postfix logs
            C(reject_warning) where V(enforce) would have refused it.
          - What O(domains[].level) would have done, M(mailfleet.smtp_hardening.smtp_tls_probe) shows and writes to Postfix's log.
        type: str
        choices: [testing, enforce]
        default: enforce
      expires:
        description:
          - The last day, in UTC, on which the record's protection holds, as V(2027-03-31). After it each run warns, leaves the
            level to the default and takes incoming for not said; route and local stay.
        type: str
      owner:
        description: Who answers for the record.
        type: str
      reason:
        description: Why it is there.
        type: str
  src:
    description:
      - A file on the controller with the records instead, found as files of a role are; may be vaulted.
      - YAML or JSON (C(.yml), C(.yaml), C(.json)) holds the list itself. CSV (C(.csv)) has the options' names in its first row,
        C(incoming.level) and the like among them; an empty cell leaves an option out, blanks part the items of a list.
    type: path
  exclusive:
    description: Whether records that are not listed are removed.
    type: bool
    default: false
  unlisted_senders:
    description:
      - What becomes of mail from domains without O(domains[].incoming). V(warn) lets it in and logs C(reject_warning).
        V(reject) refuses it with 554 5.7.1. Bounces (the null sender) are let in.
          - The fleet's own domains need a record with O(domains[].incoming) too, where their mail comes in by SMTP.
      - Left out, it stays as it is; V(accept) where nothing was said.
    type: str
    choices: [accept, warn, reject]
  policy_sources:
    description:
      - Maps that Postfix asks last for a TLS policy, after these records and the operator's own maps, such as a resolver
        of MTA-STS policies (RFC 8461 section 2). They are kept at the end of C(smtp_tls_policy_maps); an empty list takes
        them away again, which lowers protection (O(allow_weaker), C(other mail.policy_sources)).
    type: list
    elements: str
  tls_required_no:
    description:
      - Whether a message with the header C(TLS-Required) with the value C(no) (RFC 8689 section 5) goes out without the TLS that a record
        demands (C(tls_required_enable), Postfix 3.10). Any sender can write that header.
      - Left out, it does not once a record's level demands TLS. It is one switch for the whole node; give the same to
        O(mailfleet.smtp_hardening.smtp_tls_mode#module:client.tls_required_no).
    type: bool
"""

EXAMPLES = r"""
- name: Mail for a partner goes to its gateway, verified, or waits
  mailfleet.smtp_hardening.smtp_domain_policy:
    domains:
      - name: partner.example
        level: secure
        route: "[mx.partner.example]:25"
        match: [mx.partner.example]

- name: These domains and no others
  mailfleet.smtp_hardening.smtp_domain_policy:
    exclusive: true
    domains:
      - {name: example.com, local: true, route: "[mailstore.example.com]:24"}
      - {name: bank.example, level: encrypt}

- name: An agent sends over TLS with a certificate of the fleet's CA, a partner with the key that we know
  mailfleet.smtp_hardening.smtp_domain_policy:
    domains:
      - {name: agency.example, incoming: {client_certificates: require}}
      - name: partner.example
        incoming: {pins: ["{{ partner_key_sha256 }}"]}
        owner: mail-team@example.com
        expires: 2027-03-31
    unlisted_senders: reject

- name: A provider where TLS comes first, and whose hosts have many names
  mailfleet.smtp_hardening.smtp_domain_policy:
    domains:
      - name: shop.example
        level: secure
        route: "[smtp.provider.example]:465"
        servername: nexthop

- name: See in the log what would be refused, before it is
  mailfleet.smtp_hardening.smtp_domain_policy:
    domains:
      - {name: supplier.example, level: secure, incoming: {level: encrypt}, mode: testing}

- name: All domains from a file
  mailfleet.smtp_hardening.smtp_domain_policy:
    src: domains.csv
    exclusive: true
"""

RETURN = r"""
before:
  description: The records before.
  returned: success
  type: list
  elements: dict
  sample: []
after:
  description: The records after, or in check mode those that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - name: partner.example
      subdomains: false
      level: secure
      match: [mx.partner.example]
      minimum_protocol: null
      ciphers: null
      servername: null
      requiretls: null
      route: "smtp:[mx.partner.example]:25"
      implicit_tls: false
      local: false
      incoming: null
      mode: enforce
      expires: null
      owner: null
      reason: null
expired:
  description: The domains whose records have expired.
  returned: success
  type: list
  elements: str
  sample: [supplier.example]
unlisted_senders:
  description: What becomes of mail from domains that no record lets in.
  returned: success
  type: str
  sample: accept
pending:
  description: What differed in C(main.cf), as parameters to set and to take out.
  returned: success
  type: dict
  sample: {set: {transport_maps: "lmdb:/etc/postfix/smtp_hardening/domains/1/transport"}, unset: [], services: []}
next_hops:
  description: >-
    The routes' hosts that records hold to more than before, or to something else (other names, protocols, CAs), each asked by
    Postfix's own client before the change, as in M(mailfleet.smtp_hardening.smtp_tls_mode), 64 at most; C(login) is whether a name
    and a password that the node has for it (C(secrets) of M(mailfleet.smtp_hardening.smtp_settings)) were taken. No mail is sent.
  returned: success
  type: list
  elements: dict
  sample: []
lowered:
  description: What protects less than before, which C(allow_weaker) let pass (in check mode, would).
  returned: success
  type: list
  elements: dict
  sample: []
proof:
  description: What each listener of the node showed after the change, as in M(mailfleet.smtp_hardening.smtp_tls_mode).
  returned: success, and when the proof fails
  type: list
  elements: dict
  sample: []
unproven:
  description: >-
    The listeners that the last proven change let pass by name (O(unproven)), each with the C(problem) that stood in the way of
    its proof. Of this run, or of an earlier one.
  returned: success
  type: list
  elements: dict
  sample: []
restored:
  description: The configuration was brought back to what it was.
  returned: when a change failed after something was written
  type: bool
  sample: true
interrupted:
  description: >-
    A change that was killed in the middle and that this run has found and undone (in check mode, would undo), with the
    module, the task and the time that began it.
  returned: always; null where there was none
  type: dict
  sample: null
"""

from typing import Callable, FrozenSet, Iterator, List, Union

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificates.validity import utc_now
from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._errors import InvalidValue
from ..module_utils._model.allowance import read_allowance
from ..module_utils._model.domains import Mode, RequireTls, read_domains
from ..module_utils._model.incoming import Unlisted
from ..module_utils._model.levels import VERIFY_WARNING, CipherGrade, ClientLevel, Protocol
from ..module_utils._model.words import map_name
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.domain_checks import check_shadowed
from ..module_utils._postfix.domains import DomainPlan, DomainWish, plan_domains
from ..module_utils._postfix.incoming import bypassed
from ..module_utils._postfix.state import State, read_state
from ..module_utils._proof import resolver
from ..module_utils._task.asking import Asked, Change, ask_first
from ..module_utils._task.work import CHANGE_ARGUMENTS, bring_about, unmet
from ..module_utils._transaction.journal import Author

INCOMING_ARGUMENTS = {
    "level": {"type": "str", "choices": ["may", "encrypt"], "default": "encrypt"},
    "client_certificates": {"type": "str", "choices": ["ignore", "require"]},
    "pins": {"type": "list", "elements": "str", "default": []},
}
DOMAIN_ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "subdomains": {"type": "bool", "default": False},
    "level": {"type": "str", "choices": ClientLevel.words()},
    "match": {"type": "list", "elements": "str", "default": []},
    "minimum_protocol": {"type": "str", "choices": Protocol.words()},
    "ciphers": {"type": "str", "choices": CipherGrade.words()},
    "servername": {"type": "str"},
    "requiretls": {"type": "str", "choices": RequireTls.words()},
    "route": {"type": "str"},
    "implicit_tls": {"type": "bool"},
    "local": {"type": "bool", "default": False},
    "incoming": {"type": "dict", "options": INCOMING_ARGUMENTS},
    "mode": {"type": "str", "choices": Mode.words(), "default": "enforce"},
    "expires": {"type": "str"},
    "owner": {"type": "str"},
    "reason": {"type": "str"},
}


def wish(options: Options) -> DomainWish:
    if options["src"] is not None:
        raise InvalidValue("src", options["src"], "is read on the controller, by the action plugin", "run it by a task")
    present, absent = read_domains(options["domains"] or ())
    unlisted, sources = options["unlisted_senders"], options["policy_sources"]
    return DomainWish(
        records=tuple(present),
        absent=tuple(absent),
        exclusive=options["exclusive"],
        unlisted=None if unlisted is None else Unlisted.read("unlisted_senders", unlisted),
        sources=None if sources is None else tuple(map_name("policy_sources", source) for source in sources),
        tls_required_no=options["tls_required_no"],
        from_nothing=options["exclusive"] and read_allowance(options["allow_weaker"]).everything,
    )


def work(postfix: Postfix, options: Options, check_mode: bool) -> Union[Result, Callable[[], Result]]:
    """Where a record holds a next hop to more than before, that is asked first, without the lock."""
    wanted = wish(options)
    state = read_state(postfix)
    today = utc_now().date()
    domains = plan_domains(state, wanted, today)
    expired = domains.expired(today)
    check_shadowed(postfix, state, domains.plan)
    dnssec = resolver.unmet(state, options["dnssec_test"]) if domains.uses_dane else None
    lacking = unmet(check_mode, domains.unmet, dnssec)
    change = Change(domains.plan, read_allowance(options["allow_weaker"], _said(options)), check_mode)

    def carry_out(asked: Asked) -> Result:
        brought = bring_about(
            postfix,
            state,
            domains.plan,
            check_mode=check_mode,
            author=Author("smtp_domain_policy", options["task"]),
            compared=asked.compared,
            unproven=options.get("unproven"),
        )
        told = [*warnings(state, domains, expired), *lacking, *brought["warnings"], *asked.warnings()]
        return {**brought, **facts(domains), "expired": expired, "next_hops": asked.facts(), "warnings": told}

    return ask_first(postfix, state, change, carry_out)


def facts(domains: DomainPlan) -> Result:
    """The records on both sides of the change."""
    return {
        "before": [record.as_facts() for record in domains.before],
        "after": [record.as_facts() for record in domains.after],
        "unlisted_senders": domains.unlisted.value,
    }


def _said(options: Options) -> FrozenSet[str]:
    """Names to match are what records say; other sources of policies, and what a header may do, are named by the task."""
    said = {"policy": "policy_sources", "tls_required_enable": "tls_required_no"}
    return frozenset(["match", *(item for item, option in said.items() if options[option] is not None)])


def warnings(state: State, domains: DomainPlan, expired: List[str]) -> Iterator[str]:
    if expired:
        yield (
            f"{_some(expired)} expired: the default level holds for mail to it, and incoming counts as not said"
            f"{', so that mail from it is refused' if domains.unlisted is Unlisted.REJECT else ''}; "
            "renew the record (expires) or take it out."
        )
    if domains.unlisted is not Unlisted.ACCEPT or any(record.incoming for record in domains.after):
        for service in bypassed(state):
            yield f"master.cf: {service} overrides smtpd_sender_restrictions, so nothing is demanded of mail that comes in there."
    verify = [record.name for record in domains.after if record.level is ClientLevel.VERIFY]
    if verify:
        yield f"{_some(verify)}: {VERIFY_WARNING}"


def _some(names: List[str]) -> str:
    """Names enough to know what is meant."""
    rest = len(names) - 5
    return ", ".join(names[:5]) + (f" and {rest} more" if rest > 0 else "")


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "domains": {"type": "list", "elements": "dict", "options": DOMAIN_ARGUMENTS},
            "src": {"type": "path"},
            "exclusive": {"type": "bool", "default": False},
            "unlisted_senders": {"type": "str", "choices": Unlisted.words()},
            "policy_sources": {"type": "list", "elements": "str"},
            "tls_required_no": {"type": "bool"},
            "dnssec_test": resolver.DNSSEC_ARGUMENTS,
            "allow_weaker": {"type": "raw", "default": False},
            **CHANGE_ARGUMENTS,
        },
        required_one_of=[("domains", "src")],
        mutually_exclusive=[("domains", "src")],
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
