# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state, read_version


@pytest.mark.parametrize(("text", "version"), [("3.5.25", (3, 5)), ("3.10.13", (3, 10)), ("3.12-20260101", (3, 12))])
def test_a_version_is_read_as_numbers(text, version):
    assert read_version(text) == version


def test_a_folder_without_main_cf_is_named(node, tmp_path):
    with pytest.raises(InvalidValue, match="holds no main.cf; install Postfix first"):
        read_state(node.postfix.at(str(tmp_path)))


def test_state_is_read_with_four_commands(node):
    read_state(node.postfix)
    assert [argv[3] for argv in node.commands] == ["-n", "-x", "-M", "-P"]


def test_overrides_of_master_cf_stand_with_their_service(node):
    node.services += "submission inet n - y - - smtpd\n    -o smtpd_tls_security_level=may\n"
    node.overrides = "submission/inet/smtpd_tls_security_level = may\n"
    service = read_state(node.postfix).service("submission", "inet")
    assert service.command == "smtpd"
    assert service.overrides == {"smtpd_tls_security_level": "may"}
