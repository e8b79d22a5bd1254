# SPDX-License-Identifier: GPL-3.0-or-later
"""What the SMTP client asks for, and what it then does (smtp_tls_policy.c)."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import ClientLevel
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture import clients
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.clients import (
    Policy,
    find_policy,
    policy_keys,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.plugins.module_utils._posture.configurations import (
    configured,
    said,
    service,
    table,
    weaker,
)

MTA_STS = "socketmap:inet:127.0.0.1:8461:postfix"
DNSSEC = {"smtp_dns_support_level": "dnssec"}


def policy(node, maps, next_hop="a.example", key="smtp/unix", **parameters):
    configuration = configured(node, {f"{key.split('/', maxsplit=1)[0]}_tls_policy_maps": maps, **parameters})
    return find_policy(configuration, service(node, key), next_hop)


def protections(node, parameters=None, entry=None, key="smtp/unix"):
    """What a service does under main.cf, or under an entry for the next hop."""
    configuration = configured(node, parameters)
    found = Policy()
    if entry is not None:
        maps = f"inline:{{ {{ a.example = {entry} }} }}"
        configuration = configured(node, {"smtp_tls_policy_maps": maps})
        found = find_policy(configuration, service(node, key), "a.example")
        assert found.valid
    return said(clients.protections(configuration, service(node, key), found))


@pytest.mark.parametrize(
    ("next_hop", "keys"),
    [
        ("a.example", ["a.example", ".example"]),
        ("mx.a.example", ["mx.a.example", ".a.example", ".example"]),
        ("mx_1.a.example", ["mx_1.a.example", ".a.example", ".example"]),
        ("b\u00fccher.example", ["b\u00fccher.example", ".example"]),
        ("localhost", ["localhost"]),
        ("1.example", ["1.example", ".example"]),
        ("[mx.a.example]", ["[mx.a.example]"]),
        ("[mx.a.example]:587", ["[mx.a.example]:587"]),
        ("mx.a.example:587", ["mx.a.example:587"]),
        ("[192.0.2.1]:25", ["[192.0.2.1]:25"]),
        ("192.0.2.1", ["192.0.2.1"]),
        ("/var/spool/lmtp", ["/var/spool/lmtp"]),
        ("-a.example", ["-a.example"]),
    ],
)
def test_a_bare_name_stands_below_the_domains_above_it_and_all_else_for_itself(next_hop, keys):
    assert policy_keys(next_hop) == keys


ROWS = {
    "a.example": "secure",
    ".a.example": "encrypt",
    ".example": "may",
    "[mx.a.example]": "verify",
    "[mx.a.example]:587": "dane-only",
    "mx.b.example:26": "fingerprint match=AA",
    "/socket": "encrypt",
}


@pytest.mark.parametrize(
    ("next_hop", "key", "level"),
    [
        ("a.example", "a.example", "secure"),
        ("A.Example", "A.Example", "secure"),
        ("mx.a.example", ".a.example", "encrypt"),
        ("mx.y.a.example", ".a.example", "encrypt"),
        ("b.example", ".example", "may"),
        ("[mx.a.example]", "[mx.a.example]", "verify"),
        ("[mx.a.example]:587", "[mx.a.example]:587", "dane-only"),
        ("mx.b.example:26", "mx.b.example:26", "fingerprint"),
        ("[mx.a.example]:25", None, None),
        ("[a.example]", None, None),
        ("a.example:25", None, None),
        ("a.other", None, None),
    ],
)
def test_a_policy_is_found_by_the_next_hop_as_it_is_written(node, next_hop, key, level):
    found = policy(node, table(node, "policy", ROWS), next_hop)
    assert (found.key, found.level and found.level.value, found.valid) == (key, level, True)


@pytest.mark.parametrize(
    ("next_hop", "key"),
    [("inet:[mx.a.example]:587", "[mx.a.example]:587"), ("unix:/socket", "/socket"), ("inet:a.example", "a.example")],
)
def test_lmtp_asks_maps_of_its_own_without_saying_what_kind_of_place_it_is(node, next_hop, key):
    node.services += "lmtp unix - - y - - lmtp\n"
    assert policy(node, table(node, "policy", ROWS), next_hop, "lmtp/unix").key == key
    assert policy(node, "", next_hop, "smtp/unix").key is None


def test_an_override_has_a_service_ask_other_maps(node):
    node.override("relay/unix/smtp_tls_policy_maps=inline:{a.example=secure}")
    assert policy(node, "inline:{ a.example=may }").level == "may"
    assert find_policy(configured(node), service(node, "relay/unix"), "a.example").level == "secure"


@pytest.mark.parametrize(
    ("maps", "per_site", "unknown"),
    [
        (MTA_STS, "", (MTA_STS,)),
        (f"inline:{{ b.example=secure }} {MTA_STS}", "", (MTA_STS,)),
        (f"inline:{{ a.example=secure }} {MTA_STS}", "", ()),
        (f"{MTA_STS}, ldap:/a.cf", "", (MTA_STS, "ldap:/a.cf")),
        ("", "hash:/etc/postfix/per_site", ("hash:/etc/postfix/per_site",)),
        ("inline:{ b.example=secure }", "hash:/etc/postfix/per_site", ()),
    ],
)
def test_what_only_somebody_else_can_answer_is_told_where_no_table_before_it_does(node, maps, per_site, unknown):
    assert policy(node, maps, smtp_tls_per_site=per_site).unknown == unknown


@pytest.mark.parametrize(
    ("entry", "level", "attributes"),
    [
        ("encrypt", "encrypt", {}),
        ("Secure", "secure", {}),
        ("DANE-ONLY", "dane-only", {}),
        ("secure match=mx.example", "secure", {"match": "mx.example"}),
        ("secure, match=mx.example", "secure", {"match": "mx.example"}),
        ("secure MATCH=a:b match=c", "secure", {"match": "a:b c"}),
        ("secure { match = a:b } tafile=/ta.pem", "secure", {"match": "a:b", "tafile": "/ta.pem"}),
        ("may protocols=>=TLSv1.2 ciphers=high", "may", {"protocols": ">=TLSv1.2", "ciphers": "high"}),
        ("encrypt protocols=", "encrypt", {"protocols": ""}),
        ("encrypt exclude=", "encrypt", {"exclude": ""}),
        ("encrypt connection_reuse=YES enable_rpk=no", "encrypt", {"connection_reuse": "YES", "enable_rpk": "no"}),
        ("secure servername=hostname", "secure", {"servername": "hostname"}),
        (
            "secure match=a policy_type=sts policy_domain=a.example { policy_string = version: STSv1 } "
            "{ policy_string = mode: enforce } mx_host_pattern=a",
            "secure",
            {
                "match": "a",
                "policy_type": "sts",
                "policy_domain": "a.example",
                "policy_string": "version: STSv1 mode: enforce",
                "mx_host_pattern": "a",
            },
        ),
        ("none", "none", {}),
        ("none bogus match=x", "none", {}),
        ("fingerprint match=AA|BB", "fingerprint", {"match": "AA|BB"}),
        ("fingerprint match=AA match=BB", "fingerprint", {"match": "AA|BB"}),
    ],
)
def test_an_entry_is_a_level_with_attributes(node, entry, level, attributes):
    found = policy(node, f"inline:{{ {{ a.example = {entry} }} }}")
    assert (found.valid, found.level, found.attributes) == (True, level, attributes)


@pytest.mark.parametrize(
    "entry",
    [
        "bogus",
        "tls",
        "encrypt bogus",
        "encrypt bogus=x",
        "encrypt ciphers=high ciphers=high",
        "encrypt ciphers=",
        "encrypt protocols=TLSv1.2 protocols=TLSv1.3",
        "encrypt exclude=RC4 exclude=MD5",
        "may match=x",
        "encrypt match=x",
        "dane match=x",
        "secure match=",
        "fingerprint tafile=/ta.pem",
        "secure tafile=",
        "may connection_reuse=maybe",
        "may enable_rpk=1",
        "{ }",
        "secure policy_domain=a.example",
    ],
)
def test_an_entry_that_postfix_finds_invalid_holds_all_mail_back(node, entry):
    found = policy(node, f"inline:{{ {{ a.example = {entry} }} }}")
    assert (found.key, found.valid, found.level) == ("a.example", False, None)


@pytest.mark.parametrize(("version", "valid"), [("3.9.1", False), ("3.10.0", True), ("3.11-20250115", True)])
def test_braces_around_an_attribute_came_with_3_10(node, version, valid):
    node.defaults["mail_version"] = version
    assert policy(node, "inline:{ { a.example = secure { match = mx.example } } }").valid is valid
    assert policy(node, "inline:{ { a.example = secure match=mx.example } }").valid


@pytest.mark.parametrize(
    ("parameters", "level"),
    [
        ({}, "none"),
        ({"smtp_tls_security_level": "Encrypt"}, "encrypt"),
        ({"smtp_use_tls": "yes"}, "may"),
        ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}, "encrypt"),
        ({"smtp_enforce_tls": "YES", "smtp_tls_enforce_peername": "yes"}, "verify"),
        ({"smtp_tls_security_level": "may", "smtp_enforce_tls": "yes"}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC}, "dane"),
        ({"smtp_tls_security_level": "dane"}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "smtp_host_lookup": "native"}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "smtp_host_lookup": "native, dns"}, "dane"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "ignore_mx_lookup_error": "yes"}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "smtp_dns_resolver_options": "res_dnsrch"}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "smtp_dns_resolver_options": "RES_DEFNAMES"}, "may"),
        ({"smtp_tls_security_level": "dane", "smtp_dns_support_level": "enabled"}, "may"),
        ({"smtp_tls_security_level": "dane", "smtp_dns_support_level": "DNSSEC"}, "dane"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "disable_dns_lookups": "yes"}, "dane"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "tls_dane_digests": ""}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "tls_dane_digests": "sha512"}, "may"),
        ({"smtp_tls_security_level": "dane", **DNSSEC, "tls_dane_digests": "SHA256=1, sha512=2"}, "dane"),
        ({"smtp_tls_security_level": "dane-only"}, "dane-only"),
    ],
)
def test_a_level_is_what_the_client_does_and_dane_without_dnssec_is_may(node, parameters, level):
    assert protections(node, parameters)["level"] == level


@pytest.mark.parametrize(("version", "level"), [("3.5.25", "may"), ("3.7.11", "dane")])
@pytest.mark.parametrize("digests", ["sha512 sha256 md9=9", "sha256 md5", "sha256 sha256=1"])
def test_a_digest_that_nobody_knows_was_the_end_of_dane_before_3_6(node, version, level, digests):
    node.defaults["mail_version"] = version
    parameters = {"smtp_tls_security_level": "dane", **DNSSEC, "tls_dane_digests": digests}
    assert protections(node, parameters)["level"] == level


@pytest.mark.parametrize("digests", ["sha512 sha256", "SHA256=1", "sha256 sha384=3"])
def test_digests_that_are_known_leave_dane_as_it_is_before_3_6(node, digests):
    node.defaults["mail_version"] = "3.5.25"
    parameters = {"smtp_tls_security_level": "dane", **DNSSEC, "tls_dane_digests": digests}
    assert protections(node, parameters)["level"] == "dane"


def test_a_digest_that_is_not_looked_at_any_more_is_told(node):
    node.append("".join(f"{n} = {v}\n" for n, v in {"smtp_tls_security_level": "dane", **DNSSEC}.items()))
    assert weaker(node, {"tls_dane_digests": "sha256"}) == ["client.dane_digests from sha256, sha512 to sha256"]


@pytest.mark.parametrize(("entry", "level"), [("dane", "may"), ("dane-only", "dane-only"), ("secure", "secure")])
def test_dane_of_an_entry_is_may_too_where_nobody_validates(node, entry, level):
    assert protections(node, {"smtp_tls_security_level": "encrypt"}, entry)["level"] == level


@pytest.mark.parametrize(
    "change",
    [
        {"smtp_dns_support_level": "enabled"},
        {"smtp_host_lookup": "native"},
        {"tls_dane_digests": "sha512"},
        {"ignore_mx_lookup_error": "yes"},
    ],
)
@pytest.mark.parametrize("level", ["none", "may"])
def test_what_dane_needs_is_needed_where_somebody_else_may_answer_dane(node, level, change):
    found = {"smtp_tls_policy_maps": MTA_STS, "smtp_tls_security_level": level, **DNSSEC}
    node.append("".join(f"{name} = {value}\n" for name, value in found.items()))
    assert weaker(node, change) == ["other mail.dnssec from yes to no"]


def test_nobody_needs_it_where_no_policy_is_kept_by_others(node):
    node.append("smtp_tls_policy_maps = inline:{ a.example=encrypt }\nsmtp_dns_support_level = dnssec\n")
    assert weaker(node, {"smtp_dns_support_level": "enabled"}) == []


LISTS = {"smtp_tls_protocols": ">=TLSv1.1", "smtp_tls_mandatory_protocols": "!SSLv2 !SSLv3 !TLSv1 !TLSv1.1"}


@pytest.mark.parametrize(
    ("entry", "minimum", "mandatory"),
    [
        ("may", "TLSv1.1", "TLSv1.2"),
        ("encrypt", "TLSv1.2", "-"),
        ("secure", "TLSv1.2", "-"),
        ("dane-only", "TLSv1.2", "-"),
        ("may protocols=>=TLSv1.3", "TLSv1.3", "TLSv1.2"),
        ("encrypt protocols=TLSv1:TLSv1.2", "TLSv1", "-"),
        ("encrypt protocols=!TLSv1", "TLSv1.1", "-"),
        ("encrypt protocols=", "TLSv1", "-"),
        ("encrypt protocols=bogus", None, "-"),
    ],
)
def test_protocols_are_those_of_the_entry_or_of_the_list_for_its_level(node, entry, minimum, mandatory):
    found = protections(node, LISTS, entry)
    assert (found["minimum_protocol"], found.get("mandatory_protocol", "-")) == (minimum, mandatory)


CIPHERS = {
    "smtp_tls_ciphers": "medium",
    "smtp_tls_mandatory_ciphers": "High",
    "smtp_tls_exclude_ciphers": "RC4:MD5",
    "smtp_tls_mandatory_exclude_ciphers": "aNULL, SHA",
}


@pytest.mark.parametrize(
    ("entry", "grade", "excluded"),
    [
        ("may", "medium", "MD5, RC4"),
        ("encrypt", "high", "MD5, RC4, SHA, aNULL"),
        ("secure ciphers=medium", "medium", "MD5, RC4, SHA, aNULL"),
        ("may ciphers=export", None, "MD5, RC4"),
        ("encrypt exclude=DES:3DES", "high", "3DES, DES"),
        ("encrypt exclude=", "high", "nothing"),
    ],
)
def test_ciphers_are_those_of_the_entry_or_of_the_lists_for_its_level(node, entry, grade, excluded):
    found = protections(node, CIPHERS, entry)
    assert (found["ciphers"], found["exclude_ciphers"]) == (grade, excluded)


STS = "secure match=.a.example policy_type=sts policy_domain=a.example mx_host_pattern=mx.a.example mx_host_pattern=*.B.example"


@pytest.mark.parametrize(("enforced", "match"), [("yes", "*.b.example, mx.a.example"), ("no", ".a.example")])
def test_hosts_of_an_mta_sts_policy_must_match_its_patterns_where_these_are_enforced(node, enforced, match):
    assert protections(node, {"smtp_tls_enforce_sts_mx_patterns": enforced}, STS)["match"] == match


MATCHING = {
    "smtp_tls_verify_cert_match": "hostname",
    "smtp_tls_secure_cert_match": "nexthop, dot-nexthop:mx.example",
    "smtp_tls_fingerprint_cert_match": "aa:bb cc:dd",
}


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("verify", "hostname"),
        ("secure", "dot-nexthop, mx.example, nexthop"),
        ("secure match=A.Example:b.example", "a.example, b.example"),
        ("secure match=a match=b", "a, b"),
        ("fingerprint", "AA:BB, CC:DD"),
        ("fingerprint match=ee:ff|00:11", "00:11, EE:FF"),
        ("encrypt", "-"),
        ("dane-only", "-"),
    ],
)
def test_names_and_fingerprints_are_those_of_the_entry_or_of_the_list_for_its_level(node, entry, match):
    assert protections(node, MATCHING, entry).get("match", "-") == match


@pytest.mark.parametrize(
    ("version", "level", "parameters", "enabled"),
    [
        ("3.10.13", "encrypt", {}, "yes"),
        ("3.10.13", "encrypt", {"tls_required_enable": "no"}, "no"),
        ("3.11-20250115", "secure", {"tls_required_enable": "NO"}, "NO"),
        ("3.10.13", "may", {}, "-"),
        ("3.10.13", "none", {}, "-"),
        ("3.9.1", "encrypt", {}, "-"),
        ("3.10.13", "dane", DNSSEC, "yes"),
    ],
)
def test_a_sender_may_ask_for_less_than_a_mandatory_level_from_postfix_3_10_on(
    node, version, level, parameters, enabled
):
    node.defaults["mail_version"] = version
    found = protections(node, {"smtp_tls_security_level": level, **parameters})
    assert found.get("tls_required_enable", "-") == enabled


@pytest.mark.parametrize(("default", "enabled"), [("none", "yes"), ("may", "-"), ("encrypt", "-")])
def test_a_sender_may_ask_for_the_level_of_main_cf_where_a_policy_has_more(node, default, enabled):
    found = protections(node, {"smtp_tls_security_level": default}, "may")
    assert found.get("tls_required_enable", "-") == enabled


@pytest.mark.parametrize(
    ("policy", "insecure"), [("dane", "dane"), ("Encrypt", "encrypt"), ("may", "may"), ("x", None)]
)
def test_what_dane_makes_of_an_insecure_mx_counts(node, policy, insecure):
    parameters = {"smtp_tls_security_level": "dane", **DNSSEC, "smtp_tls_dane_insecure_mx_policy": policy}
    assert protections(node, parameters)["insecure_mx"] == insecure


def test_an_override_wins_over_main_cf_and_lmtp_has_parameters_of_its_own(node):
    node.services += "lmtp unix - - y - - lmtp\n"
    node.override("relay/unix/smtp_tls_security_level=secure")
    main_cf = {
        "smtp_tls_security_level": "may",
        "lmtp_tls_security_level": "encrypt",
        "lmtp_tls_mandatory_protocols": "TLSv1.3",
    }
    configuration = configured(node, main_cf)
    found = {
        key: said(clients.protections(configuration, service(node, key), Policy()))
        for key in ("smtp/unix", "relay/unix", "lmtp/unix")
    }
    assert {key: values["level"] for key, values in found.items()} == {
        "smtp/unix": "may",
        "relay/unix": "secure",
        "lmtp/unix": "encrypt",
    }
    assert found["lmtp/unix"]["minimum_protocol"] == "TLSv1.3"
    assert said(clients.protections(configuration, None, Policy()))["level"] == "may"


def test_no_tls_has_nothing_that_could_be_lost_with_it(node):
    configuration = configured(node)
    assert said(clients.protections(configuration, None, Policy())) == {
        "level": "none",
        "patterns": "nothing",
        "passwords": "nothing",
    }
    unknown = Policy(unknown=(MTA_STS,))
    found = said(clients.protections(configuration, None, unknown))
    assert found == {
        **{"level": "none", "patterns": "nothing", "passwords": "nothing", "policy": MTA_STS, "dnssec": "no"}
    }


def test_at_dane_a_server_without_records_gets_what_may_would_give_it(node):
    lists = {"smtp_tls_protocols": "TLSv1.3", "smtp_tls_ciphers": "high", "smtp_tls_mandatory_protocols": "TLSv1.2"}
    found = said(clients.protections(configured(node, {**DNSSEC, **lists}), None, Policy(level=ClientLevel.DANE)))
    assert (found["level"], found["minimum_protocol"]) == ("dane", "TLSv1.2")
    assert (found["opportunistic_protocol"], found["opportunistic_ciphers"]) == ("TLSv1.3", "high")


@pytest.mark.parametrize(("value", "unsure"), [("yes", "nothing"), ("no", "smtp_always_send_ehlo = no")])
def test_a_client_that_does_not_always_greet_may_miss_starttls(node, value, unsure):
    configuration = configured(node, {"smtp_tls_security_level": "may", "smtp_always_send_ehlo": value})
    assert said(clients.protections(configuration, None, Policy()))["policy"] == unsure


def test_a_source_that_comes_is_a_question_that_was_not_there(node):
    configuration = configured(node, {"smtp_tls_security_level": "may"})
    assert said(clients.protections(configuration, None, Policy()))["policy"] == "nothing"


def test_policies_are_told_apart_by_all_that_they_say():
    one = Policy("a", ClientLevel.SECURE, {"match": "a"})
    assert (
        len({one, Policy("a", ClientLevel.SECURE, {"match": "a"}), Policy("a", ClientLevel.SECURE, {"match": "b"})})
        == 2
    )
