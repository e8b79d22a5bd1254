# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that exist already: PEM, PKCS#12, and what another tool renews."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    certificates_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SERVED, apply, pem, plan, wish
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12


def archive(chain, passphrase=None):
    secret = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    data = pkcs12.serialize_key_and_certificates(b"mx1", chain.key, chain.leaf, chain.certificates[1:], secret)
    return {"archive": base64.b64encode(data).decode(), "passphrase": passphrase}


def external(chain, folder):
    paths = {"private_key": folder / "mx.key", "certificate": folder / "mx.crt"}
    paths["private_key"].write_bytes(write_key(chain.key))
    paths["certificate"].write_bytes(certificates_pem(chain.certificates))
    return {"tool": "other", "hook": True, **{name: str(path) for name, path in paths.items()}}


def offer(provider, chain, folder):
    """The options of a provider that brings this chain."""
    if provider == "pem":
        return pem(chain)
    return archive(chain, "secret") if provider == "pkcs12" else external(chain, folder)


@pytest.mark.parametrize("provider", ["pem", "pkcs12", "external"])
def test_what_exists_is_taken_once_and_again_when_it_is_another(trusting_node, issue, tmp_path, provider):
    first, second = issue(), issue()
    taken = apply(trusting_node, wish(provider, offer(provider, first, tmp_path), **SERVED))
    assert taken.chains[0].certificates == first.certificates
    assert not plan(trusting_node, wish(provider, offer(provider, first, tmp_path), **SERVED)).plan.changed
    renewed = apply(trusting_node, wish(provider, offer(provider, second, tmp_path)))
    assert renewed.reason == "another certificate is given"
    assert trusting_node.state.explicit["smtpd_tls_chain_files"] == renewed.path


@pytest.mark.parametrize("provider", ["pem", "pkcs12", "external"])
@pytest.mark.parametrize("over", [{"renew_now": True}, {"renew_before": 999}])
def test_what_others_renew_is_not_renewed_here(trusting_node, issue, tmp_path, provider, over):
    given = offer(provider, issue(), tmp_path)
    apply(trusting_node, wish(provider, given))
    assert plan(trusting_node, wish(provider, given, **over)).reason is None


@pytest.mark.parametrize("provider", ["pem", "pkcs12", "external"])
def test_a_chain_is_completed_from_the_trust_file(node, hierarchy, tmp_path, provider):
    root, issuing, chain = hierarchy
    write(node.store("trust", "1.pem"), certificates_pem([root, issuing[0]]))
    given = offer(provider, Chain(chain.key, chain.certificates[:1]), tmp_path)
    (stored,) = apply(node, wish(provider, given, **SERVED)).chains
    assert stored.certificates == chain.certificates
    assert plan(node, wish(provider, given, **SERVED)).reason is None
