# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.tlsa import Record
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import (
    PROVIDERS,
    Archive,
    External,
    Material,
    read_wish,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.trust import NOTHING
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import task

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
NEXT_CA = "-----BEGIN CERTIFICATE-----\nnext\n-----END CERTIFICATE-----\n"
EXTERNAL = {"tool": "lego", "private_key": "/lego/mx.key", "certificate": "/lego/mx.crt", "hook": True}
DIGEST = "9C" * 32


def read(provider="self_signed", given=None, **over):
    return read_wish(task(provider, given, **over), "mx1.example.com", lambda _option, path: f"read {path}".encode())


@pytest.mark.parametrize(
    ("provider", "given", "keys", "days"),
    [
        ("self_signed", None, [("rsa", 4096)], 3650),
        ("self_signed", {"key_type": "both"}, [("ecdsa", 256), ("rsa", 3072)], 3650),
        ("self_signed", {"key_type": "both", "key_size": 4096}, [("ecdsa", 256), ("rsa", 4096)], 3650),
        ("self_signed", {"key_type": "ecdsa", "key_size": 384, "days": 365}, [("ecdsa", 384)], 365),
        ("csr", None, [("ecdsa", 256)], 1),
        ("csr", {"key_type": "rsa"}, [("rsa", 4096)], 1),
        ("own_ca", {"ca_certificate": CA}, [("ecdsa", 256)], 90),
        ("own_ca", {"ca_certificate": CA, "key_type": "rsa", "key_size": None, "days": 40}, [("rsa", 4096)], 40),
    ],
)
def test_a_key_that_is_made_here_is_of_the_kind_that_suits_its_provider(provider, given, keys, days):
    wish = read(provider, given)
    assert wish.keys == tuple(KeySpec(*key) for key in keys)
    assert (wish.spec.names, wish.spec.days) == (("mx1.example.com",), days)


def test_a_certificate_names_whom_the_task_lists_wildcards_among_them():
    wish = read("csr", {"names": ["MX1.example.com", "*.example.com"]})
    assert wish.spec.names == ("mx1.example.com", "*.example.com")


@pytest.mark.parametrize("provider", ["csr", "own_ca"])
@pytest.mark.parametrize(
    ("given", "signed"), [(None, None), (CA, CA.encode()), ("/pki/mx1.pem", b"read /pki/mx1.pem"), ("", None)]
)
def test_what_a_ca_has_signed_is_content_or_a_file_on_the_node(provider, given, signed):
    assert read(provider, {"ca_certificate": CA, "certificate": given}).signed == signed


def test_a_fleet_certificate_brings_its_ca_and_the_next_one_and_trusts_both():
    wish = read("own_ca", {"ca_certificate": CA, "next_ca": {"ca_certificate": NEXT_CA}})
    assert wish.ca_certificates == CA.encode()
    assert wish.trust.authorities == (CA.encode(), NEXT_CA.encode())


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in ("own_ca", "external")])
def test_another_provider_brings_no_ca_into_trust(provider):
    given = {"private_key": CA, "certificate": CA, "archive": "/a.p12", "ca_certificate": CA}
    assert read(provider, given).trust == NOTHING


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
    assert read("pem", given).material == material


@pytest.mark.parametrize(
    ("given", "archive"),
    [
        ({"archive": "/a.p12"}, Archive(b"read /a.p12", None)),
        ({"archive": base64.b64encode(b"\x30\x82").decode(), "passphrase": "secret"}, Archive(b"\x30\x82", "secret")),
        ({"archive": base64.encodebytes(b"\x30" * 99).decode()}, Archive(b"\x30" * 99, None)),
    ],
)
def test_an_archive_is_a_file_on_the_node_or_base64_with_or_without_line_breaks(given, archive):
    assert read("pkcs12", given).archive == archive


def test_what_another_tool_renews_is_read_where_it_lies():
    wish = read("external", EXTERNAL)
    assert wish.external == External("lego", "/lego/mx.key", "/lego/mx.crt")
    assert wish.material == Material(b"read /lego/mx.key", b"read /lego/mx.crt", None)


def test_a_stored_certificate_needs_nothing_but_its_name():
    wish = read("stored", None, name="public", use=["server"], withdraw=["client"])
    assert (wish.name, wish.use, wish.withdraw) == ("public", ("server",), ("client",))
    assert (wish.keys, wish.spec, wish.material, wish.archive) == ((), None, None, None)


@pytest.mark.parametrize(
    ("given", "hosts"),
    [(None, None), ([], ()), (["Mail.Example.NET", ".example.net"], ("mail.example.net", ".example.net"))],
)
def test_host_names_that_are_left_out_stay_and_an_empty_list_ends_them(given, hosts):
    assert read(sni=given).sni == hosts


@pytest.mark.parametrize(("word", "new"), [("replace", True), ("keep", False)])
def test_a_renewal_brings_a_new_key_or_keeps_the_old_one(word, new):
    assert read(renew_key=word).renew_key is new


def test_options_of_any_certificate_are_passed_on():
    wish = read(accept=["no_san"], send_root=True, renew_now=True, renew_before=5, published_tlsa=[f"3 1 1 {DIGEST}"])
    assert (wish.accept, wish.send_root, wish.renew_now, wish.renew_before) == (("no_san",), True, True, 5)
    assert wish.published_tlsa == (Record(3, 1, 1, DIGEST),)


@pytest.mark.parametrize(
    ("provider", "given", "over", "problem"),
    [
        ("self_signed", {"key_type": "rsa", "key_size": 1024}, {}, "^self_signed.key_size: 1024"),
        ("self_signed", {"key_type": "ecdsa", "key_size": 2048}, {}, "use one of 256, 384.$"),
        ("csr", {"key_type": "both", "key_size": 384}, {}, "^csr.key_size: 384 .+ use one of 2048, 3072, 4096.$"),
        (
            "self_signed",
            {"names": []},
            {},
            r"^self_signed.names: \[\] names nobody; leave the option out for the host's own name",
        ),
        ("csr", {"names": ["not a name"]}, {}, "^csr.names: 'not a name' is not a domain name; write labels"),
        ("own_ca", {"ca_certificate": CA, "names": ["mx.*.example"]}, {}, "^own_ca.names: .+ is not a domain name"),
        ("self_signed", {"days": -1}, {}, "self_signed.days: -1"),
        ("self_signed", {"days": 0}, {}, "^self_signed.days: 0 is no lifetime; use 1 to 36500 days.$"),
        ("own_ca", {"ca_certificate": CA, "days": 36501}, {}, "^own_ca.days: 36501 is no lifetime"),
        (
            "self_signed",
            {"days": 20},
            {},
            "^renew_before: 30 is not shorter than self_signed.days, 20; choose fewer days",
        ),
        ("own_ca", {"ca_certificate": CA}, {"renew_before": 90}, "^renew_before: 90 is not shorter than own_ca.days"),
        ("self_signed", None, {"name": "../evil"}, "^name: '../evil' cannot name a certificate"),
        (
            "self_signed",
            None,
            {"use": ["server"], "withdraw": ["server", "client"]},
            r"^withdraw: \['server', 'client'\] is listed in use as well; decide whether",
        ),
        ("self_signed", None, {"sni": ["*.example.net"]}, "^sni: .+ is not a domain name"),
        (
            "self_signed",
            None,
            {"published_tlsa": [f"3 1 1 {DIGEST}", "1 1 1 9C"]},
            r"^published_tlsa\[1\]: '1 1 1 9C' is no TLSA record that SMTP uses; write usage",
        ),
        ("self_signed", None, {"trust": {"pins": ["AB"]}}, "^trust.pins: 'AB' is not a SHA-256 fingerprint"),
        ("csr", {"certificate": "mx1.pem"}, {}, "^csr.certificate: 'mx1.pem' is not an absolute path"),
        (
            "own_ca",
            {"ca_certificate": "/etc/ca.pem"},
            {},
            "^own_ca.ca_certificate: '/etc/ca.pem' is no certificate in PEM; give the fleet's CA as a path on the controller",
        ),
        ("own_ca", {}, {}, "^own_ca.ca_certificate: None is no certificate in PEM"),
        (
            "pem",
            {"private_key": "key.pem", "certificate": CA},
            {},
            "^pem.private_key: .+is neither PEM nor an absolute path",
        ),
        ("pem", {"private_key": CA, "certificate": "c.pem"}, {}, "^pem.certificate: 'c.pem' is not an absolute path"),
        (
            "pkcs12",
            {"archive": "files/cluster.p12"},
            {},
            "^pkcs12.archive: .+is neither an absolute path on the node nor Base64; give a path, or the content",
        ),
        ("external", {**EXTERNAL, "private_key": "mx.key"}, {}, "^external.private_key: 'mx.key' is not an absolute"),
        ("external", {**EXTERNAL, "certificate": CA}, {}, "^external.certificate: .+is not an absolute path"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(provider, given, over, problem):
    with pytest.raises((InvalidValue, CertificateError), match=problem):
        read(provider, given, **over)


@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("pem", {"private_key": "MIIEvQIBADANBgkqhkiG9w0B\nAQEFAASC", "certificate": CA}),
        ("pkcs12", {"archive": "MIIEvQIBADANBgkqhkiG9w0B!"}),
    ],
)
def test_a_secret_that_cannot_be_read_is_never_repeated(provider, given):
    with pytest.raises(InvalidValue) as refusal:
        read(provider, given)
    assert "MIIEvQ" not in str(refusal.value)


@pytest.mark.parametrize(
    ("provider", "given", "over", "sentence"),
    [
        (
            "self_signed",
            None,
            {"use": ["server"], "withdraw": ["server"]},
            "withdraw: ['server'] is listed in use as well; decide whether the certificate is to be active.",
        ),
        (
            "csr",
            {"names": []},
            {},
            "csr.names: [] names nobody; leave the option out for the host's own name, or list one name at least.",
        ),
        (
            "self_signed",
            {"days": 30},
            {},
            "renew_before: 30 is not shorter than self_signed.days, 30; choose fewer days, or a longer-lived certificate.",
        ),
        (
            "own_ca",
            {"ca_certificate": "/etc/ca.pem"},
            {},
            "own_ca.ca_certificate: '/etc/ca.pem' is no certificate in PEM; "
            "give the fleet's CA as a path on the controller or as content.",
        ),
        (
            "pem",
            {"private_key": "pki/mx1.key", "certificate": CA},
            {},
            "pem.private_key: 'pki/mx1.key' is neither PEM nor an absolute path on the node; give one of the two.",
        ),
        (
            "pem",
            {"private_key": "MIIEvQ", "certificate": CA},
            {},
            "pem.private_key: '(not shown)' is neither PEM nor an absolute path on the node; give one of the two.",
        ),
        (
            "pkcs12",
            {"archive": "MIIEvQ!"},
            {},
            "pkcs12.archive: '(not shown)' is neither an absolute path on the node nor Base64; "
            "give a path, or the content through the filter b64encode.",
        ),
    ],
)
def test_a_refusal_names_option_and_value_and_says_what_to_do(provider, given, over, sentence):
    with pytest.raises(InvalidValue) as refusal:
        read(provider, given, **over)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(("days", "renew_before"), [(31, 30), (1, 0), (36500, 36499)])
def test_a_certificate_that_outlives_renew_before_by_a_day_is_made(days, renew_before):
    assert read("self_signed", {"days": days}, renew_before=renew_before).spec.days == days
