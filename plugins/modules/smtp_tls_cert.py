#!/usr/bin/python
# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_tls_cert
short_description: Keep named certificates on a Postfix node and make them active for receiving and sending
version_added: 0.1.0
author: The mailfleet contributors (@mailfleet)
description:
  - Keeps key and chain of a named certificate in the store below the configuration directory, readable by root alone,
    and names them in C(smtpd_tls_chain_files) and C(smtp_tls_chain_files).
  - A certificate is made anew only where the stored one does not fit the options or is about to expire. Where it was
    active it stays active, with the new key from the same moment on.
  - After a change the module talks SMTP to each of the node's own listeners. Where they do not show the new
    certificate, everything is restored byte for byte and the task fails.
  - With O(provider=own_ca) the controller takes part through an action plugin. The node makes key and request, the
    controller signs, the node installs. The node's key never leaves the node, the CA's key never leaves the controller.
  - Several chains may stand under one name, one for ECDSA and one for RSA. Postfix shows each client what it knows.
extends_documentation_fragment:
  - mailfleet.smtp_hardening.smtp
  - mailfleet.smtp_hardening.smtp.change
  - mailfleet.smtp_hardening.smtp.attributes
requirements:
  - For O(provider=own_ca), the Python library cryptography on the controller too
options:
  name:
    description: The certificate's name in the store. Up to 64 letters, digits, C(-) and C(_).
    type: str
    default: default
  state:
    description: V(absent) deletes the certificate and its key. One that is active, or served by host name, is not deleted.
    type: str
    choices: [present, absent]
    default: present
  provider:
    description:
      - Where the certificate comes from. Its own options stand in the suboption of the same name.
      - V(self_signed) encrypts and proves no identity.
      - V(csr) lets the node make key and request. RV(next.csr) is what a CA signs, O(csr.certificate) is what it answers.
      - V(own_ca) is signed by a CA whose key lies on the controller. The CA's certificate becomes the store's trust file.
      - V(pem) installs a key and certificates that exist already.
      - V(pkcs12) installs the same from a PKCS#12 archive (PFX, RFC 7292).
      - V(external) takes a certificate that another tool on the node renews, and installs a hook that brings each renewal in.
      - V(stored) takes what the store holds, to make it active or to stop that.
    type: str
    choices: [self_signed, csr, own_ca, pem, pkcs12, external, stored]
    default: self_signed
  use:
    description:
      - For what the certificate becomes active. It takes the place of the one that was, in one transaction.
      - A side that is not listed stays as it is.
      - Where an earlier certificate of this name is active on both sides and the renewed one may not be used on one of them, as
        public CAs no longer allow client certificates, the other side is renewed. The one that it does not fit keeps the earlier
        certificate, and each run warns with the days that it has left.
    type: list
    elements: str
    choices: [server, client]
    default: []
  withdraw:
    description:
      - For what the certificate stops being active, or a file that C(main.cf) named before and that is none of the store's.
        Another one takes its place through O(use) instead.
      - V(server) is refused while a listener offers TLS, since a server that does has a certificate.
    type: list
    elements: str
    choices: [server, client]
    default: []
  sni:
    description:
      - Host names for which the server shows this certificate to clients that ask for them (SNI, RFC 6066), and
        C(.domain) for all names below a domain. Clients that ask for none, or for another, are shown the active one.
      - Clients that ask for C(myhostname) are shown the active one too, where it is of the store; an entry for that name, or for all
        names of its domain, follows it.
      - An empty list ends that. Where the option is left out, the names stay as they are.
    type: list
    elements: str
  renew_before:
    description:
      - A certificate whose key was made here and that has fewer days left than this is made anew.
      - What O(provider=own_ca) signs ends with its CA at the latest. Such a certificate is not made anew, since the next one
        would not last longer; each run warns of it until another CA signs (O(own_ca.next_ca), the playbook C(rotate_certificates)).
    type: int
    default: 30
  renew_now:
    description:
      - Make the certificate anew, however many days it has left. Every such run does.
      - Where the new key has to wait (see RV(awaits)), it waits for any later run, with or without this option.
    type: bool
    default: false
  renew_key:
    description:
      - Whether a renewal brings a new key. V(keep) leaves TLSA records and pins of the public key valid.
    type: str
    choices: [replace, keep]
    default: replace
  accept:
    description:
      - Flaws of a certificate, or of the chain above it, that are accepted. Each is an error otherwise.
      - C(openssl verify) on the node judges every chain that others must verify, as they will, for its side and its names and by
        security level 2; what it says stands in the error beside the kind of flaw. A self-signed certificate is not judged so.
      - V(expired), V(not_yet_valid); V(weak_key) below RSA 2048; V(weak_signature) by SHA-1 or MD5; V(no_san), no host in
        the SAN; V(other_host), a SAN that does not cover C(myhostname) or a name in O(sni), where C(.domain) is covered by
        C(*.domain); V(wrong_usage), an extended key
        usage without the side that it is to be active for, or an issuer that may not sign certificates; V(incomplete_chain), an
        issuer that is neither given nor known, up to a root; V(beyond_constraints), a path length or a name constraint of a CA
        that the chain does not keep; V(refused_by_openssl), whatever else C(openssl verify) refuses.
      - V(distrusted_issuer) accepts that the CA of an active certificate is not trusted any more while peers are verified.
    type: list
    elements: str
    choices: [expired, not_yet_valid, weak_key, weak_signature, no_san, other_host, wrong_usage, incomplete_chain, beyond_constraints,
      refused_by_openssl, distrusted_issuer]
    default: []
  send_root:
    description:
      - Whether the root CA's own certificate is sent with the chain. Clients need it only where a TLSA record C(2 1 1) names it
        (RFC 7671 section 5.2). A root that O(pem) or O(pkcs12) bring is sent as it was given.
    type: bool
    default: false
  published_tlsa:
    description:
      - The TLSA records that DNS answers for this node now, each as in a zone file, C(3 1 1 9C41...).
      - Where any are listed, no certificate is served that none of them matches (RFC 7672). A renewal with a new key makes
        that key, returns its record in RV(next.tlsa), and waits until the record is listed here. The first run that lists it
        puts the key in use, whatever else it asks.
      - A list that matches neither what is served nor the key that would be served in its place is refused. Of an ECDSA and an
        RSA certificate side by side, both must be matched.
      - A run that lists nothing knows of no DANE, and serves a new key at once.
    type: list
    elements: str
    default: []
  trust:
    description: Whom this node trusts. What is left out stays as it is.
    type: dict
    suboptions:
      authorities:
        description:
          - CAs that peers' certificates are verified with, beside that of O(own_ca). Each in PEM, as a path on the controller, where a
            relative one is as in O(own_ca.ca_certificate), or as content. Together they become the store's trust file, RV(ca_file),
            in place of what it held.
        type: list
        elements: str
      system:
        description:
          - For which side the CAs of the operating system are trusted as well. On a V(server) that requires client certificates
            they would let in whoever has a certificate of any public CA.
        type: list
        elements: str
        choices: [server, client]
      pins:
        description:
          - SHA-256 of the public keys of peers, as C(posttls-finger) prints them, old and new side by side. Postfix looks at no
            revocation list. Where pins are listed, a client certificate with another key gets no mail in, whatever CA
            issued it (C(check_ccert_access)), and the client level V(fingerprint) takes these servers. A service of C(master.cf)
            with its own C(smtpd_client_restrictions) is not covered.
          - An empty list ends that.
        type: list
        elements: str
  self_signed:
    description: Options of O(provider=self_signed). By default RSA 4096, signed with SHA-256.
    type: dict
    suboptions:
      key_type:
        description:
          - The kind of key. V(both) makes an ECDSA P-256 and an RSA certificate under the one name.
          - V(ed25519) is for peers that are known. OpenSSL 1.1.1 and later, and with it Postfix, verify it (RFC 8410, RFC 8422). Not
            every other TLS library does, and a client that does not gets no TLS.
        type: str
        choices: [rsa, ecdsa, ed25519, both]
        default: rsa
      key_size:
        description: >-
          Bits. 2048, 3072 or 4096 for RSA (default 4096, with O(self_signed.key_type=both) 3072), 256 or 384 for ECDSA
          (default 256), none for Ed25519.
        type: int
      names:
        description: DNS names in the certificate, the first one also as common name. Default is C(myhostname) of the node.
        type: list
        elements: str
      days:
        description: The lifetime. Default is 3650.
        type: int
  csr:
    description: Options of O(provider=csr). By default ECDSA P-256.
    type: dict
    suboptions:
      certificate:
        description:
          - What the CA has signed, with its intermediates, in PEM, in any order, as a path on the node or as content.
          - Leave it in the task. When the certificate is due for renewal, RV(next.csr) comes again and RV(awaits) says so.
        type: str
      key_type:
        description:
          - The kind of key. V(both) makes two keys and two requests, one after the other in RV(next.csr).
          - V(ed25519) is for a CA that signs it and peers that are known. Public CAs do not (CA/Browser Forum, Baseline Requirements
            section 6.1.5). See O(own_ca.key_type).
        type: str
        choices: [rsa, ecdsa, ed25519, both]
        default: ecdsa
      key_size:
        description: Bits. 2048, 3072 or 4096 for RSA (default 4096, with O(csr.key_type=both) 3072), 256 or 384 for ECDSA (default 256), none for Ed25519.
        type: int
      names:
        description: DNS names to ask for, the first one also as common name. Default is C(myhostname) of the node.
        type: list
        elements: str
  own_ca:
    description: Options of O(provider=own_ca). By default ECDSA P-256, which signs faster than RSA.
    type: dict
    suboptions:
      ca_certificate:
        description:
          - The CA's certificate in PEM, as a path on the controller or as content.
          - A relative path is in the folder of the inventory that the host is from, and is refused where that is inside a collection,
            which the next installation deletes, or where the host is from no file (C(-i host,)). C(~) is the user's home.
          - Several certificates, the issuing one first and the root last, where the CA is an intermediate.
        type: str
      ca_private_key:
        description:
          - The CA's private key in PEM, as a path on the controller (a vaulted file too) or as content. It stays on the controller.
          - A relative path is as in O(own_ca.ca_certificate).
        type: str
      ca_passphrase:
        description: The passphrase of O(own_ca.ca_private_key).
        type: str
      ca_create:
        description:
          - Make a CA (ECDSA P-256, 10 years) on the controller at the paths O(own_ca.ca_certificate) and O(own_ca.ca_private_key)
            where neither file exists yet. With O(own_ca.ca_passphrase) the key is encrypted. Keep a copy elsewhere.
          - Refused where the node holds an active certificate of another CA that it trusts, or trusts another instead, unless
            O(trust.authorities) lists that one or O(accept) has V(distrusted_issuer); where a path is inside a collection; and where
            a relative path leads to a folder that does not last, such as C(/tmp).
          - The role trusted_agents_strict and the playbooks make no CA, whatever this says. The playbook C(create_fleet_ca) does.
        type: bool
        default: false
      next_ca:
        description:
          - The CA that will follow. It is trusted from now on and signs nothing yet; a certificate that it has issued already stays.
            See the playbook C(rotate_certificates).
        type: dict
        suboptions:
          ca_certificate:
            description: As O(own_ca.ca_certificate).
            type: str
            required: true
          ca_private_key:
            description: As O(own_ca.ca_private_key). Only its path is used, with O(own_ca.next_ca.ca_create).
            type: str
          ca_passphrase:
            description: As O(own_ca.ca_passphrase).
            type: str
          ca_create:
            description: As O(own_ca.ca_create).
            type: bool
            default: false
      domains:
        description:
          - The controller signs for names in these domains only. That narrows what O(own_ca.names) and the inventory say, and gives
            no node a name that they do not. Where it is left out, names may be in every domain.
        type: list
        elements: str
      certificate:
        description: What the controller signed. Set by the action plugin; not for playbooks.
        type: str
      assigned:
        description: What the node may be called. Set by the action plugin; not for playbooks.
        type: list
        elements: str
      key_type:
        description:
          - The kind of key. V(both) makes an ECDSA P-256 and an RSA certificate under the one name.
          - V(ed25519) is for peers that are known. OpenSSL 1.1.1 and later, and with it Postfix, verify it (RFC 8410, RFC 8422). Not
            every other TLS library does, and a client that does not gets no TLS.
        type: str
        choices: [rsa, ecdsa, ed25519, both]
        default: ecdsa
      key_size:
        description: Bits. 2048, 3072 or 4096 for RSA (default 4096, with O(own_ca.key_type=both) 3072), 256 or 384 for ECDSA (default 256), none for Ed25519.
        type: int
      names:
        description:
          - DNS names in the certificate, the first one also as common name. They are decided on the controller.
          - Left out, it is the host's name in the inventory, which must then be C(myhostname) of the node as well. A node that calls
            itself otherwise is refused by name before anything is signed.
        type: list
        elements: str
      days:
        description: The lifetime, or what the CA itself has left where that is less. Default is 90.
        type: int
  pem:
    description: Options of O(provider=pem).
    type: dict
    suboptions:
      private_key:
        description: The private key in PEM, as a path on the node or as content. Two keys, ECDSA and RSA, for two chains.
        type: str
        required: true
      certificate:
        description: The certificate and its intermediates in PEM, in any order, as a path on the node or as content.
        type: str
        required: true
      passphrase:
        description: The passphrase of O(pem.private_key). The key is stored without it, for root alone.
        type: str
  pkcs12:
    description: Options of O(provider=pkcs12).
    type: dict
    suboptions:
      archive:
        description: The PKCS#12 archive, as an absolute path on the node, or as content in Base64 (the filter P(ansible.builtin.b64encode#filter)).
        type: str
        required: true
      passphrase:
        description: The archive's passphrase. The key is stored without it, for root alone.
        type: str
  external:
    description: Options of O(provider=external).
    type: dict
    suboptions:
      tool:
        description:
          - What renews the certificate. For V(certbot) a deploy hook is installed, for all others a systemd path unit that watches the
            files. A timer looks at what the files hold twice a minute as well, so that links, switched folders and renewals while
            Postfix is stopped are not missed. What fails is tried again; RV(mailfleet.smtp_hardening.smtp_tls_info#module:certificates)
            tells how it ended.
          - Where systemd does not run, as in some containers, a warning shows the command that the tool or cron must run instead.
        type: str
        choices: [certbot, lego, step, certmonger, other]
        required: true
      private_key:
        description: Where the tool keeps the private key, an absolute path on the node.
        type: str
        required: true
      certificate:
        description: Where the tool keeps the certificate with its intermediates, an absolute path on the node.
        type: str
        required: true
      hook:
        description: Whether to install the hook. V(false) leaves what is there; then a run of this task brings renewals in.
        type: bool
        default: true
notes:
  - In check mode no key is made, so the fingerprints of a certificate that would be made are not known and RV(certificate) is V(none).
"""

EXAMPLES = r"""
- name: The Default Cert, self-signed RSA 4096, shown to clients that connect
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: default
    use: [server]

- name: A certificate of the fleet's own CA, for receiving and sending
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: fleet
    provider: own_ca
    own_ca:
      ca_certificate: ca/fleet-ca.pem
      ca_private_key: ca/fleet-ca.key
      ca_passphrase: "{{ fleet_ca_passphrase }}"
      domains: [example.com]
    use: [server, client]

- name: A key that never leaves the node; the first run returns the request, a later one takes the certificate
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: public
    provider: csr
    csr:
      names: [mx.example.com]
      certificate: "{{ lookup('ansible.builtin.file', 'mx.example.com.pem') if mx_is_signed else omit }}"
    use: [server]
  register: public

- name: The same certificate on every node of a cluster
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: cluster
    provider: pkcs12
    pkcs12:
      archive: "{{ lookup('ansible.builtin.file', 'cluster.p12', rstrip=false) | ansible.builtin.b64encode }}"
      passphrase: "{{ cluster_passphrase }}"
    accept: [other_host]
    use: [server]

- name: What certbot renews on the node, brought in by its deploy hook from now on
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: public
    provider: external
    external:
      tool: certbot
      private_key: /etc/letsencrypt/live/mx.example.com/privkey.pem
      certificate: /etc/letsencrypt/live/mx.example.com/fullchain.pem
    use: [server]

- name: Another customer's name on the same server
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: customer
    provider: pem
    pem:
      private_key: /etc/ssl/private/mail.customer.example.key
      certificate: /etc/ssl/mail.customer.example.pem
    sni: [mail.customer.example]

- name: Back to a certificate that is stored already
  mailfleet.smtp_hardening.smtp_tls_cert:
    name: default
    provider: stored
    use: [server]
"""

RETURN = r"""
certificate:
  description:
    - What the certificate says. Never a byte of its key. Of several under one name, the first.
    - Control characters in its names, and others that cannot be seen, are escaped.
    - C(key_type) is V(rsa), V(ecdsa), or the name of another kind with C(key_size) 0, such as V(ed25519) or
      V(mldsa65), also where python3-cryptography on the node cannot read it.
  returned: success, when the certificate exists
  type: dict
  sample:
    subject: CN=mx1.example.com
    issuer: CN=Fleet CA
    self_signed: false
    subject_alternative_names: [mx1.example.com]
    serial: 3F2A
    not_before: "2026-01-01T00:00:00Z"
    not_after: "2026-04-01T00:00:00Z"
    days_left: 89
    key_type: ecdsa
    key_size: 256
    signature_hash: sha256
    certificate_sha256: "5A:0F:(32 pairs)"
    public_key_sha256: "9C:41:(32 pairs)"
    tlsa: ["3 1 1 9C41(64 digits)"]
    tlsa_alternatives: ["3 0 1 5A0F(64 digits)", "3 0 2 77E1(128 digits)", "3 1 2 C0D2(128 digits)"]
    chain: "-----BEGIN CERTIFICATE-----..."
certificates:
  description: The same of each certificate under the name.
  returned: success
  type: list
  elements: dict
  sample: []
chain_file:
  description: The file in the store with the key and its chain; V(none) where there is none.
  returned: success
  type: str
  sample: /etc/postfix/smtp_hardening/certificates/default/1.pem
signing_request:
  description: What the action plugin signs between its two calls. Not for playbooks.
  returned: never to a playbook
  type: dict
  sample: {}
reason:
  description: Why the certificate was made anew, or would be; V(none) where the stored one stays.
  returned: success
  type: str
  sample: no certificate of this name is stored
awaits:
  description: >-
    What a new certificate waits for: V(signature) of a CA for RV(next.csr), or V(announcement) of RV(next.tlsa) in
    O(published_tlsa). The stored certificate stays meanwhile. Told by each run until it has come, whichever run began it.
  returned: success; null where nothing is awaited
  type: str
  sample: signature
next:
  description: The keys that are made and wait on the node, by their public halves, whichever run made them.
  returned: success; null where there are none
  type: dict
  contains:
    csr:
      description: A certificate request for each key, in PEM (RFC 2986).
      type: str
      returned: always
      sample: "-----BEGIN CERTIFICATE REQUEST-----..."
    public_key_sha256:
      description: Fingerprints in Postfix's own format.
      type: list
      elements: str
      returned: always
      sample: ["9C:41:(32 pairs)"]
    tlsa:
      description: The records to publish before the keys are used.
      type: list
      elements: str
      returned: always
      sample: ["3 1 1 9C41(64 digits)"]
    tlsa_alternatives:
      description: For each key in turn, the record by SHA-512 that may be published instead.
      type: list
      elements: str
      returned: always
      sample: ["3 1 2 C0D2(128 digits)"]
active:
  description: For which side the certificate is active.
  returned: success
  type: dict
  sample: {server: true, client: false}
sni:
  description: For which host names clients are shown it.
  returned: success
  type: list
  elements: str
  sample: [mail.customer.example]
ca_file:
  description: The store's trust file, for C(ca_file) of M(mailfleet.smtp_hardening.smtp_tls_mode).
  returned: success
  type: str
  sample: /etc/postfix/smtp_hardening/trust/1.pem
pending:
  description: What differed in C(main.cf), as parameters to set and to take out.
  returned: success
  type: dict
  sample: {set: {smtpd_tls_chain_files: /etc/postfix/smtp_hardening/certificates/default/1.pem}, unset: [], services: []}
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


from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificates.fitness import FLAWS
from ..module_utils._conduct import conduct
from ..module_utils._model.certificates import USES
from ..module_utils._providers.registry import PROVIDERS, REQUIRED_IF, SUBOPTIONS
from ..module_utils._task.renewal import work  # and with it the program that a renewal on the node starts
from ..module_utils._task.work import CHANGE_ARGUMENTS

TRUST_ARGUMENTS = {
    "authorities": {"type": "list", "elements": "str"},
    "system": {"type": "list", "elements": "str", "choices": list(USES)},
    "pins": {"type": "list", "elements": "str"},
}


def main() -> None:
    conduct(
        AnsibleModule,
        work,
        argument_spec={
            "name": {"type": "str", "default": "default"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "provider": {"type": "str", "choices": list(PROVIDERS), "default": "self_signed"},
            "use": {"type": "list", "elements": "str", "choices": list(USES), "default": []},
            "withdraw": {"type": "list", "elements": "str", "choices": list(USES), "default": []},
            "sni": {"type": "list", "elements": "str"},
            "renew_before": {"type": "int", "default": 30},
            "renew_now": {"type": "bool", "default": False},
            "renew_key": {"type": "str", "choices": ["replace", "keep"], "default": "replace", "no_log": False},
            "accept": {"type": "list", "elements": "str", "choices": [*FLAWS, "distrusted_issuer"], "default": []},
            "send_root": {"type": "bool", "default": False},
            "published_tlsa": {"type": "list", "elements": "str", "default": []},
            "trust": {"type": "dict", "options": TRUST_ARGUMENTS},
            **SUBOPTIONS,
            **CHANGE_ARGUMENTS,
        },
        required_if=REQUIRED_IF,
        supports_check_mode=True,
    )


if __name__ == "__main__":
    main()
