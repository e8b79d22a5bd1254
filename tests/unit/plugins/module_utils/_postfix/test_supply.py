# SPDX-License-Identifier: GPL-3.0-or-later
"""What this node adds to a certificate, wherever that comes from."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    SMALL,
    wish,
)


def test_the_cas_known_here_are_those_of_the_task_of_the_store_and_of_the_system(
    monkeypatch, trusting_node, tmp_path, fleet_ca, hierarchy
):
    root, issuing, _chain = hierarchy
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates_pem([root]))
    monkeypatch.setattr(supply.trust, "SYSTEM_BUNDLES", (str(tmp_path / "none"), str(bundle)))
    wanted = wish("self_signed", SMALL, trust={"authorities": [certificates_pem([issuing[0]]).decode()]})
    assert supply.issuers_known(trusting_node.state, wanted.wish, wanted.provider.issuers()) == (
        issuing[0],
        fleet_ca[0],
        root,
    )


def test_a_ca_that_cannot_be_read_is_named_by_its_option(node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    wanted = wish("own_ca", given, trust={"authorities": ["-----BEGIN nothing"]})
    with pytest.raises(CertificateError, match="^trust.authorities: holds no certificate in PEM"):
        supply.issuers_known(node.state, wanted.wish, wanted.provider.issuers())
