# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations that are held against the wire."""

from around import FEW, PEERS
from rows import KNOWN, POLICIES, PROBE, SECURE, SOMEBODY, VERIFY, failing, level, policy, row, server, transports, way

FLOORS = (3, 6)
HEADERS = (3, 10)
DNS = {"smtp_host_lookup": "dns", "smtp_dns_support_level": "dnssec"}
DANE = {"smtp_tls_security_level": "dane", **DNS}
TO_DANE = {"to": "somebody@dane.test"}
OLD = "!SSLv2, !SSLv3"
TLS_REQUIRED_NO = "TLS-Required: no\n"

LEVELS = {
    "no level": row(),
    "none": level("none"),
    "may": level("may"),
    "encrypt": level("encrypt"),
    "verify": level("verify"),
    "secure": level("secure"),
    "NONE in capitals": level("NONE"),
    "May in both cases": level("May"),
    "Encrypt in both cases": level("Encrypt"),
    "SECURE in capitals": level("SECURE"),
    "fingerprint": level("fingerprint", smtp_tls_fingerprint_cert_match="%pin_good%"),
    "fingerprint of another key": level("fingerprint", smtp_tls_fingerprint_cert_match="%pin_unknown%"),
    "fingerprints, parted by a bar": level("fingerprint", smtp_tls_fingerprint_cert_match="%pin_unknown%|%pin_system%"),
    "use_tls": row({"smtp_use_tls": "yes"}),
    "Use_tls in capitals": row({"smtp_use_tls": "YES"}),
    "use_tls beside none": level("none", smtp_use_tls="yes"),
    "enforce_tls": row({"smtp_enforce_tls": "yes", **KNOWN}),
    "enforce_tls, any name": row({"smtp_enforce_tls": "Yes", "smtp_tls_enforce_peername": "no"}),
    "enforce_tls beside may": level("may", smtp_enforce_tls="yes"),
    "a level by another parameter": level("$smtpd_tls_security_level", smtpd_tls_security_level="encrypt"),
}

PROTOCOLS = {
    "from 1.2 on": level("encrypt", smtp_tls_mandatory_protocols=">=TLSv1.2"),
    "from 1.2 on, in lower case": level("encrypt", smtp_tls_mandatory_protocols=">=tlsv1.2"),
    "from 0304 on": level("encrypt", smtp_tls_mandatory_protocols=">=0304"),
    "from 0x303 on": level("encrypt", smtp_tls_mandatory_protocols=">=0x303"),
    "not 1.0, nor 1.1": level("encrypt", smtp_tls_mandatory_protocols="!SSLv2 !SSLv3 !TLSv1 !TLSv1.1"),
    "none but 1.3, by exclusion": level("encrypt", smtp_tls_mandatory_protocols=f"{OLD}, !TLSv1, !TLSv1.1, !TLSv1.2"),
    "1.3": level("encrypt", smtp_tls_mandatory_protocols="TLSv1.3"),
    "1.2 and 1.3, parted by a colon": level("encrypt", smtp_tls_mandatory_protocols="TLSv1.2:tlsv1.3"),
    "1.1 and 1.2": level("encrypt", smtp_tls_mandatory_protocols="TLSv1.1 TLSv1.2"),
    "a version that nobody knows, where TLS is mandatory": level("encrypt", smtp_tls_mandatory_protocols="TLSv1.9"),
    "a version that nobody knows, where TLS is not": level("may", smtp_tls_protocols="!SSLv2, TLSv1.9"),
    "nothing left, where TLS is mandatory": level("encrypt", smtp_tls_mandatory_protocols="TLSv1.2, !TLSv1.2"),
    "a floor where TLS is not mandatory": level("may", smtp_tls_protocols=">=TLSv1.2"),
    "a plain list where TLS is not mandatory": level("may", smtp_tls_protocols="tlsv1.3"),
    "the other list at encrypt": level("encrypt", smtp_tls_protocols="TLSv1.3", smtp_tls_mandatory_protocols=OLD),
    "the other list at may": level("may", smtp_tls_protocols=OLD, smtp_tls_mandatory_protocols="TLSv1.3"),
    "a ceiling": level("encrypt", smtp_tls_mandatory_protocols=">=TLSv1, <=TLSv1.2"),
    "one list in terms of the other": level(
        "may", smtp_tls_protocols="$smtp_tls_mandatory_protocols", smtp_tls_mandatory_protocols="TLSv1.2,TLSv1.3"
    ),
}

OVERRIDES = {
    "a level of a service": row(services={"smtp/unix": "- - n - - smtp -o smtp_tls_security_level=encrypt"}),
    "a level of a service in braces": row(
        services={"smtp/unix": "- - n - - smtp -o { smtp_tls_security_level = encrypt }"}
    ),
    "no level of a service": row(SECURE, services={"smtp/unix": "- - n - - smtp -o smtp_tls_security_level=none"}),
    "an empty level of a service": row(SECURE, services={"smtp/unix": "- - n - - smtp -o smtp_tls_security_level="}),
    "the last of two overrides": row(
        services={"smtp/unix": "- - n - - smtp -o smtp_tls_security_level=secure -o smtp_tls_security_level=may"}
    ),
    "a list of a service": row(
        {"smtp_tls_security_level": "encrypt"},
        services={"smtp/unix": "- - n - - smtp -o { smtp_tls_mandatory_protocols = TLSv1.3, TLSv1.2 }"},
    ),
    "no policies for a service": policy(
        "secure", main={"default_transport": "slow"}, services={"slow/unix": "- - n - - smtp -o smtp_tls_policy_maps="}
    ),
    "policies of a service alone": policy(
        "secure",
        main={"smtp_tls_policy_maps": ""},
        services={"smtp/unix": f"- - n - - smtp -o {{ smtp_tls_policy_maps = {POLICIES} }}"},
    ),
    "an override of another service": row(
        SECURE, services={"relay/unix": "- - n - - smtp -o smtp_tls_security_level=none"}
    ),
    "a parameter of master.cf's own": row(
        {"own_level": "encrypt"}, services={"smtp/unix": "- - n - - smtp -o smtp_tls_security_level=$own_level"}
    ),
    "lmtp by TCP": row(
        {"default_transport": "lmtp:inet:[shop.test]:%port%", "smtp_tls_security_level": "none"}
        | {"lmtp_tls_security_level": "encrypt"},
        peers=FEW,
    ),
}

WAYS = {
    "to the domain itself": way(),
    "relayhost": way({"relayhost": "smart.test"}),
    "relayhost in brackets": way({"relayhost": "[smart.test]"}),
    "relayhost with a port": way({"relayhost": "[smart.test]:%port%"}),
    "two relayhosts": way({"relayhost": "[smart.test], [second.test]"}, since=(3, 5)),
    "default_transport": way({"default_transport": "relay"}),
    "default_transport with a next hop": way({"default_transport": "relay:[smart.test]"}),
    "default_transport's next hop beside a relayhost": way(
        {"default_transport": "smtp:[smart.test]", "relayhost": "[other.test]"}
    ),
    "default_transport beside a relayhost": way({"default_transport": "relay", "relayhost": "[smart.test]"}),
    "a sender's relayhost": way(
        {"sender_dependent_relayhost_maps": "%type%:%dir%/senders", "relayhost": "[other.test]"},
        tables={"senders": {PROBE: "[smart.test]"}},
        also=[("another@client.test", SOMEBODY)],
    ),
    "a sender's domain's relayhost": way(
        {"sender_dependent_relayhost_maps": "%type%:%dir%/senders"},
        tables={"senders": {"@client.test": "[smart.test]"}},
        also=[("another@shop.test", SOMEBODY)],
    ),
    "no relayhost of a sender's": way(
        {"sender_dependent_relayhost_maps": "%type%:%dir%/senders", "relayhost": "[smart.test]"},
        tables={"senders": {PROBE: "DUNNO"}},
    ),
    "a sender's transport": way(
        {"sender_dependent_default_transport_maps": "%type%:%dir%/senders", "relayhost": "[other.test]"},
        tables={"senders": {PROBE: "relay:[smart.test]"}},
        also=[("another@client.test", SOMEBODY)],
    ),
    "a sender's transport without a next hop": way(
        {"sender_dependent_default_transport_maps": "%type%:%dir%/senders", "relayhost": "[smart.test]"},
        tables={"senders": {PROBE: "relay"}},
        also=[("another@client.test", SOMEBODY)],
    ),
    "a sender's transport that is no transport": way(
        {"sender_dependent_default_transport_maps": "%type%:%dir%/senders", "default_transport": "smtp:[other.test]"},
        tables={"senders": {PROBE: ":[smart.test]"}},
        peers=(),
    ),
    "relay_domains": way(
        {"relay_domains": "bank.test", "relay_transport": "relay:[smart.test]"}, also=["a@sub.bank.test"]
    ),
    "relay_domains with a relayhost": way({"relay_domains": "bank.test", "relayhost": "[smart.test]"}),
    "relay_domains and those below": way(
        {"relay_domains": "bank.test", "relay_transport": "relay:[smart.test]"},
        to="somebody@sub.bank.test",
        also=["a@deep.sub.bank.test", "a@shop.test"],
    ),
    "relay_domains, those below not meant": way(
        {
            "relay_domains": "bank.test",
            "relay_transport": "relay:[smart.test]",
            "parent_domain_matches_subdomains": "smtpd_access_maps",
        },
        to="somebody@sub.bank.test",
    ),
    "relay_domains, those below by a dot": way(
        {
            "relay_domains": ".bank.test",
            "relay_transport": "relay:[smart.test]",
            "parent_domain_matches_subdomains": "",
        },
        to="somebody@sub.bank.test",
        also=[SOMEBODY],
    ),
    "relay_domains but one": way(
        {"relay_domains": "!sub.bank.test, bank.test", "relay_transport": "relay:[smart.test]"},
        to="somebody@sub.bank.test",
        also=[SOMEBODY],
    ),
    "relay_domains in a file": way(
        {"relay_domains": "%dir%/domains", "relay_transport": "relay:[smart.test]"},
        files={"domains": "# ours\nshop.test\nbank.test\n"},
    ),
    "relay_domains in a table": way(
        {"relay_domains": "%type%:%dir%/domains", "relay_transport": "relay:[smart.test]"},
        tables={"domains": {"bank.test": "x"}},
        also=["a@sub.bank.test"],
    ),
    "mydestination": way({"mydestination": "localhost, bank.test"}, also=["a@sub.bank.test"], peers=()),
    "mydestination by SMTP": way({"mydestination": "bank.test", "local_transport": "smtp:[smart.test]"}),
    "mydestination by SMTP beside a relayhost": way(
        {"mydestination": "bank.test", "local_transport": "smtp", "relayhost": "[smart.test]"}
    ),
    "virtual_mailbox_domains": way({"virtual_mailbox_domains": "bank.test", "virtual_transport": "smtp:[smart.test]"}),
    "virtual_alias_domains": way(
        {"virtual_alias_domains": "bank.test", "virtual_alias_maps": "inline:{ { x@bank.test = y@shop.test } }"},
        peers=(),
    ),
    "discard": way({"default_transport": "discard:"}, peers=()),
    "a fallback": way({"smtp_fallback_relay": "[spare.test]"}),
    "a fallback with a policy": way({"smtp_fallback_relay": "[smart.test]", "relayhost": "bank.test"}),
    "a fallback where TLS fails": failing("secure"),
    "a fallback in plaintext where TLS fails": failing("none"),
    "a fallback with which TLS fails as well": failing("may"),
    "a fallback that turns some away where TLS fails": failing("secure", smtp_tls_CAfile="%pki%/unknown.pem"),
    "another next hop where TLS fails": failing("encrypt", "relayhost", "bank.test, [smart.test]"),
    "no fallback where TLS fails": failing("secure", "relayhost", "bank.test"),
    "a fallback where only some cannot start TLS": failing("encrypt", smtp_tls_protocols="TLSv1.3"),
    "a fallback of a service": way(
        {"default_transport": "slow"}, services={"slow/unix": "- - n - - smtp -o smtp_fallback_relay=[spare.test]"}
    ),
    "a content filter": way({"content_filter": "relay:[smart.test]"}, by="content_filter"),
    "a content filter without a next hop": way({"content_filter": "relay"}, by="content_filter"),
    "a content filter with a default next hop": way(
        {"content_filter": "relay", "default_filter_nexthop": "[smart.test]"}, by="content_filter"
    ),
    "an action of header checks": way(
        {"header_checks": "static:{FILTER relay:[smart.test]}"}, by="FILTER relay:[smart.test] in header_checks"
    ),
}

TRANSPORTS = {
    "a whole address": transports({SOMEBODY: "relay:[smart.test]"}, also=["other@bank.test"]),
    "an address in capitals": transports({SOMEBODY: "relay:[smart.test]"}, to="Somebody@Bank.test"),
    "a domain": transports({"bank.test": "relay:[smart.test]"}, also=["a@sub.bank.test"]),
    "an extended address": transports(
        {SOMEBODY: "relay:[smart.test]"}, {"recipient_delimiter": "+"}, to="somebody+x@bank.test"
    ),
    "the domains below": transports(
        {"bank.test": "relay:[smart.test]"}, to="a@deep.sub.bank.test", also=["a@sub.bank.test"]
    ),
    "the domains below by a dot": transports(
        {".bank.test": "relay:[smart.test]"},
        {"parent_domain_matches_subdomains": ""},
        to="a@deep.sub.bank.test",
        also=[SOMEBODY],
    ),
    "the domains below, and one of them": transports(
        {".bank.test": "relay:[smart.test]", "bank.test": "relay:[smart.test]", "sub.bank.test": "smtp:"},
        to="a@sub.bank.test",
        also=["a@deep.sub.bank.test"],
    ),
    "everything": transports({"*": "relay:[smart.test]"}, also=["a@shop.test"]),
    "everything but a domain": transports(
        {"*": "relay:[other.test]", "bank.test": ":"}, {"relayhost": "[smart.test]"}, also=["a@shop.test"]
    ),
    "no transport": transports({"bank.test": ":[smart.test]"}, {"default_transport": "relay:[other.test]"}),
    "no next hop": transports({"bank.test": "relay:"}, {"relayhost": "[smart.test]"}),
    "no next hop, no colon": transports({"bank.test": "relay"}, {"relayhost": "[smart.test]"}),
    "nothing for a domain above": transports(
        {"bank.test": "relay:[smart.test]", "sub.bank.test": ":"}, to="a@sub.bank.test"
    ),
    "an error": transports({"bank.test": "error:no more mail"}, peers=(), also=["a@shop.test"]),
    "retry without words": transports({"bank.test": "retry:"}, peers=()),
    "for local mail": transports({"bank.test": "smtp:[smart.test]"}, {"mydestination": "bank.test"}),
    "for a relay domain": transports(
        {"bank.test": ":[smart.test]"}, {"relay_domains": "bank.test", "relay_transport": "relay:[other.test]"}
    ),
    "a pattern": way(
        {"transport_maps": "regexp:%dir%/patterns"}, files={"patterns": "/@bank\\.test$/ relay:[smart.test]\n"}
    ),
    "a pattern for a part": way(
        {"transport_maps": "regexp:%dir%/patterns"}, files={"patterns": "/^bank\\.test$/ relay:[smart.test]\n"}
    ),
    "inline": way({"transport_maps": "inline:{ { bank.test = relay:[smart.test] } }"}),
    "static": way({"transport_maps": "static:{relay:[smart.test]}"}),
    "the second of two": way(
        {"transport_maps": "inline:{ { shop.test = relay:[other.test] } }, %type%:%dir%/transports"},
        tables={"transports": {"bank.test": "relay:[smart.test]"}},
    ),
    "more of an address before less": way(
        {"transport_maps": "inline:{ { bank.test = relay:[other.test] } }, %type%:%dir%/transports"},
        tables={"transports": {SOMEBODY: "relay:[smart.test]"}},
    ),
    "behind a socket": way(
        {"transport_maps": "inline:{ { bank.test = : } }, socketmap:unix:/nowhere:x"}, to="a@shop.test", peers=()
    ),
    "a slow service": transports(
        {"bank.test": "slow:[smart.test]"}, services={"slow/unix": "- - n - - smtp -o smtp_tls_security_level=encrypt"}
    ),
}

BRACKETS = {"main": {"relayhost": "[smart.test]"}}
PORT = {"main": {"relayhost": "[smart.test]:%port%"}}
POLICIES_OF_HOPS = {
    "a domain": policy("secure", peers=PEERS),
    "a domain above": policy("secure", ".bank.test", to="a@deep.sub.bank.test"),
    "a domain above, for itself": policy("secure", ".bank.test"),
    "the nearest above": policy("encrypt", ".sub.bank.test", to="a@deep.sub.bank.test"),
    "a host for a host in brackets": policy("secure", "smart.test", **BRACKETS),
    "a host in brackets": policy("secure", "[smart.test]", **BRACKETS),
    "a host in brackets for one with a port": policy("secure", "[smart.test]", **PORT),
    "a host with a port": policy("secure", "[smart.test]:%port%", **PORT),
    "a host with a port, without brackets": policy(
        "secure", "smart.test:%port%", main={"relayhost": "smart.test:%port%"}
    ),
    "a domain above a host in brackets": policy("secure", ".smart.test", main={"relayhost": "[mx.smart.test]"}),
    "a domain above a host": policy("encrypt", ".smart.test", main={"relayhost": "mx.smart.test"}),
    "a next hop in capitals": policy("encrypt", "smart.test", main={"relayhost": "Smart.Test"}),
    "the recipient's domain behind a relayhost": policy("secure", "bank.test", **BRACKETS),
    "may below a stronger level": policy("may", main=SECURE),
    "none below a stronger level": policy("none", main=SECURE),
    "a level in capitals": policy("Encrypt"),
    "names": policy("secure match=mx.elsewhere.test"),
    "names, and below": policy("secure match=.elsewhere.test:bank.test"),
    "names in two attributes": policy("verify match=mx.elsewhere.test match=bank.test"),
    "the host's name": policy("verify match=hostname"),
    "no level by name": policy("secure match=nothing.test"),
    "protocols": policy("encrypt protocols=TLSv1.3", peers=PEERS),
    "protocols by exclusion": policy("encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", peers=PEERS),
    "protocols, which nobody knows": policy("encrypt protocols=TLSv1.9"),
    "protocols of may": policy("may protocols=TLSv1.3", peers=PEERS),
    "protocols in braces": policy("encrypt { protocols = TLSv1.2 TLSv1.3 }", since=(3, 1)),
    "a grade, and what is excluded": policy("encrypt ciphers=high exclude=aNULL:MD5"),
    "fingerprints": policy("fingerprint match=%pin_good% match=%pin_system%"),
    "fingerprints in lower case": policy("fingerprint match=%pin_good%|%pin_unknown%"),
    "anchors": policy("secure tafile=%pki%/unknown.pem"),
    "no level": policy("match=bank.test"),
    "a level that nobody knows": policy("secured"),
    "an attribute that nobody knows": policy("encrypt wings=two"),
    "a policy from elsewhere": policy(
        "secure match=bank.test policy_type=sts policy_domain=bank.test mx_host_pattern=bank.test", since=HEADERS
    ),
    "a policy from elsewhere whose pattern is not the name": policy(
        "secure match=mx.elsewhere.test policy_type=sts policy_domain=bank.test mx_host_pattern=bank.test",
        since=HEADERS,
    ),
    "a policy from elsewhere for hosts elsewhere": policy(
        "secure match=bank.test policy_type=sts policy_domain=bank.test mx_host_pattern=*.elsewhere.test", since=HEADERS
    ),
    "a policy from elsewhere, which does not say from where": policy("secure policy_domain=bank.test"),
    "a grade that nobody knows": policy("encrypt ciphers=highest"),
    "a grade of may that nobody knows": policy("may ciphers=highest"),
    "no grade": policy("encrypt ciphers="),
    "no names": policy("secure match="),
    "a reuse that is neither": policy("encrypt connection_reuse=perhaps"),
    "an anchor of another level": policy("encrypt tafile=%pki%/known.pem"),
    "an anchor that is not there": policy("secure tafile=%pki%/nowhere.pem"),
    "an attribute twice": policy("encrypt ciphers=high ciphers=medium"),
    "an attribute of another level": policy("encrypt match=mx.elsewhere.test"),
    "an invalid attribute of none": policy("none wings=two", main=SECURE),
    "nothing by table": policy("encrypt", "shop.test", main={"smtp_tls_security_level": "may"}),
    "a pattern": row(
        {"smtp_tls_policy_maps": "regexp:%dir%/patterns"}, files={"patterns": "/bank/ encrypt\n"}, to="a@sub.bank.test"
    ),
    "the first of two tables": policy(
        "encrypt", main={"smtp_tls_policy_maps": f"inline:{{ {{ bank.test = may }} }}, {POLICIES}"}
    ),
    "per site": row(
        {"smtp_tls_per_site": "%type%:%dir%/sites", "smtp_tls_security_level": "", "smtp_use_tls": "yes"},
        tables={"sites": {"bank.test": "MUST_NOPEERMATCH"}},
    ),
    "behind a socket": row({"smtp_tls_policy_maps": "socketmap:unix:/nowhere:policies"}, peers=FEW),
    "per site beside policies": policy("encrypt", main={"smtp_tls_per_site": "inline:{ { bank.test = NONE } }"}),
}

DANES = {
    "all that it needs": row(DANE, **TO_DANE),
    "no TLSA records": row(DANE, to="somebody@bare.dane.test"),
    "names that nobody signed": row(DANE, to="somebody@insecure.test"),
    "names that nobody signed, may for these": row(
        {**DANE, "smtp_tls_dane_insecure_mx_policy": "may"}, to="somebody@insecure.test"
    ),
    "names that nobody signed, encrypt for these": row(
        {**DANE, "smtp_tls_dane_insecure_mx_policy": "encrypt"}, to="somebody@insecure.test"
    ),
    "names that nobody signed, dane for these": row(
        {**DANE, "smtp_tls_dane_insecure_mx_policy": "dane"}, to="somebody@insecure.test"
    ),
    "a host in brackets": row({**DANE, "relayhost": "[mx.dane.test]"}),
    "DNS without its security": row({**DANE, "smtp_dns_support_level": "enabled"}, **TO_DANE),
    "no DNS": row({**DANE, "smtp_host_lookup": "native"}, to="somebody@mx.dane.test"),
    "hosts and DNS": row({**DANE, "smtp_host_lookup": "native, dns"}, **TO_DANE),
    "its security in capitals": row({**DANE, "smtp_dns_support_level": "DNSSEC"}, **TO_DANE),
    "errors of MX lookups ignored": row({**DANE, "ignore_mx_lookup_error": "yes"}, **TO_DANE),
    "domains that the resolver appends": row({**DANE, "smtp_dns_resolver_options": "res_defnames"}, **TO_DANE),
    "DANE only": row({**DANE, "smtp_tls_security_level": "dane-only"}, **TO_DANE),
    "DANE only, no TLSA records": row({**DANE, "smtp_tls_security_level": "dane-only"}, to="somebody@bare.dane.test"),
    "DANE only, names that nobody signed": row(
        {**DANE, "smtp_tls_security_level": "dane-only"}, to="somebody@insecure.test"
    ),
    "DANE only, DNS without its security": row(
        {**DANE, "smtp_tls_security_level": "dane-only", "smtp_dns_support_level": "enabled"},
        to="somebody@bare.dane.test",
    ),
    "by policy": policy("dane", "dane.test", main=DNS, **TO_DANE),
    "by policy, only": policy("dane-only", "dane.test", main=DNS, **TO_DANE),
    "lookups off beside its security": row({**DANE, "disable_dns_lookups": "yes"}, **TO_DANE),
    "lookups off": row(
        {**DANE, "smtp_dns_support_level": "", "disable_dns_lookups": "yes"}, to="somebody@mx.dane.test"
    ),
    "no digest that the records have": row({**DANE, "tls_dane_digests": "sha512"}, **TO_DANE, peers=FEW[1:]),
    "digests in another order": row({**DANE, "tls_dane_digests": "SHA256, sha512=2"}, **TO_DANE),
    "a digest that nobody knows": row({**DANE, "tls_dane_digests": "sha512 sha256 md9=9"}, **TO_DANE),
    "a digest without a number": row({**DANE, "tls_dane_digests": "sha256 sha384"}, **TO_DANE, peers=FEW),
    "a digest twice": row({**DANE, "tls_dane_digests": "sha256 sha256=1"}, **TO_DANE, peers=FEW),
    "DANE only, no digest that the records have": row(
        {**DANE, "smtp_tls_security_level": "dane-only", "tls_dane_digests": "sha512"}, **TO_DANE, peers=FEW[:2]
    ),
    "a list of its own": row({**DANE, "smtp_tls_mandatory_protocols": "TLSv1.3"}, **TO_DANE),
    "no TLSA records, a list of its own": row({**DANE, "smtp_tls_protocols": "TLSv1.3"}, to="somebody@bare.dane.test"),
}

TRUST = {
    "a file": row(SECURE),
    "another file": row({**SECURE, "smtp_tls_CAfile": "%pki%/unknown.pem"}),
    "a file of two": row({**SECURE, "smtp_tls_CAfile": "%pki%/both.pem"}),
    "a folder": row({"smtp_tls_security_level": "secure", "smtp_tls_CApath": "%pki%/folder"}),
    "a file and a folder": row({**SECURE, "smtp_tls_CAfile": "%pki%/unknown.pem", "smtp_tls_CApath": "%pki%/folder"}),
    "the system's": row({"smtp_tls_security_level": "secure", "tls_append_default_CA": "yes"}),
    "the system's beside a file": row({**SECURE, "tls_append_default_CA": "YES"}),
    "nobody": row({"smtp_tls_security_level": "secure"}),
    "anchors": row({**SECURE, "smtp_tls_trust_anchor_file": "%pki%/unknown.pem"}),
    "an anchor that is not there": row({**SECURE, "smtp_tls_trust_anchor_file": "%pki%/nowhere.pem"}),
    "a file that is not there": row({**SECURE, "smtp_tls_CAfile": "%pki%/nowhere.pem"}),
    "a file that is not there, where TLS is not demanded": level("may", smtp_tls_CAfile="%pki%/nowhere.pem"),
    "a file that holds no certificate": row({**SECURE, "smtp_tls_CAfile": "%dir%/main.cf"}),
    "names by parameter": row({**VERIFY, "smtp_tls_verify_cert_match": "mx.elsewhere.test"}),
    "names by the other parameter": row({**SECURE, "smtp_tls_verify_cert_match": "mx.elsewhere.test"}),
    "next hops by parameter": row({**SECURE, "smtp_tls_secure_cert_match": "nexthop", "relayhost": "[smart.test]"}),
    "below next hops by parameter": row({**SECURE, "smtp_tls_secure_cert_match": "dot-nexthop", **DNS}, **TO_DANE),
}

HEADER = {
    f"{said}, {title}": {**made, "header": TLS_REQUIRED_NO, "since": HEADERS}
    for said, main in {
        "heeded": {},
        "not heeded": {"tls_required_enable": "no"},
        "not heeded, in capitals": {"tls_required_enable": "NO"},
    }.items()
    for title, made in {
        "encrypt": row({"smtp_tls_security_level": "encrypt", **main}, peers=FEW),
        "secure": row({**SECURE, **main}, peers=FEW),
        "dane": row({**DANE, **main}, peers=FEW, **TO_DANE),
        "a policy": policy("secure", main={"smtp_tls_security_level": "may", **main}, peers=FEW),
        "a policy alone": policy("encrypt", main=main, peers=FEW),
        "may by policy alone": policy("may", main=main, peers=FEW),
    }.items()
}

BANK = {"name": "bank.test", "level": "secure"}
RECORDS = {
    "a domain": row(KNOWN, records=[BANK], also=["a@sub.bank.test"]),
    "a domain above": row(KNOWN, records=[{**BANK, "subdomains": True}], to="a@sub.bank.test"),
    "a domain with a route": row(KNOWN, records=[{**BANK, "route": "[smart.test]", "match": ["smart.test"]}]),
    "a domain with a route, beside a relayhost": row(
        {**KNOWN, "relayhost": "[other.test]"},
        records=[{**BANK, "level": "encrypt", "route": "[smart.test]:%port%"}],
    ),
    "a floor": row(KNOWN, records=[{**BANK, "level": "encrypt", "minimum_protocol": "TLSv1.3"}]),
    "a domain that is tested": row(KNOWN, records=[{**BANK, "mode": "testing"}]),
    "a domain that has expired": row(KNOWN, records=[{**BANK, "expires": "2020-01-01"}]),
    "a domain, and then a relayhost": row(KNOWN, records=[BANK], then={"relayhost": "[other.test]"}),
    "a domain, and then a fallback": row(KNOWN, records=[BANK], then={"smtp_fallback_relay": "[spare.test]"}),
    "a domain, and then another transport": row(
        KNOWN, records=[BANK], then={"transport_maps": "inline:{ { bank.test = relay:[other.test] } }"}
    ),
    "a domain, and then no table": row(KNOWN, records=[BANK], then={"smtp_tls_policy_maps": ""}),
}

PARTS = {
    "level": LEVELS,
    "protocols": PROTOCOLS,
    "override": OVERRIDES,
    "way": WAYS,
    "transport_maps": TRANSPORTS,
    "policy": POLICIES_OF_HOPS,
    "DANE": DANES,
    "trust": TRUST,
    "TLS-Required: no": HEADER,
    "record": RECORDS,
}
ASKED = ("policy: per site", "transport_maps: behind a socket", "policy: behind a socket")
"""Rows of which only somebody else could say what holds."""
MAIL = {f"{part}: {title}": made for part, rows in PARTS.items() for title, made in rows.items()}

LISTENERS = {
    "no level": server(),
    "none": server({"smtpd_tls_security_level": "none"}),
    "may": server({"smtpd_tls_security_level": "may"}),
    "MAY in capitals": server({"smtpd_tls_security_level": "MAY"}),
    "encrypt": server({"smtpd_tls_security_level": "encrypt"}),
    "Encrypt in both cases": server({"smtpd_tls_security_level": "Encrypt"}),
    "verify": server({"smtpd_tls_security_level": "verify"}),
    "secure": server({"smtpd_tls_security_level": "secure"}),
    "fingerprint": server({"smtpd_tls_security_level": "fingerprint"}),
    "use_tls": server({"smtpd_use_tls": "yes"}),
    "use_tls in capitals": server({"smtpd_use_tls": "YES"}),
    "enforce_tls": server({"smtpd_enforce_tls": "yes"}),
    "enforce_tls beside may": server({"smtpd_enforce_tls": "yes", "smtpd_tls_security_level": "may"}),
    "wrapper mode": server({"smtpd_tls_security_level": "may"}, "smtpd -o smtpd_tls_wrappermode=Yes", wrapped=True),
    "a level of the service": server({}, "smtpd -o smtpd_tls_security_level=encrypt"),
    "a level of the service in braces": server({}, "smtpd -o { smtpd_tls_security_level = may }"),
    "an empty level of the service": server(
        {"smtpd_tls_security_level": "encrypt"}, "smtpd -o smtpd_tls_security_level="
    ),
    "a floor": server({"smtpd_tls_security_level": "may", "smtpd_tls_protocols": ">=TLSv1.2"}),
    "a floor in hexadecimal digits": server({"smtpd_tls_security_level": "may", "smtpd_tls_protocols": ">=0304"}),
    "a plain list": server({"smtpd_tls_security_level": "may", "smtpd_tls_protocols": "TLSv1.3"}),
    "a plain list in lower case": server({"smtpd_tls_security_level": "may", "smtpd_tls_protocols": "tlsv1.2 tlsv1.3"}),
    "exclusions": server({"smtpd_tls_security_level": "may", "smtpd_tls_protocols": "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1"}),
    "the mandatory list": server({"smtpd_tls_security_level": "encrypt", "smtpd_tls_mandatory_protocols": "TLSv1.3"}),
    "the mandatory list at may": server(
        {"smtpd_tls_security_level": "may", "smtpd_tls_mandatory_protocols": "TLSv1.3"}
    ),
    "a version that nobody knows": server({"smtpd_tls_security_level": "may", "smtpd_tls_protocols": "TLSv1.9"}),
}
SERVERS = {f"server: {title}": made for title, made in LISTENERS.items()}
