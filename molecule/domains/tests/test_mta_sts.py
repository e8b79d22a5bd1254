# SPDX-License-Identifier: GPL-3.0-or-later
"""DANE (RFC 7672) and MTA-STS (RFC 8461) for outgoing mail, with policy hosts, mail servers, signed zones and a resolver that are
real.

node3 is a relay by the role; node2 is every server of the domains. One message goes to all of them, those of the conditions of
docs/policies.md among them.
"""

import json
import pathlib
import re
import shlex
import time
from typing import NamedTuple, Optional, Tuple

import conditions
import peers
import pytest
import reports
import trustme
import zones
from conditions import COLUMNS, GROUPS, OPT_OUT, SIGNED, UNSIGNED
from confined import IN_A_CONTAINER
from documents import must_equal, read_table
from fleet_lab import FLEET
from instances import MASTER_CF
from mail import NODES, wait_for
from on_node import begin_anew, sh
from sender import read
from tasks import TOP, relay, results, succeed

RELAY, SERVERS = "node3", "node2"
PROGRAMS = pathlib.Path(__file__).parents[1] / "node"
POLICY_HOST, UNTRUSTED_POLICY_HOST, SILENT = map(FLEET.address, (130, 131, 139))
VALID, UNTRUSTED, MISNAMED, PLAIN, BREAKING = map(FLEET.address, range(132, 137))
DOCUMENT = TOP / "docs" / "policies.md"
BY_IPV6, IPV6 = "fd53::133", "fd53::13"
"""Of the untrusted server, and of the relay."""
LOG = "/var/log/mail.log"
DATABASE = "/var/lib/mta-sts/cache.db"
SETTINGS = {
    **peers.SETTINGS,
    "inet_protocols": "all",
    "relay_domains": "sts.test, dane.test, signed.test, unsigned.test, bind.test",
}
SERVICES = ("postfix-mta-sts-resolver", "smtp-dane-first")


class Domain(NamedTuple):
    """A domain with one mail server, mx.NAME, unless it has two; its policy names just that."""

    name: str
    server: str = VALID
    mode: Optional[str] = "enforce"
    listed: Optional[str] = None
    """What the policy names instead."""
    policy_host: str = POLICY_HOST
    tlsa: Tuple[str, ...] = ()
    second: Optional[str] = None
    """Another server, mx2.NAME, which the policy names as well."""
    asks_for_reports: bool = False

    @property
    def origin(self):
        return self.name.partition(".")[2]

    def records(self, key):
        """Master file lines; ``key`` stands for the SHA-256 of the key that the valid server has."""
        yield f"{self.name}. MX 10 mx.{self.name}."
        yield f"mx.{self.name}. A {self.server}"
        yield f"mta-sts.{self.name}. A {self.policy_host}"
        if self.mode:
            yield f'_mta-sts.{self.name}. TXT "v=STSv1; id=1;"'
        if self.second:
            yield f"{self.name}. MX 20 mx2.{self.name}."
            yield f"mx2.{self.name}. A {self.second}"
        if self.asks_for_reports:
            yield f'_smtp._tls.{self.name}. TXT "v=TLSRPTv1; rua=mailto:tls@{self.name}"'
        for record in self.tlsa:
            yield f"_25._tcp.mx.{self.name}. TLSA {record.format(key=key)}"

    def policy(self):
        listed = [self.listed or f"mx.{self.name}", *([f"mx2.{self.name}"] if self.second else [])]
        return "\n".join(
            ["version: STSv1", f"mode: {self.mode}", "max_age: 86400", *[f"mx: {name}" for name in listed], ""]
        )


MATCHING, OTHER = "3 1 1 {key}", "3 1 1 " + "00" * 32
DOMAINS = (
    Domain("valid.sts.test"),
    Domain("untrusted.sts.test", UNTRUSTED),
    Domain("misnamed.sts.test", MISNAMED),
    Domain("plain.sts.test", PLAIN),
    Domain("testing.sts.test", UNTRUSTED, mode="testing"),
    Domain("none.sts.test", UNTRUSTED, mode="none"),
    Domain("counted.sts.test", BREAKING, mode="testing", asks_for_reports=True),
    Domain("absent.sts.test", UNTRUSTED, mode=None),
    Domain("forged.sts.test", UNTRUSTED, policy_host=UNTRUSTED_POLICY_HOST),
    Domain("unlisted.sts.test", listed="mx.elsewhere.test"),
    Domain("other-name.sts.test", listed="mx.valid.sts.test"),
    Domain("cached.sts.test", UNTRUSTED, policy_host=SILENT),
    Domain("expired.sts.test", UNTRUSTED, policy_host=SILENT),
    Domain("operator.sts.test", UNTRUSTED),
    Domain("map.sts.test", UNTRUSTED),
    Domain("matching.dane.test", listed="mx.elsewhere.test", tlsa=(MATCHING,)),
    Domain("failing.dane.test", tlsa=(OTHER,)),
    Domain("bogus.dane.test", tlsa=(MATCHING,)),
    Domain("unusable.dane.test", tlsa=("1 1 1 " + "00" * 32,)),
    Domain("half.dane.test", tlsa=(OTHER,), second=VALID),
)
MAP = "inline:{map.sts.test=encrypt}"
"""The operator's own."""
MTA_STS = "socketmap:unix:/var/lib/mta-sts/policies.sock:postfix"
ALONE = {"dane": "static:dane", "dane-only": "static:dane-only", "mta-sts": MTA_STS}
"""The first columns of docs/policies.md: clients that ask somebody else, each for its domains, outside the chroot."""
BOGUS = ("_25._tcp.mx.bogus.dane.test", "TLSA")
SPOILED = "spoiled.dane.test"
"""A name with a wrong signature under whatever it does not have, which a validating resolver refuses to deny."""


class Fate(NamedTuple):
    status: str
    reason: str
    trust: Tuple[str, ...]
    """Of each TLS connection to a server of the domain, in Postfix's word."""


@pytest.fixture(scope="module")
def applied():
    """The relay and all servers; the variables of its role."""
    ca = trustme.CA()
    try:
        variables = role_variables(serve(ca))
        set_up_relay(ca, variables)
        yield variables
    finally:
        bring_back()


@pytest.fixture(scope="module")
def log(applied):
    """What the relay says of the first attempt at a message to every domain."""
    tested = [condition.domain(column) for condition in conditions.ALL for column in COLUMNS]
    # Policies are fetched one by one before: the resolver gives a host four seconds, which is short on a busy machine.
    sh(RELAY, f"postmap -q - {MTA_STS}", "".join(f"{name}\n" for name in tested), check=False)
    return send([*(domain.name for domain in DOMAINS), *tested])


@pytest.fixture(scope="module")
def fates(log):
    """What became of it, by domain."""
    return {domain.name: fate(domain.name, log) for domain in DOMAINS}


def serve(ca):
    """All servers and zones; the trust anchors of the signed ones."""
    names = [f"{host}.{domain.name}" for domain in DOMAINS for host in ("mx", "mx2")]
    hosts = [f"mta-sts.{domain}" for domain in served()]
    tested = conditions.names_by_server()
    stranger = trustme.CA()
    identities = {
        POLICY_HOST: ca.issue_cert(*hosts),
        UNTRUSTED_POLICY_HOST: stranger.issue_cert(*hosts),
        VALID: ca.issue_cert(*names, *tested["valid"]),
        UNTRUSTED: stranger.issue_cert(*names, *tested["stranger"]),
        MISNAMED: ca.issue_cert("mx.elsewhere.test"),
        PLAIN: ca.issue_cert(*names, *tested["plain"]),
    }
    identities[BY_IPV6] = identities[UNTRUSTED]
    root = ca.cert_pem.bytes()  # which a server must send where a TLSA record names it (RFC 7672 section 3.1.2)
    chains = {at: (found.private_key_and_cert_chain_pem.bytes() + root).decode() for at, found in identities.items()}
    levels = {**dict.fromkeys([VALID, UNTRUSTED, BY_IPV6, MISNAMED], "may"), PLAIN: "none"}
    peers.on_node2(
        "serve",
        own_address=NODES[SERVERS],
        services=MASTER_CF,
        settings=SETTINGS,
        peers=[_mail_server(address, chains[address], level) for address, level in levels.items()],
        programs=[
            *(_policy_host(address, chains[address]) for address in (POLICY_HOST, UNTRUSTED_POLICY_HOST)),
            _program("breaks_off", BREAKING),
        ],
        silent=[{"address": SILENT}],
    )
    key = conditions.facts(_certificate(identities[VALID]), root)["key"]
    lines = {origin: [] for origin in ("sts.test", "dane.test")}
    for domain in DOMAINS:
        lines[domain.origin] += domain.records(key)
    spoiled = f'{SPOILED}. TXT "NSEC"'
    ours = [
        zones.Zone("sts.test", tuple(lines["sts.test"]), signed=False),
        zones.Zone("dane.test", (*lines["dane.test"], spoiled), bogus=(BOGUS, (SPOILED, "NSEC"))),
    ]
    addresses = {
        ("valid", "A"): VALID,
        ("stranger", "A"): UNTRUSTED,
        ("stranger", "AAAA"): BY_IPV6,
        ("plain", "A"): PLAIN,
        "trusted": POLICY_HOST,
        "stranger": UNTRUSTED_POLICY_HOST,
        "silent": SILENT,
    }
    servers = {"valid": VALID, "stranger": UNTRUSTED, "plain": PLAIN}
    facts = {name: conditions.facts(_certificate(identities[at]), root) for name, at in servers.items()}
    return zones.serve("sts", [*ours, *conditions.zones(addresses, facts)])


def served():
    """The policy of each domain that has one."""
    return {**{domain.name: domain.policy() for domain in DOMAINS}, **conditions.policies()}


def _mail_server(address, chain, level):
    return {"name": address, "address": address, "chain": chain, "options": {"smtpd_tls_security_level": level}}


def _policy_host(address, chain):
    policies = json.dumps({f"mta-sts.{domain}": policy for domain, policy in served().items()})
    return _program("policy_host", address, chain, policies)


def _program(name, address, *files):
    source = (PROGRAMS / f"{name}.py").read_text()
    return {"name": address, "address": address, "source": source, "arguments": [], "files": files}


def role_variables(anchors):
    sh(RELAY, "test -e /root/resolv.conf || cp /etc/resolv.conf /root/resolv.conf")
    servers = {"sts.test": zones.ADDRESS, UNSIGNED: zones.ADDRESS, "dane.test": zones.ADDRESS, SIGNED: zones.ADDRESS}
    servers[OPT_OUT] = zones.BIND
    return {
        "relay_settings": {
            "mydestination": ["$myhostname", "localhost"],
            "smtp_host_lookup": "dns",
            "smtp_connection_cache_on_demand": False,  # a connection for each message
        },
        "relay_resolver": "unbound",
        "relay_resolver_zones": [
            {"name": name, "servers": [at], "trust_anchors": [anchors[name]] if name in anchors else []}
            for name, at in servers.items()
        ],
        # Packages come by way of whom the node has asked so far, who may know no DNSSEC.
        "relay_resolver_forwarders": re.findall(r"^nameserver (\S+)", sh(RELAY, "cat /root/resolv.conf"), re.MULTILINE),
        "relay_resolver_settings": {"domain-insecure": ["com", "org"]},
        "relay_resolver_test": ["sts.test"],
        "relay_dnssec_test": {"signed": "dane.test", "bogus": SPOILED},
        "relay_mta_sts": True,
        "relay_tlsrpt_socket": reports.SOCKET,
    }


def set_up_relay(ca, variables):
    """The role, a map and a record of the operator's, and two policies of which one is too old."""
    begin_anew(RELAY)
    sh(RELAY, "cat > /usr/local/share/ca-certificates/sts.crt && update-ca-certificates", ca.cert_pem.bytes().decode())
    for service in SERVICES:
        folder = f"/etc/systemd/system/{service}.service.d"
        sh(RELAY, f"mkdir -p {folder} && cat > {folder}/container.conf", IN_A_CONTAINER)
    sh(RELAY, f"postconf 'smtp_tls_policy_maps = {MAP}' && ip address replace {IPV6}/64 dev eth0 nodad")
    for client, source in ALONE.items():
        sh(RELAY, f"postconf -M '{client}/unix={client} unix - - n - - smtp'")
        sh(RELAY, f"postconf -P '{client}/unix/smtp_tls_policy_maps={source}'")
    routes = " ".join(f"{{.{client}.{zone} = {client}:}}" for client in ALONE for zone in conditions.ORIGINS)
    sh(RELAY, f"postconf 'transport_maps = inline:{{{routes}}}'")
    relay(RELAY, **variables)
    # A few messages at a time: what a lookup meets among hundreds of others is none of the document's conditions.
    sh(RELAY, "postconf default_process_limit=8 && postfix reload")
    _task("smtp_tls_mode", client={"level": "may"})
    less = [{"name": "operator.sts.test", "level": "encrypt"}]
    _task("smtp_domain_policy", domains=less, allow_weaker=["domain operator.sts.test"])
    now = int(time.time())
    kept = [
        ("cached.sts.test", now - 3600, "enforce", ["mx.cached.sts.test"]),
        ("expired.sts.test", now - 2 * 86400, "enforce", ["mx.expired.sts.test"]),
    ]
    remember([*kept, *((domain, now - 3600, mode, names) for domain, mode, names in conditions.kept())])


def remember(kept):
    """Policies that were fetched then; DNS says by another id that they have changed."""
    rows = [
        (domain, when, "0", json.dumps({"version": "STSv1", "mode": mode, "max_age": 86400, "mx": names}))
        for domain, when, mode, names in kept
    ]
    insert = "INSERT INTO sts_policy_cache (domain, ts, pol_id, pol_body) VALUES (?, ?, ?, ?)"
    program = f"import json, sqlite3, sys\nwith sqlite3.connect('{DATABASE}') as base:\n"
    program += f"    base.executemany('{insert}', json.load(sys.stdin))\n"
    anew = f"systemctl stop {SERVICES[0]} && rm -f {DATABASE}* && systemctl start {SERVICES[0]}"
    sh(RELAY, f"{anew} && python3 -c {shlex.quote(program)}", json.dumps(rows))


def send(domains):
    """What the relay's log says until one message was tried at all of them."""
    begin = int(sh(RELAY, f"stat -c %s {LOG}"))
    sh(
        RELAY,
        f"echo test | /usr/sbin/sendmail -f probe@node3.fleet.test {' '.join(f'probe@{name}' for name in domains)}",
    )

    def all_tried():
        log = sh(RELAY, f"tail -c +{begin + 1} {LOG}")
        return log if set(domains) <= set(re.findall(r"to=<probe@([^>]+)>.* status=\w+", log)) else None

    return wait_for(all_tried, 90)


def fate(domain, log):
    status = re.search(rf"to=<probe@{re.escape(domain)}>.* status=(\w+) \((.*)\)$", log, re.MULTILINE)
    trust = re.findall(rf"(\w+) TLS connection established to mx2?\.{re.escape(domain)}\[", log)
    return Fate(*status.groups(), tuple(trust)) if status else None


def bring_back():
    """Nodes as they were, apart from the packages."""
    sh(RELAY, f"systemctl disable --now {SERVICES[1]}.socket {' '.join(SERVICES)}; rm -f {DATABASE}*", check=False)
    units = " ".join(f"/etc/systemd/system/{service}.service.d" for service in SERVICES)
    sh(RELAY, f"rm -rf {units} /etc/systemd/system/{SERVICES[1]}.* /usr/local/lib/{SERVICES[1]}.pyz")
    sh(
        RELAY,
        "rm -f /usr/local/share/ca-certificates/sts.crt && update-ca-certificates --fresh && systemctl daemon-reload",
    )
    sh(
        RELAY,
        "postsuper -d ALL; cat /root/resolv.conf > /etc/resolv.conf; systemctl disable --now unbound",
        check=False,
    )
    begin_anew(RELAY)
    addresses = [POLICY_HOST, UNTRUSTED_POLICY_HOST, SILENT, VALID, UNTRUSTED, BY_IPV6, MISNAMED, PLAIN, BREAKING]
    sh(RELAY, f"ip address delete {IPV6}/64 dev eth0", check=False)
    peers.on_node2("stop", peers=[{"address": address} for address in addresses])
    zones.serve("sts", [])


def _task(module, **options):
    succeed(RELAY, module, **options)


def _certificate(identity):
    return identity.cert_chain_pems[0].bytes()


@pytest.mark.parametrize("corner", GROUPS)
def test_each_condition_comes_out_as_the_document_says(log, corner):
    written = [[row[0], *row[3:]] for row in read_table(DOCUMENT, corner)]
    attempts = read(log)
    rows = [[attempts[f"probe@{condition.domain(column)}"] for column in COLUMNS] for condition in GROUPS[corner]]
    found = [[condition.title, *map(outcome, tries)] for condition, tries in zip(GROUPS[corner], rows, strict=True)]
    must_equal([[corner, *COLUMNS], *found], written, lambda row, column: str(rows[row - 1][column - 1]))


@pytest.mark.parametrize("corner", GROUPS)
def test_dane_first_does_for_each_condition_what_the_rfcs_ask_for(corner):
    wrong = [row[0] for row in read_table(DOCUMENT, corner)[1:] if row[-1] not in ENOUGH[row[1]]]
    assert wrong == HELD.get(corner, [])


HELD = {"DANE and MTA-STS": ["enforce, the first of two hosts has a record of another key"]}
"""No level of Postfix lets the second host have it, and asks the first one for what its record says."""
ENOUGH = {
    "nothing": ("plaintext", "encrypted", "verified"),
    "encrypted": ("encrypted", "verified"),
    "verified": ("verified",),
    "waits": ("waits",),
}
"""What of a message is as good as what is asked for."""


def outcome(attempts):
    """One cell of the tables: the first attempt is all that counts."""
    words = {"deferred": "waits", "trusted": "encrypted", "untrusted": "encrypted", "anonymous": "encrypted"}
    return words.get(attempts[0].outcome, attempts[0].outcome)


def delivered(fate, *trust):
    return fate.status == "sent" and fate.trust == trust


def deferred(fate, reason):
    return fate.status == "deferred" and reason in fate.reason


def test_mail_goes_out_verified_to_a_server_that_shows_what_the_policy_asks_for(fates):
    assert delivered(fates["valid.sts.test"], "Verified")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("untrusted", "Server certificate not verified"),
        ("misnamed", "Server certificate not verified"),
        ("plain", "TLS is required, but was not offered"),
    ],
)
def test_mail_waits_where_a_server_shows_something_else(fates, name, reason):
    assert deferred(fates[f"{name}.sts.test"], reason)


@pytest.mark.parametrize("name", ["testing", "none", "absent"])
def test_mail_goes_out_where_the_policy_is_not_to_be_enforced(fates, name):
    assert delivered(fates[f"{name}.sts.test"], "Untrusted")


def test_a_policy_from_a_host_that_nobody_vouches_for_is_none(fates):
    """RFC 8461 section 3.3."""
    assert delivered(fates["forged.sts.test"], "Untrusted")


def test_mail_waits_where_the_policy_does_not_name_the_server(fates):
    assert fates["unlisted.sts.test"].status == "deferred"


def test_a_server_that_is_not_named_is_not_tried_even_if_its_certificate_has_a_name_of_the_policy(fates):
    version = sh(RELAY, "postconf -h mail_version")
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < (3, 10, 5):
        pytest.skip("Postfix matches the certificate alone (postconf(5), smtp_tls_enforce_sts_mx_patterns)")
    assert fates["other-name.sts.test"].status == "deferred"
    assert fates["other-name.sts.test"].trust == ()


def test_a_policy_that_was_fetched_holds_while_its_host_is_silent_until_it_is_too_old(fates):
    assert deferred(fates["cached.sts.test"], "Server certificate not verified")
    assert delivered(fates["expired.sts.test"], "Untrusted")


@pytest.mark.parametrize("name", ["operator", "map"])
def test_what_the_operator_says_about_a_domain_wins(fates, name):
    assert delivered(fates[f"{name}.sts.test"], "Untrusted")


def test_a_server_that_shows_what_its_tlsa_record_says_gets_mail_whatever_the_policy_says(fates):
    assert delivered(fates["matching.dane.test"], "Verified")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("failing", "Server certificate not verified"), ("bogus", "TLSA lookup error"), ("half", "no TLSA records found")],
)
def test_a_policy_does_not_override_a_dane_validation_that_fails(fates, name, reason):
    """RFC 8461 section 2. The server of the first two, and the second server of the last, show what the policy asks for."""
    assert deferred(fates[f"{name}.dane.test"], reason)


def test_a_policy_decides_where_no_tlsa_record_can_be_used(fates):
    assert delivered(fates["unusable.dane.test"], "Verified")


def test_while_the_policy_resolver_is_down_mail_waits_unless_dane_protects_it(fates):
    sh(
        RELAY, f"postfix reload && systemctl stop {SERVICES[0]}"
    )  # which waits for clients that are idle, but for 20 seconds
    try:
        log = send(["valid.sts.test", "matching.dane.test"])
    finally:
        sh(RELAY, f"systemctl start {SERVICES[0]}")
    assert fate("valid.sts.test", log).status == "deferred"
    assert delivered(fate("matching.dane.test", log), "Verified")


def test_a_handshake_that_fails_in_testing_is_counted_as_a_failure_of_that_policy(applied):
    """RFC 8461 section 5, RFC 8460 section 4.3."""
    if "libtlsrpt" not in sh(RELAY, "ldd $(postconf -hx daemon_directory)/smtp"):
        pytest.skip("this Postfix was built without libtlsrpt")
    (policy,) = reports.session(RELAY, "probe@counted.sts.test")["policies"]
    assert policy["f"] == 1 and policy["policy-domain"] == "counted.sts.test", policy
    assert "mode: testing" in policy["policy-string"], policy


@pytest.mark.parametrize(("domain", "has"), [("valid.sts.test", "secure"), ("matching.dane.test", "dane-only")])
def test_a_record_does_not_take_from_a_domain_what_its_policy_or_dane_gives_it(fates, domain, has):
    asked = {"domains": [{"name": domain, "level": "encrypt"}]}
    assert f"domain {domain}.level from {has} to encrypt" in results(RELAY, "smtp_domain_policy", asked)[RELAY]["msg"]


def test_a_second_run_of_the_role_changes_nothing_and_policies_are_asked_for_last(applied):
    assert re.search(r"changed=0\b", relay(RELAY, **applied))
    ours, *others = sh(RELAY, "postconf -hx smtp_tls_policy_maps").strip().split(", ")
    assert re.fullmatch(r"\w+:/etc/postfix/\S+/tls_policy", ours)
    assert others == [MAP, "socketmap:inet:127.0.0.1:8462:policy"]
    relay(RELAY, **{**applied, "relay_mta_sts": False, "relay_allow_weaker": ["other mail.policy_sources"]})
    assert sh(RELAY, "postconf -hx smtp_tls_policy_maps").strip().split(", ")[1:] == [MAP]
