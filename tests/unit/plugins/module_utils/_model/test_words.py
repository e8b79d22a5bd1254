# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model import words

PIN = ":".join(["0A"] * 32)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("partner.example", "partner.example"),
        ("Partner.EXAMPLE", "partner.example"),
        ("localhost", "localhost"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("_smtp.partner.example", "_smtp.partner.example"),
        ("x" * 63 + ".example", "x" * 63 + ".example"),
        (".".join(["x" * 62] * 4), ".".join(["x" * 62] * 4)),
    ],
)
def test_a_domain_name_is_taken_in_lower_case(given, name):
    assert words.domain_name("domains[0].name", given) == name


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            "münchen.example",
            "names: 'münchen.example' is an internationalized name; write its A-label, as in xn--mnchen-3ya.example.",
        ),
        (
            "",
            "names: '' is not a domain name; "
            "write labels of letters, digits and hyphens joined by dots, as in partner.example.",
        ),
        (
            "-a.example",
            "names: '-a.example' is not a domain name; "
            "write labels of letters, digits and hyphens joined by dots, as in partner.example.",
        ),
    ],
)
def test_a_name_that_dns_does_not_know_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        words.domain_name("names", given)
    assert str(refusal.value) == sentence
    assert refusal.value.option == "names"


@pytest.mark.parametrize(
    "given",
    [
        "a..example",
        ".example",
        "partner.example.",
        "a-.example",
        "a b.example",
        "a$b.example",
        "a\n",
        "a\tb",
        "[192.0.2.1]",
    ],
)
def test_a_word_that_would_break_a_table_is_no_domain_name(given):
    with pytest.raises(InvalidValue, match="is not a domain name"):
        words.domain_name("names", given)


def test_a_name_may_be_253_characters_long_and_no_longer():
    longest = ".".join(["x" * 63, "x" * 63, "x" * 63, "x" * 61])
    assert words.domain_name("names", longest) == longest
    with pytest.raises(InvalidValue, match="is longer than 253 characters; DNS has no such name"):
        words.domain_name("names", longest + "x")


@pytest.mark.parametrize("path", ["/etc/ssl/ca.pem", "/a-b_c/d.e+f"])
def test_an_absolute_path_is_taken_as_it_is(path):
    assert words.absolute_path("client.ca_file", path) == path


@pytest.mark.parametrize("path", ["/a b", "/a,b", "/$config_directory/ca", "/a\nb", "/a\tb", "/a\x7f"])
def test_a_path_that_main_cf_would_read_as_something_else_is_refused(path):
    with pytest.raises(InvalidValue, match="holds a blank, a comma, '\\$' or a control character"):
        words.absolute_path("client.ca_file", path)


@pytest.mark.parametrize("path", ["ca.pem", "", "./ca.pem", "~/ca.pem"])
def test_a_relative_path_is_refused_with_an_example(path):
    with pytest.raises(InvalidValue, match="write the whole path on the node, as in /etc/ssl/fleet-ca.pem"):
        words.absolute_path("client.ca_file", path)


@pytest.mark.parametrize("name", ["aNULL", "AES128-SHA", "kECDH+AESGCM", "TLS_AES_128_GCM_SHA256"])
def test_a_cipher_name_is_taken_as_openssl_spells_it(name):
    assert words.cipher_name("server.exclude_ciphers", name) == name


@pytest.mark.parametrize("name", ["", "aNULL,MD5", "!aNULL", "aNULL:MD5", "a b", "$x", "aNULL\n"])
def test_a_list_of_ciphers_in_one_item_is_refused(name):
    with pytest.raises(InvalidValue, match="use OpenSSL's names, one an item"):
        words.cipher_name("server.exclude_ciphers", name)


@pytest.mark.parametrize("given", [PIN, PIN.lower()])
def test_a_fingerprint_is_compared_in_upper_case(given):
    assert words.fingerprint("client.match", given) == PIN


@pytest.mark.parametrize(
    "given", [PIN[:-3], PIN + ":0A", PIN.replace(":", ""), ":".join(["0A"] * 20), PIN + "\n", "GG" + PIN[2:]]
)
def test_what_is_no_sha_256_fingerprint_is_refused(given):
    with pytest.raises(InvalidValue, match="write 32 hexadecimal pairs joined by colons"):
        words.fingerprint("client.match", given)


@pytest.mark.parametrize("name", ["default", "mx1-2026", "A_b", "a" * 64])
def test_a_certificates_name_becomes_a_folder(name):
    assert words.store_name("name", name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../evil", "a/b", "a b", "-a", "_a", "a.pem", "a" * 65, "a\n"])
def test_a_name_that_leaves_the_store_cannot_name_a_certificate(name):
    with pytest.raises(InvalidValue, match="cannot name a certificate"):
        words.store_name("name", name)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("mx1.example.com", "mx1.example.com"),
        ("*.Example.COM", "*.example.com"),
        ("*.mail.example.com", "*.mail.example.com"),
    ],
)
def test_a_certificate_names_a_host_or_every_host_in_a_domain(given, name):
    assert words.certificate_name("csr.names", given) == name


@pytest.mark.parametrize("given", ["*", "*.", "**.example.com", "mx*.example.com", "mx.*.example.com", "*.*.example"])
def test_a_star_is_the_whole_first_label_or_no_name_at_all(given):
    with pytest.raises(InvalidValue, match="^csr.names: .+ is not a domain name; write labels"):
        words.certificate_name("csr.names", given)


@pytest.mark.parametrize(("given", "name"), [(".Example.net", ".example.net"), ("Example.net", "example.net")])
def test_a_dot_before_a_domain_means_all_names_below_it(given, name):
    assert words.domain_or_below("sni", given) == name


@pytest.mark.parametrize("given", [".", "..example.net", "*.example.net"])
def test_what_is_neither_a_domain_nor_all_below_one_is_refused(given):
    with pytest.raises(InvalidValue, match="^sni: .+ is not a domain name"):
        words.domain_or_below("sni", given)


@pytest.mark.parametrize(
    "given",
    [
        "socketmap:inet:127.0.0.1:8461:postfix",
        "hash:/etc/postfix/own",
        "socketmap:unix:/run/sts/socket:postfix",
        "proxy:mysql:/etc/postfix/own.cf",
        "static:secure",
    ],
)
def test_a_lookup_table_is_taken_as_postfix_writes_it(given):
    assert words.map_name("policy_sources", given) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "hash",
        "hash:",
        ":x",
        "/etc/postfix/own",
        "Hash:/x",
        "hash:/a b",
        "hash:/a,hash:/b",
        "inline:{a=b}",
        "hash:$x/y",
        "hash:/x\n",
        None,
        5,
        [],
    ],
)
def test_what_a_list_in_main_cf_cannot_hold_is_no_lookup_table(given):
    with pytest.raises(InvalidValue) as refusal:
        words.map_name("policy_sources", given)
    assert str(refusal.value) == (
        f"policy_sources: {given!r} is not a lookup table; "
        "write type:name, as in socketmap:inet:127.0.0.1:8461:postfix."
    )


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        (words.domain_name, "x" * 254, "is longer than 253 characters; DNS has no such name (RFC 1035)."),
        (
            words.absolute_path,
            "/a b",
            "holds a blank, a comma, '$' or a control character; Postfix would read something else; rename the file.",
        ),
        (
            words.absolute_path,
            "ca.pem",
            "is not an absolute path; write the whole path on the node, as in /etc/ssl/fleet-ca.pem.",
        ),
        (
            words.cipher_name,
            "a b",
            "is not a cipher name; use OpenSSL's names, one an item, as in aNULL or AES128-SHA.",
        ),
        (
            words.fingerprint,
            "AB",
            "is not a SHA-256 fingerprint; write 32 hexadecimal pairs joined by colons, as posttls-finger prints them.",
        ),
        (
            words.store_name,
            "../evil",
            "cannot name a certificate; use up to 64 letters, digits, '-' and '_', as in default.",
        ),
    ],
)
def test_a_word_is_refused_with_option_value_and_remedy(read, value, sentence):
    with pytest.raises(InvalidValue) as refusal:
        read("the.option", value)
    assert str(refusal.value) == f"the.option: {value!r} {sentence}"


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("mx.bank.example", ["bank.example", "example"]),
        (".bank.example", ["bank.example", "example"]),
        ("example", []),
        (".example", ["example"]),
    ],
)
def test_the_domains_above_a_name_come_nearest_first(name, above):
    assert list(words.domains_above(name)) == above
