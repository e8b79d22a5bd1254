# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a person can get wrong is one sentence that names option, value and remedy; nothing is written."""

import pytest
from conftest import picture, run
from pems import HOST, Authority, key, self_signed
from sampled import ROWS, some

IDN = "münchen.example"
LONG = ".".join(["a" * 60] * 5)

# Each: module, options, words that the sentence must hold (option, value, remedy). "@name" is a file made below.
MODE, CERT, DOMAIN, SETTINGS, ROLLBACK = (
    "smtp_tls_mode",
    "smtp_tls_cert",
    "smtp_domain_policy",
    "smtp_settings",
    "smtp_rollback",
)


def server(**values):
    return MODE, {"server": values}


def client(**values):
    return MODE, {"client": values}


def domain(**values):
    return DOMAIN, {"domains": [{"name": "partner.example", **values}]}


def setting(**values):
    return SETTINGS, {"parameters": values}


def pem(**values):
    return CERT, {"provider": "pem", "pem": values}


def self_made(**values):
    return CERT, {"provider": "self_signed", "self_signed": values}


BAD = [
    (MODE, {}, ["one of the following is required", "profile", "server"]),
    (MODE, {"profile": "paranoid"}, ["profile", "paranoid", "lenient_default, trusted_agents_strict"]),
    (MODE, {"profile": ["lenient_default"]}, ["profile", "lenient_default"]),
    (MODE, {"server": "encrypt"}, ["dictionary requested"]),  # ansible-core's own words: they name no option
    (MODE, {"server": {"levle": "may"}}, ["levle", "Supported parameters", "level"]),
    (*server(level="secure"), ["level", "secure", "none, may, encrypt"]),
    (*server(level="MAY"), ["level", "MAY", "none, may, encrypt"]),
    (*server(level=""), ["level", "none, may, encrypt"]),
    (*server(level="may\nfoo = bar"), ["level", "none, may, encrypt"]),
    (*server(client_certificates="yes"), ["client_certificates", "yes", "ignore, request, require"]),
    (*server(minimum_protocol="SSLv3"), ["minimum_protocol", "SSLv3", "TLSv1.2"]),
    (*server(minimum_protocol="1.2"), ["minimum_protocol", "1.2", "TLSv1.2"]),
    (*server(ciphers="bogus"), ["ciphers", "bogus", "medium, high"]),
    (*server(exclude_ciphers=["RC4 MD5"]), ["server.exclude_ciphers", "RC4 MD5", "OpenSSL's names"]),
    (*server(exclude_ciphers=["$mydomain"]), ["server.exclude_ciphers", "$mydomain", "OpenSSL's names"]),
    (*server(exclude_ciphers=["aNULL\nfoo"]), ["server.exclude_ciphers", "aNULL", "OpenSSL's names"]),
    (*server(ca_file="ca.pem"), ["server.ca_file", "ca.pem", "whole path"]),
    (*server(ca_file="/etc/ssl/a b.pem"), ["server.ca_file", "/etc/ssl/a b.pem", "rename"]),
    (*server(ca_file="/etc/$x.pem"), ["server.ca_file", "$x", "rename"]),
    (*server(ca_file="/none.pem"), ["server.ca_file", "/none.pem", "put the PEM file"]),
    (*server(ca_file="/etc"), ["server.ca_file", "/etc", "put the PEM file"]),
    (*server(ca_file="@empty"), ["server.ca_file", "@empty", "no certificate"]),
    (*server(ca_file="@key"), ["server.ca_file", "@key", "no certificate"]),
    (*server(ca_file="@broken"), ["server.ca_file", "@broken"]),
    (
        *server(level="may", client_certificates="require", ca_file="@ca"),
        ["server.client_certificates", "require", "set server.level: encrypt"],
    ),
    (*server(level="none", client_certificates="require", ca_file="@ca"), ["require", "set server.level: encrypt"]),
    (*server(level="encrypt", client_certificates="require"), ["server.ca_file", "set it to the PEM file"]),
    (MODE, {"client": []}, ["client", "dict"]),
    (*client(level="request"), ["level", "request", "secure"]),
    (*client(level="dane_only"), ["level", "dane_only", "dane-only"]),
    (*client(level="secure"), ["client.ca_file", "secure", "set it to the PEM file"]),
    (*client(level="verify"), ["client.ca_file", "verify", "set it to the PEM file"]),
    (*client(level="fingerprint"), ["client.match", "fingerprint", "list the SHA-256 fingerprints"]),
    (*client(level="fingerprint", match=["AB:CD"]), ["client.match", "AB:CD", "32 hexadecimal pairs"]),
    (*client(level="fingerprint", match=["mx.example"]), ["client.match", "mx.example", "32 hexadecimal pairs"]),
    (*client(level="may", match=["mx.example"]), ["client.match", "mx.example", "leave match out"]),
    (*client(level="secure", ca_file="@ca", match=["a b"]), ["client.match", "a b", "labels"]),
    (*client(level="secure", ca_file="@ca", match=[IDN]), ["client.match", IDN, "A-label"]),
    (*client(level="secure", ca_file="@ca", match=["*.example"]), ["client.match", "*.example", "labels"]),
    (*client(level="secure", ca_file="/none.pem"), ["client.ca_file", "/none.pem", "put the PEM file"]),
    (*client(connection_reuse="perhaps"), ["connection_reuse", "perhaps", "bool"]),
    (MODE, {"services": [{"name": "submission"}]}, ["services", "submission", "give it a level"]),
    (MODE, {"services": [{"name": "nosuch", "level": "may"}]}, ["services", "nosuch/inet", "smtp/inet"]),
    (
        MODE,
        {"services": [{"name": "smtp", "level": "secure"}]},
        ["services[smtp/inet].level", "secure", "none, may, encrypt"],
    ),
    (
        MODE,
        {"services": [{"name": "smtp/unix", "client_certificates": "request"}]},
        ["client_certificates", "leave it out"],
    ),
    (MODE, {"services": [{"name": "smtp\n", "level": "may"}]}, ["services[0].name", "smtp", "master.cf"]),
    (MODE, {"services": [{"level": "may"}]}, ["name", "services", "missing required"]),
    (MODE, {"services": [{"name": "smtp", "level": "may"}] * 2}, ["services", "smtp/inet", "one entry"]),
    (MODE, {"profile": "lenient_default", "config_dir": "/nowhere"}, ["config_dir", "/nowhere", "install Postfix"]),
    (MODE, {"profile": "lenient_default", "config_dir": "/etc"}, ["config_dir", "/etc", "main.cf"]),
    (MODE, {"profile": "trusted_agents_strict"}, ["ca_file", "smtp_tls_cert"]),
    (
        MODE,
        {"profile": "trusted_agents_strict", "server": {"ca_file": "@ca"}, "client": {"ca_file": "@ca"}},
        ["provider: own_ca"],
    ),
    (*domain(), ["domains[partner.example]", "give it a level"]),
    (*domain(level="strict"), ["level", "strict", "secure"]),
    (*domain(level="fingerprint"), ["domains[partner.example].match", "list the SHA-256 fingerprints"]),
    (*domain(level="may", match=["x.example"]), ["domains[partner.example].match", "x.example", "leave match out"]),
    (*domain(level="secure", match=["a\nb"]), ["domains[partner.example].match", "labels"]),
    (*domain(route="[mx.example]:99999"), ["domains[partner.example].route", "[mx.example]:99999", "1 to 65535"]),
    (*domain(route="[mx.example]:0"), ["domains[partner.example].route", "port 0", "1 to 65535"]),
    (*domain(route="uucp:there"), ["domains[partner.example].route", "uucp:there", "master.cf", "smtp_settings"]),
    (*domain(route="[mx.example"), ["domains[partner.example].route", "[mx.example", "[mx.partner.example]:25"]),
    (*domain(route="$myhostname"), ["domains[partner.example].route", "$myhostname", "labels"]),
    (*domain(route="mx.example\nother smtp:x"), ["domains[partner.example].route", "other", "[mx.partner.example]:25"]),
    (*domain(route="lmtp:[mx.example]", level="dane"), ["domains[partner.example].route", "LMTP", "leave it out"]),
    (
        *domain(route="lmtp:unix:private/inbox", level="encrypt"),
        ["domains[partner.example].level", "a socket", "leave it out"],
    ),
    (*domain(name=IDN, level="may"), ["domains[0].name", IDN, "A-label"]),
    (*domain(name=LONG, level="may"), ["domains[0].name", "longer than 253"]),
    (*domain(name="a" * 64 + ".example", level="may"), ["domains[0].name", "labels"]),
    (*domain(name="-x.example", level="may"), ["domains[0].name", "-x.example", "labels"]),
    (*domain(name="a..example", level="may"), ["domains[0].name", "a..example", "labels"]),
    (*domain(name="", level="may"), ["domains[0].name", "labels"]),
    (*domain(name="x.example\x00", level="may"), ["domains[0].name", "labels"]),
    (*domain(name="somebody@x.example", level="may"), ["domains[0].name", "somebody@x.example", "labels"]),
    (*domain(name=".x.example", local=True), ["domains[.x.example].local", ".x.example", "name the domain itself"]),
    (
        DOMAIN,
        {"domains": [{"name": "x.example", "level": "may"}, {"name": "X.example", "level": "may"}]},
        ["domains", "x.example", "one record per domain"],
    ),
    (
        DOMAIN,
        {
            "domains": [
                {"name": f"{n}.example", "level": level, "route": "[mx.example]"}
                for n, level in (("a", "may"), ("b", "encrypt"))
            ]
        },
        ["domains", "b.example", "same level"],
    ),
    (DOMAIN, {"domains": [{"level": "may"}]}, ["name", "domains", "missing required"]),
    (DOMAIN, {}, ["domains, src", "one of the following is required"]),
    (*domain(route="192.0.2.25"), ["domains[partner.example].route", "192.0.2.25", "[192.0.2.25]"]),
    (*domain(level="none", ciphers="high"), ["domains[partner.example].ciphers", "high", "set a level that uses TLS"]),
    (*domain(mode="testing", local=True), ["domains[partner.example].mode", "testing", "give it a level"]),
    (*domain(level="may", expires="31.12.2027"), ["domains[partner.example].expires", "31.12.2027", "2027-03-31"]),
    (*domain(level="may", reason="a\nb"), ["domains[partner.example].reason", "one line of text"]),
    (
        *domain(incoming={"pins": ["AB:CD"]}),
        ["domains[partner.example].incoming.pins", "AB:CD", "32 hexadecimal pairs"],
    ),
    (
        *domain(incoming={"level": "may", "client_certificates": "require"}),
        ["domains[partner.example].incoming.level", "use encrypt"],
    ),
    (*domain(level="dane"), ["Level dane", "on loopback", "relay_resolver: unbound"]),
    (DOMAIN, {"domains": [], "unlisted_senders": "reject"}, ["unlisted_senders", "reject", "list those who may send"]),
    (DOMAIN, {"domains": [], "policy_sources": ["no table"]}, ["policy_sources", "no table", "type:name"]),
    (
        DOMAIN,
        {
            "domains": [
                {"name": "x.example", "route": "[mx]", "subdomains": True},
                {"name": "a.x.example", "level": "may"},
            ]
        },
        ["a.x.example", "x.example is routed", "a route of its own"],
    ),
    (*setting(smtpd_tls_security_level="none"), ["parameters", "smtpd_tls_security_level", "use smtp_tls_mode"]),
    (*setting(smtpd_use_tls="no"), ["parameters", "smtpd_use_tls", "use smtp_tls_mode"]),
    (*setting(transport_maps="hash:/x"), ["parameters", "transport_maps", "use smtp_domain_policy"]),
    (*setting(myhostname="a\nsmtpd_banner = x"), ["parameters.myhostname", "one line"]),
    (*setting(myhostname="a\rb"), ["parameters.myhostname", "one line"]),
    (*setting(**{"my hostname": "x"}), ["parameters", "my hostname", "postconf(5)"]),
    (*setting(**{"my-host": "x"}), ["parameters", "my-host", "postconf(5)"]),
    (SETTINGS, {"parameters": [1]}, ["parameters", "dict"]),
    (CERT, {"name": "../x"}, ["name", "../x", "letters, digits"]),
    (CERT, {"name": ""}, ["name", "letters, digits"]),
    (CERT, {"provider": "letsencrypt"}, ["provider", "letsencrypt", "self_signed"]),
    (CERT, {"use": ["both"]}, ["use", "both", "server, client"]),
    (CERT, {"provider": "pem"}, ["provider is pem", "pem"]),
    (*self_made(key_size=1024), ["self_signed.key_size", "1024"]),
    (*self_made(key_type="dsa"), ["key_type", "dsa", "rsa, ecdsa"]),
    (*self_made(key_type="ecdsa", key_size=255), ["self_signed.key_size", "255"]),
    (*self_made(key_size="big"), ["key_size", "big", "int"]),
    (*self_made(names=["a b"]), ["self_signed.names", "a b", "labels"]),
    (*self_made(days=0), ["self_signed.days", "0"]),
    (*self_made(days=-5), ["self_signed.days", "-5"]),
    (*pem(private_key="@@key", certificate="nothing"), ["pem.certificate", "whole path"]),
    (*pem(private_key="nothing", certificate="@@good"), ["pem.private_key"]),
    (*pem(private_key="", certificate=""), ["pem"]),
    (*pem(private_key="@@good", certificate="@@key"), ["pem"]),
    (*pem(private_key="@@other", certificate="@@good"), ["does not match the certificate", "belong together"]),
    (*pem(private_key="@@key", certificate="@@expired"), ["pem.certificate", "expired", "give one"]),
    (*pem(private_key="@@weak-key", certificate="@@weak"), ["pem.certificate", "1024", "give one"]),
    (*pem(private_key="@@key", certificate="@@nameless"), ["pem.certificate", "give one"]),
    (ROLLBACK, {"to": 99999}, ["to", "99999", "remembers"]),
    (ROLLBACK, {"to": "yesterday"}, ["to", "yesterday", "int"]),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Names of the table above, as contents and as paths."""
    folder = tmp_path_factory.mktemp("pems")
    authority, good = Authority(folder), key()
    weak = key("rsa1024")
    contents = {
        "ca": authority.certificate,
        "empty": "",
        "broken": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "key": good,
        "other": key(),
        "good": authority.issue(good),
        "expired": authority.issue(good, when="40 days ago"),
        "nameless": authority.issue(good, names=()),
        "weak-key": weak,
        "weak": self_signed(str(folder), weak, extensions=[f"subjectAltName=DNS:{HOST}"]),
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    return contents, folder


def filled(value, files):
    """``value`` with the names of files in place."""
    contents, folder = files
    if isinstance(value, dict):
        return {name: filled(item, files) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, files) for item in value]
    if isinstance(value, str) and value.startswith("@"):
        return contents[value[2:]] if value.startswith("@@") else str(folder / value[1:])
    return value


def test_a_bad_input_is_one_sentence_and_changes_nothing(files):
    before, wrong = picture(), []
    tried = some("bad inputs", BAD, 15 * ROWS)
    for module, options, words in tried:
        result = run(module, filled(options, files)).data or {"failed": True, "msg": "no answer"}
        sentence = result.get("msg", "no failure")
        missing = [word for word in filled(words, files) if str(word) not in sentence]
        if not result.get("failed") or missing or "PRIVATE KEY" in sentence or "Traceback" in sentence:
            wrong.append((module, options, sentence, missing))
        assert picture() == before, (module, options)
    assert not wrong, "\n".join(map(str, wrong))
    print(f"{len(tried)} of {len(BAD)} bad inputs refused")
