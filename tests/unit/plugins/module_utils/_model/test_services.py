# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    ClientCertificates,
    ClientLevel,
    Protocol,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.services import (
    ServicePolicy,
    read_services,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("submission", "submission/inet"),
        ("submission/inet", "submission/inet"),
        (587, "587/inet"),
        ("127.0.0.1:10025", "127.0.0.1:10025/inet"),
        ("[::1]:25", "[::1]:25/inet"),
        ("smtp/unix", "smtp/unix"),
        ("smtpd/pass", "smtpd/pass"),
        ("postlog/unix-dgram", "postlog/unix-dgram"),
    ],
)
def test_a_service_is_named_as_in_master_cf_and_inet_where_no_type_is_given(written, name):
    assert [service.name for service in read_services([{"name": written, "level": "may"}])] == [name]


@pytest.mark.parametrize(
    "name", ["", "/inet", "smtp inet", "smtp\n", "smtp/inet/level", "a=b", "smtp/inet ", "smtp/udp"]
)
def test_what_can_be_no_service_is_refused_with_how_to_write_one(name):
    with pytest.raises(InvalidValue) as refusal:
        read_services([{"name": "smtp", "level": "may"}, {"name": name, "level": "may"}])
    assert str(refusal.value) == (
        f"services[1].name: {name!r} is no service; write name/type as in the first two columns of master.cf (master(5))."
    )


@pytest.mark.parametrize("items", [None, []])
def test_no_services_are_asked_for_by_default(items):
    assert read_services(items) == ()


def test_what_is_asked_of_a_service_is_read_in_postfixs_words():
    item = {
        "name": "465",
        "level": "encrypt",
        "client_certificates": "require",
        "minimum_protocol": "TLSv1.3",
        "wrapper_mode": True,
    }
    assert read_services([item]) == (
        ServicePolicy("465/inet", ClientLevel.ENCRYPT, ClientCertificates.REQUIRE, Protocol.TLS_1_3, True),
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"level": "strict"}, "services[smtp/inet].level: 'strict' is not known; use one of none, may, encrypt, dane"),
        (
            {"client_certificates": "yes"},
            "services[smtp/inet].client_certificates: 'yes' is not known; use one of ignore",
        ),
        (
            {"minimum_protocol": "SSLv3"},
            "services[smtp/inet].minimum_protocol: 'SSLv3' is not known; use one of TLSv1, TLSv1.1",
        ),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_its_service(given, sentence):
    with pytest.raises(InvalidValue) as refusal:
        read_services([{"name": "smtp", **given}])
    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize("given", [{}, {"level": None}, {"level": None, "wrapper_mode": None}])
def test_a_service_of_which_nothing_is_said_is_refused(given):
    with pytest.raises(InvalidValue) as refusal:
        read_services([{"name": "smtp", **given}])
    assert str(refusal.value) == (
        "services: 'smtp/inet' says nothing about the service; "
        "give it a level, client_certificates, a protocol or a mode."
    )


def test_wrapper_mode_off_says_something():
    assert read_services([{"name": "smtp", "wrapper_mode": False}]) == (ServicePolicy("smtp/inet", wrapper_mode=False),)


def test_a_service_may_be_listed_once_however_it_is_written():
    with pytest.raises(InvalidValue) as refusal:
        read_services([{"name": "smtp", "level": "may"}, {"name": "smtp/inet", "level": "encrypt"}])
    assert str(refusal.value) == "services: 'smtp/inet' is listed twice; keep one entry per service."
