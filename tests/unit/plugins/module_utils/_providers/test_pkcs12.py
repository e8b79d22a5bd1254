# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.pkcs12 import Pkcs12
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import read


@pytest.mark.parametrize(
    ("given", "archive"),
    [
        ({"archive": "/a.p12"}, Pkcs12(b"read /a.p12", None)),
        ({"archive": base64.b64encode(b"\x30\x82").decode(), "passphrase": "secret"}, Pkcs12(b"\x30\x82", "secret")),
        ({"archive": base64.encodebytes(b"\x30" * 99).decode()}, Pkcs12(b"\x30" * 99, None)),
    ],
)
def test_an_archive_is_a_file_on_the_node_or_base64_with_or_without_line_breaks(given, archive):
    assert read("pkcs12", given).provider == archive


def test_what_cannot_be_meant_is_refused():
    problem = "^pkcs12.archive: .+is neither an absolute path on the node nor Base64; give a path, or the content"
    with pytest.raises(InvalidValue, match=problem):
        read("pkcs12", {"archive": "files/cluster.p12"})


def test_a_refusal_names_the_option_and_says_what_to_do():
    with pytest.raises(InvalidValue) as refusal:
        read("pkcs12", {"archive": "MIIEvQ!"})
    assert str(refusal.value) == (
        "pkcs12.archive: '(not shown)' is neither an absolute path on the node nor Base64; "
        "give a path, or the content through the filter b64encode."
    )


def test_a_secret_that_cannot_be_read_is_never_repeated():
    with pytest.raises(InvalidValue) as refusal:
        read("pkcs12", {"archive": "MIIEvQIBADANBgkqhkiG9w0B!"})
    assert "MIIEvQ" not in str(refusal.value)
