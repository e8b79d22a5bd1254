# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.named import files_of, is_there, missing
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("smtpd_tls_chain_files", "/a.pem, /b.pem", ["/a.pem", "/b.pem"]),
        ("smtpd_tls_cert_file", "/a.pem", ["/a.pem"]),
        ("smtpd_tls_cert_file", "none", []),
        ("smtp_tls_CAfile", "/ca.pem", ["/ca.pem"]),
        ("smtp_tls_CApath", "/etc/ssl/certs", ["/etc/ssl/certs"]),
        ("transport_maps", "hash:/a, proxy:lmdb:/b regexp:/c", ["/a", "/b", "/c"]),
        ("smtpd_client_restrictions", "check_client_access hash:/a, permit", ["/a"]),
        ("smtpd_client_restrictions", "{ check_client_access cdb:/a }", ["/a"]),
        ("virtual_alias_maps", "mysql:/a, ldap:/b, static:/c, inline:{/d=e}", []),
        ("smtpd_tls_session_cache_database", "btree:/var/lib/postfix/cache", []),
        ("postscreen_cache_map", "btree:/var/lib/postfix/cache", []),
        ("address_verify_map", "btree:/var/lib/postfix/verify", []),
        ("maillog_file", "/var/log/postfix.log", []),
        ("queue_directory", "/var/spool/postfix", []),
        ("smtpd_tls_security_level", "may", []),
    ],
)
def test_files_that_postfix_cannot_do_without_are_found(name, value, found):
    assert list(files_of(name, value)) == found


def test_a_table_is_there_with_its_index(node):
    write(node.path("a.lmdb"), "")
    assert is_there(node.path("a")) and not is_there(node.path("b"))


def test_what_main_cf_and_master_cf_name_and_is_not_there_is_missing(node):
    there = write(node.path("there.pem"), "")
    node.append(f"smtpd_tls_chain_files = {there}, $config_directory/gone.pem\n")
    node.override("smtp/inet/smtpd_tls_CAfile=/no/ca.pem", f"smtp/inet/smtpd_tls_cert_file={there}")
    assert missing(node.state) == {node.path("gone.pem"), "/no/ca.pem"}
