# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.trust import NOTHING
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.registry import PROVIDERS
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import read

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
EXTERNAL = {"tool": "lego", "private_key": "/lego/mx.key", "certificate": "/lego/mx.crt"}
GIVEN = {
    "own_ca": {"ca_certificate": CA},
    "pem": {"private_key": CA, "certificate": CA},
    "pkcs12": {"archive": "/a.p12"},
    "external": EXTERNAL,
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_task_is_read_by_the_provider_that_it_names(provider):
    asked = read(provider, GIVEN.get(provider), name="public", use=["server"])
    assert asked.provider.__class__ is PROVIDERS[provider]
    assert (asked.wish.name, asked.wish.use, asked.provider.name) == ("public", ("server",), provider)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in ("own_ca", "external")])
def test_another_provider_brings_no_ca_into_trust(provider):
    given = {"private_key": CA, "certificate": CA, "archive": "/a.p12", "ca_certificate": CA}
    assert read(provider, given).wish.trust == NOTHING


def test_what_a_task_trusts_comes_after_what_its_provider_brings():
    wish = read("own_ca", {"ca_certificate": CA}, trust={"authorities": ["another"]}).wish
    assert wish.trust.authorities == (CA.encode(), b"another")


def test_whom_a_task_trusts_is_read_with_it():
    with pytest.raises(InvalidValue, match="^trust.pins: 'AB' is not a SHA-256 fingerprint"):
        read("self_signed", None, trust={"pins": ["AB"]})
