# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    certificates_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.given import Material
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SERVED, apply, pem, read, wish

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("given", "material"),
    [
        ({"private_key": "/k", "certificate": "/c"}, Material(b"read /k", b"read /c", None)),
        (
            {"private_key": CA, "certificate": "/c", "passphrase": "secret"},
            Material(CA.encode(), b"read /c", "secret"),
        ),
    ],
)
def test_a_pem_certificate_is_content_or_files_on_the_node(given, material):
    assert read("pem", given).provider.material == material


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"private_key": "key.pem", "certificate": CA}, "^pem.private_key: .+is neither PEM nor an absolute path"),
        ({"private_key": CA, "certificate": "c.pem"}, "^pem.certificate: 'c.pem' is not an absolute path"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, problem):
    with pytest.raises(InvalidValue, match=problem):
        read("pem", given)


@pytest.mark.parametrize(("key", "said"), [("pki/mx1.key", "pki/mx1.key"), ("MIIEvQ", "(not shown)")])
def test_a_refusal_names_option_and_value_and_says_what_to_do(key, said):
    with pytest.raises(InvalidValue) as refusal:
        read("pem", {"private_key": key, "certificate": CA})
    assert str(refusal.value) == (
        f"pem.private_key: '{said}' is neither PEM nor an absolute path on the node; give one of the two."
    )


def test_a_secret_that_cannot_be_read_is_never_repeated():
    with pytest.raises(InvalidValue) as refusal:
        read("pem", {"private_key": "MIIEvQIBADANBgkqhkiG9w0B\nAQEFAASC", "certificate": CA})
    assert "MIIEvQ" not in str(refusal.value)


def test_a_chain_is_completed_from_the_authorities_of_the_task(node, hierarchy):
    root, issuing, chain = hierarchy
    authorities = [certificates_pem([ca]).decode() for ca in (root, issuing[0])]
    wanted = wish("pem", pem(Chain(chain.key, chain.certificates[:1])), trust={"authorities": authorities})
    assert apply(node, wanted).chains[0].certificates == chain.certificates


def test_two_keys_in_one_file_make_two_chains(trusting_node, issue):
    chains = issue(), issue(kind=("rsa", 2048))
    given = {
        "private_key": "".join(write_key(chain.key).decode() for chain in chains),
        "certificate": "".join(certificates_pem(chain.certificates).decode() for chain in reversed(chains)),
    }
    planned = apply(trusting_node, wish("pem", given, **SERVED))
    assert [chain.leaf for chain in planned.chains] == [chain.leaf for chain in chains]
