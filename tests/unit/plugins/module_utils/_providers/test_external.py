# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.external import Renewed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.given import Material
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import read

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
EXTERNAL = {"tool": "lego", "private_key": "/lego/mx.key", "certificate": "/lego/mx.crt", "hook": True}


def test_what_another_tool_renews_is_read_where_it_lies():
    provider = read("external", EXTERNAL).provider
    assert provider.renewed == Renewed("lego", "/lego/mx.key", "/lego/mx.crt")
    assert provider.material == Material(b"read /lego/mx.key", b"read /lego/mx.crt", None)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"private_key": "mx.key"}, "^external.private_key: 'mx.key' is not an absolute"),
        ({"certificate": CA}, "^external.certificate: .+is not an absolute path"),
    ],
)
def test_what_lies_nowhere_is_refused(given, problem):
    with pytest.raises(InvalidValue, match=problem):
        read("external", {**EXTERNAL, **given})
