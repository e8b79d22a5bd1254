# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.routes import Route, read_route


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("[mx.partner.example]", Route("smtp", "[mx.partner.example]")),
        ("[MX.Partner.Example]:25", Route("smtp", "[mx.partner.example]:25")),
        ("partner-mx.example", Route("smtp", "partner-mx.example")),
        ("partner-mx.example:587", Route("smtp", "partner-mx.example:587")),
        ("smtp:partner-mx.example:587", Route("smtp", "partner-mx.example:587")),
        ("smtp:[mx.partner.example]:1", Route("smtp", "[mx.partner.example]:1")),
        ("lmtp:[store.example]:65535", Route("lmtp", "[store.example]:65535")),
        ("lmtp:store.example", Route("lmtp", "store.example")),
        ("[192.0.2.25]", Route("smtp", "[192.0.2.25]")),
        ("[2001:DB8:0::25]", Route("smtp", "[ipv6:2001:db8::25]")),
        ("[IPv6:2001:db8::25]:26", Route("smtp", "[ipv6:2001:db8::25]:26")),
        ("lmtp:[ipv6:::1]:24", Route("lmtp", "[ipv6:::1]:24")),
        ("localhost", Route("smtp", "localhost")),
        ("[smtp.partner.example]:465", Route("smtps", "[smtp.partner.example]:465")),
        ("smtp:[smtp.partner.example]:465", Route("smtps", "[smtp.partner.example]:465")),
        ("smtps:[smtp.partner.example]:2465", Route("smtps", "[smtp.partner.example]:2465")),
        ("smtp-amavis:[127.0.0.1]:10024", Route("smtp-amavis", "[127.0.0.1]:10024")),
        ("relay:[hub.example]:465", Route("relay", "[hub.example]:465")),
        ("dovecot:unix:private/dovecot-lmtp", Route("dovecot", "unix:private/dovecot-lmtp")),
    ],
)
def test_a_route_is_read_and_survives_being_written(text, route):
    assert read_route("route", text) == route
    assert read_route("route", str(route)) == route


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[mx.partner.example",
        "mx.partner.example]",
        "[[mx.partner.example]]",
        "[mx.partner.example]25",
        "[mx.partner.example]:",
        "[mx.partner.example]:smtp",
        "[mx.partner.example]:250000",
        "2001:db8::25",
        "smtp:unix:private/store",
        "lmtp:unix:two words",
        "lmtp:/var/run/dovecot/lmtp",
        "lmtp:inet:store.example:24",
        "a b:[mx.partner.example]",
        "smtp:",
        "smtp::25",
        "[mx.partner.example]:25 ",
        "[mx.partner.example]:25\n",
    ],
)
def test_what_is_no_next_hop_is_refused_in_one_sentence(text):
    with pytest.raises(InvalidValue) as refusal:
        read_route("domains[0].route", text)
    assert str(refusal.value) == (
        f"domains[0].route: {text!r} is not a next hop; "
        "write [host]:port, [host], or a domain whose MX to ask, as in [mx.partner.example]:25, or a socket, as in "
        "lmtp:unix:private/dovecot-lmtp."
    )


@pytest.mark.parametrize(
    ("text", "implicit_tls", "route"),
    [
        ("[smtp.partner.example]:465", False, Route("smtp", "[smtp.partner.example]:465")),
        ("[smtp.partner.example]:465", True, Route("smtps", "[smtp.partner.example]:465")),
        ("smtp:[smtp.partner.example]:2465", True, Route("smtps", "[smtp.partner.example]:2465")),
        ("smtps:smtp.partner.example", True, Route("smtps", "smtp.partner.example")),
    ],
)
def test_whether_tls_comes_first_is_said_or_follows_from_the_port(text, implicit_tls, route):
    assert read_route("route", text, implicit_tls) == route
    assert read_route("route", str(route), route.implicit_tls) == route


@pytest.mark.parametrize(("text", "said"), [("relay:[a.example]", True), ("smtps:a.example", False)])
def test_a_transport_says_by_itself_whether_tls_comes_first(text, said):
    with pytest.raises(
        InvalidValue, match="leave one of them out: master.cf says of a transport whether TLS comes first"
    ):
        read_route("route", text, said)


@pytest.mark.parametrize("port", ["0", "65536", "99999", "00000"])
def test_a_port_that_no_host_has_is_refused(port):
    with pytest.raises(InvalidValue) as refusal:
        read_route("route", f"[mx.partner.example]:{port}")
    assert str(refusal.value) == (
        f"route: '[mx.partner.example]:{port}' has the port {port}; use a port from 1 to 65535."
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[mx partner.example]", "is not a domain name"),
        (" ", "is not a domain name"),
        ("mx partner.example", "is not a domain name"),
        ("[mx.partner.example\nother.example]", "is not a domain name"),
        ("[192.0.2.256.]", "is not a domain name"),
        ("[2001:db8::g]", "is not a domain name"),
        ("[münchen.example]", "A-label"),
        ("münchen.example", "A-label"),
        ("[.partner.example]", "is not a domain name"),
        (".partner.example", "is not a domain name"),
        ("$relayhost", "is not a domain name"),
        ("user@partner.example", "is not a domain name"),
        ("a" * 64, "is not a domain name"),
    ],
)
def test_a_next_hop_must_be_a_host(text, problem):
    with pytest.raises(InvalidValue, match=problem):
        read_route("route", text)


@pytest.mark.parametrize("zone", ["eth0 secure", "eth0\nother.example\tsmtp:mx.other.example", "$x", "a,b"])
def test_a_zone_of_an_address_cannot_carry_more_into_a_table(zone):
    with pytest.raises(InvalidValue):
        read_route("route", f"[fe80::1%{zone}]")


@pytest.mark.parametrize("text", ["192.0.2.25", "192.0.2.25:26", "smtp:192.0.2.25"])
def test_an_address_needs_brackets(text):
    """transport(5): without them Postfix asks DNS for the MX records of a domain of that name."""
    with pytest.raises(InvalidValue) as refusal:
        read_route("route", text)
    assert str(refusal.value) == f"route: {text!r} is an address without brackets; write [192.0.2.25]."


@pytest.mark.parametrize("value", [25, None, True, 1.5, [], {}, ["[mx.partner.example]"]])
def test_a_value_of_another_type_is_refused_or_read_as_its_text(value):
    try:
        assert read_route("route", value).next_hop == str(value).lower()
    except InvalidValue as refusal:
        assert refusal.option == "route"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("mx.example", "mx.example"),
        ("mx.example:26", "mx.example"),
        ("[mx.example]", "mx.example"),
        ("[mx.example]:26", "mx.example"),
        ("[192.0.2.25]:26", "192.0.2.25"),
        ("[2001:db8::25]", "ipv6:2001:db8::25"),
        ("[2001:db8::25]:26", "ipv6:2001:db8::25"),
    ],
)
def test_the_host_of_a_next_hop_has_neither_brackets_nor_port(text, host):
    assert read_route("route", text).host == host
