#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_tls_mode
short_description: Set how Postfix protects SMTP as a server and as a client, proven on the wire
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Brings the TLS parameters of one Postfix instance to a profile, to single values, or to a profile with single
    values in place of the profile's own.
  - Only the parameters behind the given options are set or taken out; every other byte of C(main.cf) stays.
  - After a change the module talks SMTP to each of the node's own listeners. Where the wire shows something else than
    what was asked, C(/etc/postfix) is restored byte for byte, Postfix is reloaded and the task fails.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.ratchet
  - mailfleet.smtp_hardening.smtp.dnssec
  - mailfleet.smtp_hardening.smtp.attributes
options:
  profile:
    description:
      - The set of values to begin with.
      - V(lenient_default) is for hosts that face the Internet and must deliver. STARTTLS is offered and used where the
        peer can (RFC 3207, RFC 7435), TLS 1.2 at least (RFC 8996), no client certificates.
      - V(trusted_agents_strict) is for hosts that obey the same rules. TLS 1.3 and certificates of one CA are required
        both ways. Active certificates must be CA-signed, current, strong and name the host (O(server.ca_file)).
      - Without a profile only the values given in O(server) and O(client) are owned.
    type: str
    choices: [lenient_default, trusted_agents_strict]
  server:
    description: How mail is received (C(smtpd_*) parameters). What is left out comes from O(profile), or stays as it is.
    type: dict
    suboptions:
      level:
        description:
          - V(none) refuses STARTTLS, V(may) offers it, V(encrypt) requires it (C(smtpd_tls_security_level)).
          - A server that receives from the Internet must not use V(encrypt) (RFC 3207 section 4).
        type: str
        choices: [none, may, encrypt]
      client_certificates:
        description:
          - Whether connecting peers are asked for a certificate (C(smtpd_tls_ask_ccert), C(smtpd_tls_req_ccert)).
          - V(require) needs O(server.level=encrypt) and O(server.ca_file).
        type: str
        choices: [ignore, request, require]
      minimum_protocol:
        description: The oldest TLS version that is spoken, with and without requirement (C(smtpd_tls_protocols), C(smtpd_tls_mandatory_protocols)).
        type: str
        choices: [TLSv1, TLSv1.1, TLSv1.2, TLSv1.3]
      ciphers:
        description: The minimum cipher grade for TLS 1.2 and below (C(smtpd_tls_ciphers), C(smtpd_tls_mandatory_ciphers)).
        type: str
        choices: [medium, high]
      exclude_ciphers:
        description: OpenSSL names of ciphers or families never to use (C(smtpd_tls_exclude_ciphers)). An empty list excludes none.
        type: list
        elements: str
      ca_file:
        description:
          - PEM file on the node with the CAs that client certificates are verified with (C(smtpd_tls_CAfile)).
            It alone decides, so C(smtpd_tls_CApath) is taken out.
          - With O(profile=trusted_agents_strict) the default is the store's trust file, which
            M(mailfleet.smtp_hardening.smtp_tls_cert) writes with C(provider=own_ca).
        type: path
  client:
    description: How mail is sent (C(smtp_*) parameters). What is left out comes from O(profile), or stays as it is.
    type: dict
    suboptions:
      level:
        description:
          - The level toward next hops that have no policy of their own (C(smtp_tls_security_level)).
          - V(secure) is preferred over V(verify), which trusts MX names from insecure DNS.
          - V(dane) and V(dane-only) need a validating resolver on loopback (RFC 7672).
        type: str
        choices: [none, may, encrypt, dane, dane-only, fingerprint, verify, secure]
      minimum_protocol:
        description: The oldest TLS version that is spoken (C(smtp_tls_protocols), C(smtp_tls_mandatory_protocols)).
        type: str
        choices: [TLSv1, TLSv1.1, TLSv1.2, TLSv1.3]
      ciphers:
        description: The minimum cipher grade for TLS 1.2 and below (C(smtp_tls_ciphers), C(smtp_tls_mandatory_ciphers)).
        type: str
        choices: [medium, high]
      exclude_ciphers:
        description: OpenSSL names of ciphers or families never to use (C(smtp_tls_exclude_ciphers)). An empty list excludes none.
        type: list
        elements: str
      ca_file:
        description:
          - PEM file on the node with the CAs that servers are verified with (C(smtp_tls_CAfile)). It alone decides, so
            C(smtp_tls_CApath) is taken out.
          - The default with O(profile=trusted_agents_strict) is as for O(server.ca_file).
        type: path
      match:
        description:
          - What a server's certificate must match at O(client.level). DNS names, C(.domain), or C(nexthop),
            C(dot-nexthop), C(hostname) for V(secure) and V(verify); SHA-256 fingerprints for V(fingerprint).
          - An empty list leaves it to Postfix's default, which at V(secure) is the next hop's own name.
        type: list
        elements: str
      connection_reuse:
        description:
          - Whether one TLS connection carries several messages (C(smtp_tls_connection_reuse)). The service C(tlsproxy)
            that it needs is added to C(master.cf) where it is missing.
        type: bool
      tls_required_no:
        description:
          - Whether a message with the header C(TLS-Required) with the value C(no) (RFC 8689 section 5) goes out without the TLS that its level
            demands (C(tls_required_enable), Postfix 3.10). Any sender can write that header.
          - Left out, it does not where O(client.level) demands TLS. Reports on TLS (RFC 8460 section 5.3) carry it, so they wait
            with the rest of the mail while the domain that they go to fails its level.
          - Give the same to M(mailfleet.smtp_hardening.smtp_domain_policy).
        type: bool
  services:
    description:
      - What holds for single services of C(master.cf), set as C(-o) overrides there, which win over C(main.cf)
        (master(5)). Whatever is not named here must not undermine O(server) and O(client), or the task fails and names
        the service.
    type: list
    elements: dict
    suboptions:
      name:
        description: The service as C(name/type) in the first two columns of C(master.cf). C(/inet) may be left out.
        type: str
        required: true
      level:
        description: As O(server.level) for a C(smtpd) service, as O(client.level) for an C(smtp) one.
        type: str
        choices: [none, may, encrypt, dane, dane-only, fingerprint, verify, secure]
      client_certificates:
        description: As O(server.client_certificates), for a C(smtpd) service.
        type: str
        choices: [ignore, request, require]
      minimum_protocol:
        description: As O(server.minimum_protocol).
        type: str
        choices: [TLSv1, TLSv1.1, TLSv1.2, TLSv1.3]
      wrapper_mode:
        description: Whether TLS comes before SMTP (RFC 8314, C(smtpd_tls_wrappermode)), for a C(smtpd) service.
        type: bool
"""

EXAMPLES = r"""
- name: Deliver always, encrypt where the peer can
  mailfleet.smtp_hardening.smtp_tls_mode:
    profile: lenient_default

- name: Trust only agents whose certificates our CA issued, but let old agents speak TLS 1.2
  mailfleet.smtp_hardening.smtp_tls_mode:
    profile: trusted_agents_strict
    server:
      minimum_protocol: TLSv1.2
      ca_file: /etc/ssl/fleet-ca.pem
    client:
      minimum_protocol: TLSv1.2
      ca_file: /etc/ssl/fleet-ca.pem

- name: Require TLS, but let the content filter on loopback hand mail back without it
  mailfleet.smtp_hardening.smtp_tls_mode:
    server:
      level: encrypt
    services:
      - {name: "127.0.0.1:10025", level: none}
      - {name: submission, level: encrypt, client_certificates: ignore}

- name: Raise the protocol floor and leave everything else as it is
  mailfleet.smtp_hardening.smtp_tls_mode:
    server:
      minimum_protocol: TLSv1.2
"""

RETURN = r"""
before:
  description: The policies in effect before, as C(server) and C(client).
  returned: success
  type: dict
  sample:
    server: {level: may, client_certificates: ignore, minimum_protocol: TLSv1, ciphers: medium, exclude_ciphers: [], ca_file: ""}
    client:
      level: may
      minimum_protocol: TLSv1
      ciphers: medium
      exclude_ciphers: []
      ca_file: ""
      match: []
      connection_reuse: false
      tls_required_no: false
after:
  description: The policies in effect after, or in check mode those that would be.
  returned: success
  type: dict
  sample:
    server: {level: may, client_certificates: ignore, minimum_protocol: TLSv1.2, ciphers: medium, exclude_ciphers: [], ca_file: ""}
    client:
      level: may
      minimum_protocol: TLSv1.2
      ciphers: medium
      exclude_ciphers: []
      ca_file: ""
      match: []
      connection_reuse: false
      tls_required_no: false
next_hops:
  description: >-
    Where a level rises, the next hops that C(main.cf) and C(master.cf) name themselves (smarthosts, routes, content filters),
    each asked at the level that is to hold: C(delivered), or the C(reason) why mail for it would wait. In check mode too.
  returned: success
  type: list
  elements: dict
  sample:
    - service: smtp/unix
      next_hop: "[smtp.provider.example]:587"
      by: relayhost
      level: secure
      delivered: true
      tls: Verified
      reason: null
      login: null
kept:
  description: >-
    Ciphers that were stricter than the profile's and stay, by option: a grade, exclusions. O(allow_weaker) with that name lets
    the profile's take their place.
  returned: success
  type: dict
  sample: {server.ciphers: high}
pending:
  description: What differed from the request, as parameters to set, to take out, and C(master.cf) entries to add.
  returned: success
  type: dict
  sample: {set: {smtpd_tls_protocols: ">=TLSv1.2"}, unset: [], services: [], services_gone: [], overrides: {}, contents: []}
lowered:
  description: What protects less than before, which C(allow_weaker) let pass (in check mode, would).
  returned: success
  type: list
  elements: dict
  sample: []
proof:
  description: What each listener of the node showed after the change. Empty where nothing changed and in check mode.
  returned: success, and when the proof fails
  type: list
  elements: dict
  sample:
    - service: smtp/inet
      listener: 127.0.0.1:25
      implicit_tls: false
      starttls: true
      plaintext: accepted
      plaintext_reply: 250 2.1.0 Ok
      protocols: {TLSv1: refused, TLSv1.1: refused, TLSv1.2: accepted, TLSv1.3: accepted}
      protocol: TLSv1.3
      cipher: TLS_AES_256_GCM_SHA384
      client_certificate: ignore
      with_own_certificate: null
      verified: null
      verify_error: null
      source: null
      proxy_protocol: {}
      error: null
      unproven: null
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


from typing import Callable, FrozenSet, NamedTuple, Union

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._conduct import conduct
from ..module_utils._edge import Options, Result
from ..module_utils._model.allowance import read_allowance
from ..module_utils._model.options import arguments
from ..module_utils._model.policies import ClientPolicy, ServerPolicy, as_facts, read_client_policy, read_server_policy
from ..module_utils._model.services import ServicePolicy, read_services
from ..module_utils._postfix.commands import Postfix
from ..module_utils._postfix.mode import ModePlan, Wish, plan_mode
from ..module_utils._postfix.state import State, read_state
from ..module_utils._profiles import PROFILES, find_profile
from ..module_utils._proof import resolver
from ..module_utils._task.asking import Asked, Change, ask_first
from ..module_utils._task.work import CHANGE_ARGUMENTS, bring_about, unmet
from ..module_utils._transaction.journal import Author

SERVICE_ARGUMENTS = {"name": {"type": "str", "required": True}, **arguments(ServicePolicy)}


def work(postfix: Postfix, options: Options, check_mode: bool) -> Union[Result, Callable[[], Result]]:
    """Where a level rises, the next hops that main.cf names are asked first, without the lock."""
    wish = Wish(
        profile=find_profile(options["profile"]),
        server=read_server_policy(options["server"]),
        client=read_client_policy(options["client"]),
        services=read_services(options["services"]),
        allowance=read_allowance(options["allow_weaker"], _said(options)),
    )
    state = read_state(postfix)
    mode = plan_mode(state, wish, postfix.run)
    change = Change(mode.plan, wish.allowance, check_mode)
    return ask_first(
        postfix, state, change, lambda asked: carry_out(postfix, state, Planned(wish, mode, asked), options, check_mode)
    )


class Planned(NamedTuple):
    """What is to be done, and what was seen before."""

    wish: Wish
    mode: ModePlan
    asked: Asked


def carry_out(postfix: Postfix, state: State, planned: Planned, options: Options, check_mode: bool) -> Result:
    wish, mode, asked = planned
    dnssec = resolver.unmet(state, options["dnssec_test"]) if wish.uses_dane else None
    lacking = unmet(check_mode, mode.unmet, dnssec)
    author = Author("smtp_tls_mode", options["task"])
    brought = bring_about(
        postfix,
        state,
        mode.plan,
        check_mode=check_mode,
        author=author,
        compared=asked.compared,
        unproven=options.get("unproven"),
    )
    return {
        **brought,
        "before": {"server": as_facts(mode.server_before), "client": as_facts(mode.client_before)},
        "after": {"server": as_facts(mode.server_after), "client": as_facts(mode.client_after)},
        "kept": dict(mode.kept),
        "next_hops": asked.facts(),
        "warnings": [*mode.warnings, *lacking, *brought["warnings"], *asked.warnings()],
    }


def _said(options: Options) -> FrozenSet[str]:
    """What the task asks for by name: other CAs, other names to match, what a header may do."""
    given = [options["server"] or {}, options["client"] or {}]
    said = {"trust": "ca_file", "match": "match", "tls_required_enable": "tls_required_no"}
    return frozenset(item for item, option in said.items() if any(side.get(option) is not None for side in given))


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "profile": {"type": "str", "choices": list(PROFILES)},
            "server": {"type": "dict", "options": arguments(ServerPolicy)},
            "client": {"type": "dict", "options": arguments(ClientPolicy)},
            "services": {"type": "list", "elements": "dict", "options": SERVICE_ARGUMENTS},
            "dnssec_test": resolver.DNSSEC_ARGUMENTS,
            "allow_weaker": {"type": "raw", "default": False},
            **CHANGE_ARGUMENTS,
        },
        required_one_of=[("profile", "server", "client", "services")],
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
