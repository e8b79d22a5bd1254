# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of smtp_tls_cert as the module gets them, and what a node does with one."""

from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _signing
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    sign_request,
    split_requests,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import read_wish
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.certificates import plan_certificate
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
    "trust": None,
    **dict.fromkeys(["self_signed", "csr", "own_ca", "pem", "pkcs12", "external"]),
    "task": None,
}
SMALL = {"key_type": "ecdsa"}
"""Options of a key that is made at once."""


def task(provider="self_signed", given=None, **over):
    """The options of a task; ``given`` are those of the provider itself."""
    return {**DEFAULTS, "provider": provider, provider: given, **over}


def wish(provider="self_signed", given=None, host="mx1.example.com", **over):
    return read_wish(task(provider, given, **over), host, store.read_given)


def plan(node, wanted, check_mode=False):
    return plan_certificate(node.state, wanted, check_mode)


def apply(node, wanted):
    """Plan, keep what is to be kept, and carry the plan out, as the module does."""
    planned = plan(node, wanted)
    if planned.keeps:
        _signing.keep(node.state, wanted, planned.next)
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
