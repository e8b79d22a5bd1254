# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from DNS cannot be forged, and what DNS depends on does not die without a word.

node3 is a relay with a resolver and policies; node2 takes its mail, and has an attacker, who forges whatever he is asked and says
that it is secure. Tests begin with what those before have left, or with what their fixture says; a run leaves any of them out.
"""

import pathlib
import re
import shlex

import pytest
import zones
from confined import IN_A_CONTAINER
from fleet_lab import FLEET
from mail import NODES, wait_for
from metrics import measured
from on_node import begin_anew, sh
from tasks import CALLS, INVENTORY, relay, results

NODE, NEIGHBOUR = "node3", "node2"
ATTACKER = FLEET.address(140)
FORGES = (pathlib.Path(__file__).parents[1] / "node" / "forges_answers.py").read_text()
ZONE, SPOILED, BANK, PROVEN = "dns.test", "spoiled.dns.test", "bank.dns.test", "proven.dns.test"
ADDRESS = NODES[NEIGHBOUR]
RECORDS = (
    f'{SPOILED}. TXT "NSEC"',
    f"{BANK}. MX 10 mx.{BANK}.",
    f"mx.{BANK}. A {ADDRESS}",
    f"{PROVEN}. MX 10 mx.{PROVEN}.",
    f"mx.{PROVEN}. A {ADDRESS}",
    f"_25._tcp.mx.{PROVEN}. TLSA 3 1 1 {'00' * 32}",
)
SOURCE = "socketmap:inet:127.0.0.1:8462:policy"
SERVICES = ("unbound", "postfix-mta-sts-resolver", "smtp-dane-first")
SOCKET = "smtp-dane-first.socket"
RESOLV_CONF, COPY = "/etc/resolv.conf", "/var/spool/postfix/etc/resolv.conf"
KEPT = "/root/resolv.conf"
TAGS = ("--tags", "resolver,mta_sts")
pytestmark = pytest.mark.sampled("dns")
testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def variables():
    """Of the role: a resolver that knows a signed zone of the lab's, and what it must answer to be believed."""
    anchor = zones.serve("dns", [zones.Zone(ZONE, RECORDS, bogus=((SPOILED, "NSEC"),))])[ZONE]
    begin_anew(NODE)
    sh(NODE, f"test -e {KEPT} || cp {RESOLV_CONF} {KEPT}")
    sh(NEIGHBOUR, f"postconf 'mydestination = $myhostname, localhost, {BANK}, {PROVEN}' && postfix reload")
    sh(NEIGHBOUR, f"ip address replace {ATTACKER}/24 dev eth0")
    forge = f"systemd-run --unit=forges --collect python3 -c {shlex.quote(FORGES)} {ATTACKER} {ADDRESS} {SPOILED}"
    sh(NEIGHBOUR, forge)
    for service in SERVICES[1:]:
        folder = f"/etc/systemd/system/{service}.service.d"
        sh(NODE, f"mkdir -p {folder} && cat > {folder}/container.conf", IN_A_CONTAINER)
    yield {
        "relay_resolver": "unbound",
        "relay_resolver_zones": [{"name": ZONE, "servers": [zones.ADDRESS], "trust_anchors": [anchor]}],
        "relay_resolver_forwarders": re.findall(r"^nameserver (\S+)", sh(NODE, f"cat {KEPT}"), re.MULTILINE),
        "relay_resolver_settings": {"domain-insecure": ["com", "org"]},
        "relay_resolver_test": [BANK],
        "relay_dnssec_test": {"signed": ZONE, "bogus": SPOILED},
        "relay_mta_sts": True,
    }
    bring_back()


@pytest.fixture(scope="module")
def answering(variables):
    """The same, once all of it answers."""
    relay(NODE, "--tags", "resolver,mta_sts,metrics", **variables)
    return variables


def bring_back():
    units = " ".join(f"/etc/systemd/system/{service}.service.d" for service in SERVICES)
    sh(
        NODE,
        f"cat {KEPT} > {RESOLV_CONF}; systemctl disable --now {SOCKET} {' '.join(SERVICES)}; postsuper -d ALL",
        check=False,
    )
    sh(NODE, f"rm -rf {units} /etc/systemd/system/smtp-dane-first.* /usr/local/lib/smtp-dane-first.pyz")
    sh(NODE, "rm -rf /etc/smtp-dane-first /var/lib/mta-sts/cache.db* && systemctl daemon-reload")
    sh(NEIGHBOUR, f"systemctl stop forges; ip address delete {ATTACKER}/24 dev eth0", check=False)
    zones.serve("dns", [])
    for node in (NODE, NEIGHBOUR):
        begin_anew(node)


def refused(*words, **variables):
    with pytest.raises(AssertionError) as refusal:
        relay(NODE, *words, **variables)
    return " ".join(str(refusal.value).split())


def taken(kind, address, port):
    """A command that takes a port from whoever wants it."""
    program = (
        f"import socket, time; s = socket.socket(type=socket.{kind}); s.bind(({address!r}, {port})); time.sleep(600)"
    )
    return f"systemd-run --unit=taken --collect python3 -c {shlex.quote(program)}"


def answer(domain):
    """What Postfix is told of a next hop, or why it is told nothing."""
    return sh(NODE, f"postmap -q {domain} {SOURCE} 2>&1", check=False).strip()


def resolver_state():
    """What the node asks, and what runs there; a package that was installed meanwhile stays, and a start that failed is told."""
    there = f"cat {RESOLV_CONF}; stat -c %A {RESOLV_CONF}; ls /etc/unbound/unbound.conf.d/smtp-hardening.conf"
    said = sh(NODE, f"{there}; systemctl is-active unbound; systemctl is-enabled unbound", check=False)
    return said.replace("not-found", "disabled").replace("failed", "inactive")


def findings():
    told = results(NODE, "smtp_tls_info", {"dnssec_test": {"signed": ZONE, "bogus": SPOILED}})[NODE]
    return {finding["about"]: finding["problem"] for finding in told["findings"]}


BLOCKED = {
    "port taken": {},
    # Nobody listens there, as behind a firewall that lets nothing out on port 53.
    "no answer from outside": {"relay_resolver_zones": [], "relay_resolver_forwarders": ["127.0.0.9"]},
    "no trust anchor": {
        "relay_resolver_zones": [{"name": ZONE, "servers": [], "trust_anchors": [f"{ZONE}. IN DS 1 13 2 no-hex"]}]
    },
}


@pytest.mark.parametrize("blocked", BLOCKED)
def test_a_resolver_that_would_resolve_nothing_is_asked_by_nobody_and_all_is_as_it_was(variables, blocked):
    sh(NODE, "systemctl disable --now unbound", check=False)
    before = resolver_state()
    if blocked == "port taken":
        sh(NODE, taken("SOCK_DGRAM", "127.0.0.1", 53))
    try:
        said = refused(*TAGS, **{**variables, **BLOCKED[blocked]})
    finally:
        sh(NODE, "systemctl stop taken", check=False)
    assert "relay_resolver: unbound would leave this host without DNS: " in said
    assert ("unbound-checkconf says error: " in said) == (blocked == "no trust anchor")
    remedy = (
        "Put right what relay_resolver_zones"
        if blocked == "no trust anchor"
        else "Let the host ask DNS servers on port 53"
    )
    assert f"Everything is as it was. {remedy}" in said
    assert resolver_state() == before
    assert SOURCE not in sh(NODE, "postconf -hx smtp_tls_policy_maps")


def test_a_source_of_policies_that_cannot_listen_is_not_what_mail_depends_on(variables):
    sh(NODE, taken("SOCK_STREAM", "127.0.0.1", 8462))
    try:
        said = refused(*TAGS, **variables)
    finally:
        sh(NODE, "systemctl stop taken")
    assert "smtp-dane-first, without which mail would wait, cannot have 127.0.0.1:8462, which must be its own" in said
    assert SOURCE not in sh(NODE, "postconf -hx smtp_tls_policy_maps")
    assert "nameserver 127.0.0.1" in sh(NODE, f"cat {RESOLV_CONF}"), "the resolver has answered"


def test_once_all_answer_policies_come_from_dns(answering):
    assert SOURCE in sh(NODE, "postconf -hx smtp_tls_policy_maps")
    assert (answer(PROVEN), answer(BANK)) == ("dane-only", "")
    assert findings() == {}
    assert measured(NODE)["healthy"] == 1


LURKS = """import socket, time
places = [(socket.AF_INET, ("127.0.0.1", 8462)), (socket.AF_UNIX, "/var/lib/mta-sts/policies.sock")]
while True:
    for family, place in places:
        with socket.socket(family) as mine:
            mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                mine.bind(place)
            except OSError:
                continue
            raise SystemExit(f"had {place}")
    time.sleep(0.002)
"""
"""An account that wants to say in their place that no domain has a policy."""


def test_services_that_are_killed_are_started_again_however_often_and_nobody_answers_in_their_place(answering):
    sh(NODE, f"systemd-run --unit=lurks --uid=nobody --collect python3 -c {shlex.quote(LURKS)}")
    for service in SERVICES:
        shown = sh(NODE, f"systemctl show -p Restart -p StartLimitIntervalUSec {service}")
        assert set(shown.split()) == {"Restart=always", "StartLimitIntervalUSec=0"}
        sh(NODE, f"systemctl kill -s KILL {service}")
    wait_for(lambda: answer(PROVEN) == "dane-only")
    sh(NODE, f"systemctl restart {' '.join(SERVICES[1:])}")
    assert answer(PROVEN) == "dane-only"
    sh(NODE, "systemctl is-active lurks && systemctl stop lurks")


def forged(file):
    return f"cp {file} {file}.kept; echo nameserver {ATTACKER} > {file}"


def restored(file):
    return f"cat {file}.kept > {file}; rm {file}.kept"


DEATHS = {
    "unbound stopped": ("systemctl stop unbound", "systemctl start unbound", "does not answer"),
    "MTA-STS resolver stopped": (
        "systemctl stop postfix-mta-sts-resolver",
        "systemctl start postfix-mta-sts-resolver",
        "MTA-STS resolver: ",
    ),
    "source of policies stopped": (
        f"systemctl stop {SOCKET}",
        f"systemctl start {SOCKET} smtp-dane-first",
        "Connection refused",
    ),
    "resolv.conf rewritten, as by DHCP": (forged(RESOLV_CONF), restored(RESOLV_CONF), f"({RESOLV_CONF})"),
    "Postfix's copy rewritten, as by a restart": (forged(COPY), restored(COPY), f"({COPY})"),
}


@pytest.mark.parametrize("death", DEATHS)
def test_what_policies_depend_on_does_not_die_without_a_word_and_no_mail_is_lost(answering, death):
    harm, repair, reason = DEATHS[death]
    mark = f"Subject: {death}"
    sh(NODE, harm)
    try:
        wait_for(lambda: reason in answer(BANK), 60)
        found = findings()
        samples = measured(NODE)
        failed = sh(NODE, "systemctl is-failed smtp-metrics", check=False)
        sh(NODE, f"/usr/sbin/sendmail -f probe@localhost probe@{BANK}", f"{mark}\n\ntest\n")
        wait_for(lambda: re.search("TLS configuration problem|Host not found, try again", sh(NODE, "postqueue -p")))
    finally:
        sh(NODE, repair)
    assert "gives Postfix no answer, and mail waits: " in found["policy_sources"] and reason in found["policy_sources"]
    assert (samples["healthy"], samples['check_healthy{check="policy_sources"}'], failed) == (0, 0, "failed\n")
    assert samples[f'policy_source_up{{source="{SOURCE}"}}'] == 0
    wait_for(lambda: answer(PROVEN) == "dane-only")
    sh(NODE, "postqueue -f")
    wait_for(lambda: f"{mark}\n" in sh(NEIGHBOUR, "cat /var/mail/probe || true"))
    assert measured(NODE)["healthy"] == 1


def test_a_link_that_leads_nowhere_is_kept_as_it_was_found(answering):
    """As to the file of a resolver that has not started."""
    sh(NODE, "ln -sfn ../run/nowhere /etc/nowhere.conf")
    argv = ["ansible", "-i", str(INVENTORY), NODE, "-m", "ansible.builtin.include_role"]
    role = "name=mailfleet.smtp_hardening.relay tasks_from=keep_found"
    done = CALLS.run([*argv, "-a", role, "-e", "relay_found_file=/etc/nowhere.conf"], 100)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = sh(NODE, "cd /var/lib/smtp-hardening/found && readlink nowhere.conf && rm nowhere.conf /etc/nowhere.conf")
    assert kept == "../run/nowhere\n"


def test_dane_is_not_given_up_without_leave_nor_what_it_needs(answering):
    said = refused(*TAGS, **answering, relay_dane=False)
    assert "This would lower protection: DANE, which smtp-dane-first promises to each Postfix here" in said
    assert answer(PROVEN) == "dane-only"
    result = results(NODE, "smtp_settings", {"parameters": {"smtp_dns_support_level": "enabled"}})[NODE]
    assert "other mail.dnssec from yes to no" in result["msg"]


def test_a_run_without_the_promised_resolver_fails_and_where_there_never_was_one_dane_is_never_answered(answering):
    """The attacker answers the names that resolvers are tested with as a validator does."""
    without = {**answering, "relay_resolver": ""}
    sh(NODE, f"echo nameserver {ATTACKER} > {RESOLV_CONF} && systemctl restart postfix")
    said = refused(*TAGS, **without)
    assert "relay_dane: smtp-dane-first was promised a resolver that validates DNSSEC, and the resolver" in said
    assert "is not on loopback, so its answers could be forged on the way; mail that it is asked about waits." in said
    assert "query error" in answer(BANK)
    relay(NODE, *TAGS, **without, relay_dane=False, relay_allow_weaker=["relay_dane"])
    told = relay(NODE, *TAGS, **without)
    assert "DANE is left out: the resolver" in " ".join(told.split())
    assert (answer(PROVEN), answer(BANK)) == ("", ""), "of which the attacker says that both have DANE"
    assert findings() == {}
