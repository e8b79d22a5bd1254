# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of smtp_tls_cert as the module gets them, and what a node does with one."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    requested_names,
    sign_request,
    split_requests,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import public_bytes, write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store, supply
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.certificates import plan_certificate
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.registry import read_task
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import signing
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change

DEFAULTS = {
    "name": "default",
    "state": "present",
    "use": [],
    "withdraw": [],
    "sni": None,
    "renew_before": 30,
    "renew_now": False,
    "renew_key": "replace",
    "accept": [],
    "send_root": False,
    "published_tlsa": [],
    "unproven": None,
    "trust": None,
    **dict.fromkeys(["self_signed", "csr", "own_ca", "pem", "pkcs12", "external"]),
    "task": None,
}
SMALL = {"key_type": "ecdsa"}
"""Options of a key that is made at once."""
MADE_HERE = ["self_signed", "csr", "own_ca"]
BOTH = {"key_type": "both", "key_size": 2048}
SERVED = {"use": ["server"]}


def task(provider="self_signed", given=None, **over):
    """The options of a task; ``given`` are those of the provider itself."""
    return {**DEFAULTS, "provider": provider, provider: given, **over}


def wish(provider="self_signed", given=None, host="mx1.example.com", **over):
    """What a task asks, with the files of this machine."""
    return read_task(task(provider, given, **over), host, store.read_given)


def read(provider="self_signed", given=None, **over):
    """The same on a node where any file can be read, and says which it is."""
    return read_task(task(provider, given, **over), "mx1.example.com", lambda _option, path: f"read {path}".encode())


def plan(node, wanted, check_mode=False):
    return plan_certificate(node.state, wanted, node.run, check_mode)


def apply(node, wanted):
    """Plan, keep what is to be kept, and carry the plan out, as the module does."""
    planned = plan(node, wanted)
    if planned.keeps:
        signing.keep(node.state, wanted.wish, planned.next)
    if planned.plan.changed:
        change(node, planned.plan)
    return planned


def pem(chain, **over):
    """The options of ``provider: pem`` for a chain."""
    key, certificates = write_key(chain.key).decode(), certificates_pem(chain.certificates).decode()
    return {"private_key": key, "certificate": certificates, "passphrase": None, **over}


def sign(request, ca, names=("mx1.example.com",), days=90):
    """What a CA answers to the requests in PEM."""
    spec = CertificateSpec(tuple(names), days)
    leaves = [sign_request(part, spec, *ca, utc_now()) for part in split_requests(request)]
    return certificates_pem(leaves).decode()


def public(chains):
    return [public_bytes(chain.key.public_key()) for chain in chains]


def records(chains):
    return [tlsa.of_key(chain.key.public_key()) for chain in chains]


class Fleet:
    """Tasks of each provider on one node, with the CA's part played between two calls."""

    def __init__(self, node, ca, issue):
        self.node, self.ca, self.issue = node, ca, issue
        self.signed = self.reason = None

    def options(self, provider, given=None):
        given = {**SMALL, **(given or {})}
        if provider == "own_ca":
            given["ca_certificate"] = certificates_pem([self.ca[0]]).decode()
        return given

    def run(self, provider, given=None, **over):
        """Until nothing is awaited but an announcement; the CA signs what is asked for."""
        options = self.options(provider, given)
        if provider == "csr" and self.signed:
            options["certificate"] = self.signed
        planned = apply(self.node, wish(provider, options, **over))
        self.reason = planned.reason
        if planned.awaits != supply.SIGNATURE:
            return planned
        names = requested_names(planned.next.request)[0]
        self.signed = sign(planned.next.request, self.ca, names, options.get("days", 90))
        return apply(self.node, wish(provider, {**options, "certificate": self.signed}, **over))

    def again(self, provider, given=None, **over):
        """What another run of the same task would do."""
        options = self.options(provider, given)
        if provider == "csr":
            options["certificate"] = self.signed
        return plan(self.node, wish(provider, options, **over))
