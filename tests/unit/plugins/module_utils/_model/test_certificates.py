# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.tlsa import Record
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import Reading, read_wish
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.trust import NOTHING
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import task

CA = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
DIGEST = "9C" * 32
READING = Reading("mx1.example.com", 30, lambda option, path: f"{option} {path}".encode())


def read(**over):
    return read_wish(task(**over))


def test_a_wish_that_is_left_to_itself_needs_nothing_but_a_name():
    wish = read(name="public", use=["server"], withdraw=["client"])
    assert (wish.name, wish.use, wish.withdraw) == ("public", ("server",), ("client",))
    assert wish.trust == NOTHING


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
    ("over", "problem"),
    [
        ({"name": "../evil"}, "^name: '../evil' cannot name a certificate"),
        (
            {"use": ["server"], "withdraw": ["server", "client"]},
            r"^withdraw: \['server', 'client'\] is listed in use as well; decide whether",
        ),
        ({"sni": ["*.example.net"]}, "^sni: .+ is not a domain name"),
        (
            {"published_tlsa": [f"3 1 1 {DIGEST}", "1 1 1 9C"]},
            r"^published_tlsa\[1\]: '1 1 1 9C' is no TLSA record that SMTP uses; write usage",
        ),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(over, problem):
    with pytest.raises(InvalidValue, match=problem):
        read(**over)


def test_a_refusal_names_option_and_value_and_says_what_to_do():
    with pytest.raises(InvalidValue) as refusal:
        read(use=["server"], withdraw=["server"])
    assert str(refusal.value) == (
        "withdraw: ['server'] is listed in use as well; decide whether the certificate is to be active."
    )


@pytest.mark.parametrize("secret", [False, True])
def test_what_an_option_holds_is_content_or_a_file_on_the_node(secret):
    assert READING.content("pem.certificate", CA, secret) == CA.encode()
    assert READING.content("pem.certificate", "/pki/mx1.pem", secret) == b"pem.certificate /pki/mx1.pem"


@pytest.mark.parametrize(
    ("secret", "problem"), [(False, "is not an absolute path"), (True, "is neither PEM nor an absolute path")]
)
def test_of_what_is_neither_it_is_said_what_was_meant(secret, problem):
    with pytest.raises(InvalidValue, match=f"^pem.certificate: 'mx1.pem' {problem}"):
        READING.content("pem.certificate", "mx1.pem", secret)
