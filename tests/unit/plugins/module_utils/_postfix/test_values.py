# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix makes of values that an operator wrote."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    CipherGrade,
    ClientLevel,
    Protocol,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.values import (
    admitted,
    client_level,
    colon_list,
    floor,
    is_yes,
    known,
    lowest,
    server_level,
)

OLD, NEW = (3, 5), (3, 10)
ALL = "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ALL),
        ("!SSLv2, !SSLv3", ALL),
        ("!SSLv2 !SSLv3 !TLSv1 !TLSv1.1", "TLSv1.2 TLSv1.3"),
        ("!SSLv2:!SSLv3:!TLSv1", "TLSv1.1 TLSv1.2 TLSv1.3"),
        ("!sslv2,!tlsV1", "TLSv1.1 TLSv1.2 TLSv1.3"),
        ("!TLSv1.3", "TLSv1 TLSv1.1 TLSv1.2"),
        ("!TLSv1.1", "TLSv1 TLSv1.2 TLSv1.3"),
        ("TLSv1.2", "TLSv1.2"),
        ("TLSv1.2 TLSv1.3", "TLSv1.2 TLSv1.3"),
        ("TLSV1.2:tlsv1.3", "TLSv1.2 TLSv1.3"),
        ("TLSv1, TLSv1.2, !TLSv1", "TLSv1.2"),
        ("!SSLv2, TLSv1.2", "TLSv1.2"),
        ("SSLv3, TLSv1", "TLSv1"),
        ("SSLv3", ""),
        ("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2, !TLSv1.3", ""),
    ],
)
@pytest.mark.parametrize("version", [OLD, NEW])
def test_names_let_protocols_in_and_an_exclamation_mark_keeps_them_out(text, names, version):
    assert {str(protocol) for protocol in admitted(text, version)} == set(names.split())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (">=TLSv1", ALL),
        (">=TLSv1.2", "TLSv1.2 TLSv1.3"),
        (">=tlsv1.2", "TLSv1.2 TLSv1.3"),
        (">=SSLv3", ALL),
        (">=none", ALL),
        (">=TLSv1.1 <=TLSv1.2", "TLSv1.1 TLSv1.2"),
        ("<=TLSv1.2", "TLSv1 TLSv1.1 TLSv1.2"),
        ("<=None", ALL),
        ("<=TLSv1.1, >=TLSv1.3", ""),
        (">=TLSv1.1, !TLSv1.2", "TLSv1.1 TLSv1.3"),
        (">=TLSv1.2, TLSv1.1 TLSv1.3", "TLSv1.3"),
        (">=TLSv1.3 >=TLSv1.1", "TLSv1.1 TLSv1.2 TLSv1.3"),
        (">=0303", "TLSv1.2 TLSv1.3"),
        (">=303", "TLSv1.2 TLSv1.3"),
        (">=0x0303", "TLSv1.2 TLSv1.3"),
        (">=0X304", "TLSv1.3"),
        ("<=0302", "TLSv1 TLSv1.1"),
        (">=0", ALL),
        (">=0305", ""),
        (">= TLSv1.2", "TLSv1.2"),
        (">=", ALL),
    ],
)
def test_from_3_6_on_bounds_are_names_or_hexadecimal_digits(text, names):
    assert {str(protocol) for protocol in admitted(text, NEW)} == set(names.split())
    assert admitted(text, OLD) == frozenset(), "Postfix 3.5 knows no bounds and makes no session"


@pytest.mark.parametrize(
    "text",
    ["bogus", "TLSv1.4", "!bogus", ">=bogus", ">=SSLv2", "<=TLS1.2", "!!TLSv1", "TLSv1.2, x", ">=0x", "=>TLSv1.2"],
)
def test_a_list_that_postfix_finds_invalid_admits_nothing(text):
    assert admitted(text, NEW) == frozenset()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Protocol.TLS_1_0),
        (">=TLSv1.2, <=TLSv1.3", Protocol.TLS_1_2),
        ("TLSv1.3 TLSv1.1", Protocol.TLS_1_1),
        ("bogus", None),
    ],
)
def test_the_lowest_version_of_an_operators_list_is_its_floor(text, found):
    assert lowest(admitted(text, NEW)) is found
    assert floor({"mail_version": "3.10.13", "smtp_tls_protocols": text}, "smtp_tls_protocols") is found


@pytest.mark.parametrize(
    ("text", "yes"), [("yes", True), ("YES", True), ("Yes", True), ("no", False), ("", False), ("1", False)]
)
def test_a_boolean_is_taken_in_any_case(text, yes):
    assert is_yes(text) is yes


@pytest.mark.parametrize(
    ("kind", "text", "word"),
    [
        (ClientLevel, "Dane-Only", ClientLevel.DANE_ONLY),
        (ClientLevel, "halfdane", None),
        (ClientLevel, "", None),
        (ServerLevel, "ENCRYPT", ServerLevel.ENCRYPT),
        (CipherGrade, "High", CipherGrade.HIGH),
        (CipherGrade, "export", None),
        (CipherGrade, "null", None),
    ],
)
def test_a_word_of_a_table_is_taken_in_any_case(kind, text, word):
    assert known(kind, text) is word


@pytest.mark.parametrize(
    ("text", "items"),
    [("", ()), ("a", ("a",)), ("a, b", ("a", "b")), ("a:b c", ("a", "b", "c")), (" a:,b ", ("a", "b"))],
)
def test_colons_part_items_too(text, items):
    assert colon_list(text) == items


@pytest.mark.parametrize(
    ("parameters", "level"),
    [
        ({}, "none"),
        ({"smtpd_tls_security_level": ""}, "none"),
        ({"smtpd_tls_security_level": "none"}, "none"),
        ({"smtpd_tls_security_level": "May"}, "may"),
        ({"smtpd_tls_security_level": "encrypt"}, "encrypt"),
        *(({"smtpd_tls_security_level": level}, "encrypt") for level in ("fingerprint", "verify", "SECURE")),
        ({"smtpd_use_tls": "yes"}, "may"),
        ({"smtpd_enforce_tls": "YES"}, "encrypt"),
        ({"smtpd_enforce_tls": "yes", "smtpd_use_tls": "no"}, "encrypt"),
        ({"smtpd_tls_security_level": "none", "smtpd_enforce_tls": "yes"}, "none"),
        ({"smtpd_tls_security_level": "may", "smtpd_enforce_tls": "yes"}, "may"),
        ({"smtpd_tls_wrappermode": "yes"}, "encrypt"),
        ({"smtpd_tls_wrappermode": "YES", "smtpd_tls_security_level": "none"}, "encrypt"),
        ({"smtpd_tls_wrappermode": "no", "smtpd_tls_security_level": "may"}, "may"),
    ],
)
def test_a_server_level_is_what_smtpd_makes_of_it(parameters, level):
    assert server_level(parameters) == level


@pytest.mark.parametrize(
    ("parameters", "level"),
    [
        ({"postscreen_tls_security_level": "encrypt"}, "encrypt"),
        ({"postscreen_enforce_tls": "yes"}, "encrypt"),
        ({"postscreen_use_tls": "yes"}, "may"),
        ({"smtpd_tls_security_level": "encrypt"}, "none"),
        ({"smtpd_tls_wrappermode": "yes", "postscreen_tls_security_level": "may"}, "may"),
    ],
)
def test_postscreen_has_parameters_of_its_own(parameters, level):
    assert server_level(parameters, "postscreen") == level


@pytest.mark.parametrize("prefix", ["smtp", "lmtp"])
@pytest.mark.parametrize(
    ("parameters", "level"),
    [
        ({}, "none"),
        *(({"tls_security_level": level.value.upper()}, level.value) for level in ClientLevel),
        ({"use_tls": "yes"}, "may"),
        ({"enforce_tls": "yes"}, "encrypt"),
        ({"enforce_tls": "yes", "tls_enforce_peername": "yes"}, "verify"),
        ({"enforce_tls": "yes", "tls_enforce_peername": "no"}, "encrypt"),
        ({"tls_security_level": "none", "enforce_tls": "yes"}, "none"),
    ],
)
def test_a_client_level_is_what_the_client_makes_of_it(prefix, parameters, level):
    assert client_level({f"{prefix}_{name}": value for name, value in parameters.items()}, prefix) == level
