# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail through a provider: each kind of host at each port, at each level, with a name and a password where it asks for one."""

import base64
import json
import re

import providers
import pytest
from fleet_lab import FLEET
from lab import TOP
from mail import wait_for
from on_node import begin_anew, sh, start
from providers import HOSTS, PASSWORD, USER, Host
from tasks import CALLS, ansible, relay, results, succeed

NODE = "node2"
CA_FILE = "/etc/ssl/provider-ca.pem"
LOG = "/var/log/mail.log"
CAPTURE = "/run/passwords.pcap"
CREDENTIALS = f"{USER}:{PASSWORD}"
# As the role relay sets them; without a table of passwords beside them no client starts.
SASL = {
    "smtp_sasl_auth_enable": True,
    "smtp_sasl_security_options": ["noanonymous", "noplaintext"],
    "smtp_sasl_tls_security_options": ["noanonymous", "noplaintext"],
    "smtp_sasl_tls_verified_security_options": ["noanonymous"],
}
testinfra_hosts = ["local://"]


@pytest.fixture(scope="module", autouse=True)
def provider():
    ca = providers.serve()
    relay(NODE, relay_packages=["libsasl2-modules"])
    begin_anew(NODE)
    providers.known_to(NODE)
    sh(NODE, f"cat > {CA_FILE}", ca.pem)
    succeed(NODE, "smtp_tls_mode", client={"level": "may", "ca_file": CA_FILE}, allow_weaker=True)
    succeed(
        NODE,
        "smtp_settings",
        parameters={
            "smtp_host_lookup": ["native"],
            "lmtp_host_lookup": ["native"],
            "smtp_connection_cache_on_demand": False,
        },
    )
    yield
    providers.stop()
    begin_anew(NODE)


def record(host):
    servername = {"servername": "nexthop"} if host.kind == "sni-only" else {}
    return {"name": host.domain, "route": host.next_hop, "level": host.level, **servername}


@pytest.fixture(scope="module")
def rehearsed():
    """What the two tasks said of each next hop, by the last that did; a message to each of their domains has been tried since."""
    records = succeed(
        NODE, "smtp_domain_policy", domains=[record(host) for host in HOSTS], exclusive=True, allow_weaker=True
    )
    secrets = {"smtp_sasl_password_maps": {host.next_hop: CREDENTIALS for host in HOSTS if host.wants_login}}
    settings = succeed(NODE, "smtp_settings", parameters=SASL, secrets=secrets)
    found = {hop["next_hop"]: hop for hop in [*records["next_hops"], *settings["next_hops"]]}
    sh(NODE, f": > {LOG}")
    capture = start(
        NODE, f"exec timeout 120 tcpdump -U -i any -w {CAPTURE} 'tcp port 25 or tcp port 587 or tcp port 465'"
    )
    wait_for(lambda: sh(NODE, f"test -s {CAPTURE} && echo there || true"))
    send(host.domain for host in HOSTS)
    wait_for(lambda: {host.domain for host in HOSTS if not fate(host.domain)} == set(), 120)
    sh(NODE, "pkill tcpdump")
    capture.wait(30)
    yield found
    sh(NODE, "postsuper -d ALL")


def send(domains):
    for domain in domains:
        recipient = f"somebody@{domain}"
        sh(NODE, f"/usr/sbin/sendmail -f probe@localhost {recipient}", f"To: {recipient}\nSubject: test\n\ntest\n")


def fate(domain):
    """The first status of the message to a domain."""
    found = re.search(rf"to=<\w+@{re.escape(domain)}>.* status=(\w+) \((.*)\)", sh(NODE, f"cat {LOG}"))
    return found and found.groups()


@pytest.mark.parametrize("place", HOSTS, ids=lambda place: place.domain)
def test_mail_goes_where_level_and_login_let_it_and_the_rehearsal_has_said_so(place, rehearsed):
    said = rehearsed[place.next_hop]
    status, reason = fate(place.domain)
    assert (status == "sent") is place.takes_mail, reason
    assert (said["delivered"] and (not place.wants_login or said["login"] is True)) is place.takes_mail, said


def test_a_password_crosses_no_wire_as_it_is_and_reaches_no_server_that_is_not_verified(rehearsed):
    shown = [
        PASSWORD,
        base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode(),
        base64.b64encode(PASSWORD.encode()).decode(),
    ]
    found = [sh(NODE, f"grep -caF '{text[:-2]}' {CAPTURE} || true").strip() for text in shown]
    assert (found, rehearsed != {}) == (["0"] * 3, True)
    tried = set(re.findall(r"hosts/([\w-]+)/smtpd\[\d+\]: disconnect.* auth=", providers.log()))
    assert tried == {"right", "sni-only"}


def test_a_wrong_password_is_told_before_it_is_put_in_force(rehearsed):
    before = sh(NODE, "postconf -n")
    for kind in ("right", "exim"):
        for port in (587, 465):
            host = Host(kind, port, "secure")
            secrets = {"smtp_sasl_password_maps": {host.next_hop: f"{USER}:wrong"}}
            said = results(NODE, "smtp_settings", {"secrets": secrets})[NODE]["msg"]
            assert re.search(
                rf"{re.escape(host.next_hop)} refuses the name or the password .*\(535.*Nothing was changed", said
            )
            assert "wrong" not in said
    assert (sh(NODE, "postconf -n"), bool(rehearsed)) == (before, True)


def test_a_changed_password_reaches_the_table(rehearsed):
    host = Host("right", 465, "secure")
    table = sh(NODE, "postconf -hx smtp_sasl_password_maps").strip()
    succeed(NODE, "smtp_settings", secrets={"smtp_sasl_password_maps": {host.next_hop: CREDENTIALS}})
    changed = sh(NODE, "postconf -hx smtp_sasl_password_maps").strip()
    assert changed != table and rehearsed
    assert sh(NODE, f"postmap -q '{host.next_hop}' {changed}").strip() == CREDENTIALS


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"route": "[a.hosts.test]:465", "level": "may"}, "is too little where TLS comes first"),
        ({"route": "nowhere:[a.hosts.test]:25"}, r"names a transport that master.cf does not have \(nowhere/unix\)"),
        ({"route": "error:[a.hosts.test]:25"}, "names a transport that sends to no host: error/unix runs error"),
    ],
)
def test_what_would_hang_is_refused_with_what_to_do(given, sentence):
    done = ansible(NODE, "smtp_domain_policy", {"domains": [{"name": "a.example", **given}]})
    assert re.search(f"{sentence}.*; ", done.stdout)


@pytest.mark.parametrize("transport", ["relay", "filter"])
def test_a_transport_of_ones_own_has_the_level_of_the_record(transport):
    succeed(NODE, "smtp_settings", services=[{"name": "filter/unix", "command": "smtp"}])
    host = Host("expired", 25, "secure")
    domain = f"{transport}.example"
    named = {"name": domain, "route": f"{transport}:{host.next_hop}", "level": host.level}
    told = succeed(NODE, "smtp_domain_policy", domains=[named])
    sh(NODE, f": > {LOG}")
    send([domain])
    assert wait_for(lambda: fate(domain))[0] == "deferred"
    assert [(hop["service"], hop["delivered"]) for hop in told["next_hops"]] in ([(f"{transport}/unix", False)], [])
    sh(NODE, "postsuper -d ALL")


def test_a_level_that_an_override_would_hide_is_refused_by_name():
    succeed(NODE, "smtp_settings", services=[{"name": "blind/unix", "command": "smtp"}])
    sh(NODE, "postconf -P blind/unix/smtp_tls_policy_maps=")
    named = {"name": "blind.example", "route": f"blind:{Host('right', 25, 'secure').next_hop}", "level": "secure"}
    said = results(NODE, "smtp_domain_policy", {"domains": [named]})[NODE]["msg"]
    assert re.search(
        r"blind\.example has level secure, but the service blind/unix does not find that in its smtp_tls_policy_maps",
        said,
    )


def test_an_lmtp_route_has_a_level():
    """Toward a store that knows no TLS."""
    place = f"{FLEET.nodes[providers.NODE]}:2400"
    sh(providers.NODE, f"systemd-run --unit=store --collect smtp-sink -L -u nobody {place} 10")
    named = {"name": "store.example", "route": f"lmtp:[{place.replace(':', ']:')}"}
    fates = {}
    for level in ("may", "encrypt"):
        succeed(NODE, "smtp_domain_policy", domains=[{**named, "level": level}])
        sh(NODE, f": > {LOG}")
        send(["store.example"])
        fates[level] = wait_for(lambda: fate("store.example"))
    sh(providers.NODE, "systemctl stop store")
    sh(NODE, "postsuper -d ALL")
    assert (fates["may"][0], fates["encrypt"][0]) == ("sent", "deferred")
    assert "TLS is required, but was not offered" in fates["encrypt"][1]


def through(host, *words, **variables):
    account = {"relay_smarthost_user": USER, "relay_smarthost_password": PASSWORD}
    settings = {"smtp_host_lookup": "native", "smtp_connection_cache_on_demand": False}
    return relay(NODE, *words, relay_smarthost=host.next_hop, relay_settings=settings, **account, **variables)


@pytest.mark.sampled("smarthosts")
def test_a_smarthost_moves_to_465_and_back_and_each_message_comes_once():
    """While a message leaves every tenth of a second. The lab's inventory lists all records, so these stand there already."""
    begin_anew(NODE)
    succeed(NODE, "smtp_tls_mode", client={"level": "may", "ca_file": CA_FILE}, allow_weaker=True)
    old, new = (Host("right", port, "secure") for port in (587, 465))
    succeed(NODE, "smtp_domain_policy", domains=[record(old), record(new)], exclusive=True, allow_weaker=True)
    through(old, "--tags", "settings")
    sh(NODE, f"postsuper -d ALL; : > {LOG}")
    writer = start(NODE, f"python3 - {WRITTEN}", stdin=-1, text=True)
    writer.stdin.write(WRITER)
    writer.stdin.close()
    through(new, "--tags", "settings")
    again = through(new, "--tags", "settings")
    assert sh(NODE, "postconf -h default_transport relay_transport").split() == ["smtps", "smtps"]
    through(old, "--tags", "settings")
    sh(NODE, "touch /run/enough")
    assert writer.wait(60) == 0
    written = json.loads(sh(NODE, f"cat {WRITTEN}"))
    wait_for(lambda: sh(NODE, "postqueue -j") == "", 90)
    log = sh(NODE, f"cat {LOG}")
    came = [log.count(f"message-id=<{number}@load.test>") for number in written]
    ports = {int(port) for port in re.findall(r"relay=[\w.-]+\[[\d.]+\]:(\d+),.*status=sent", log)}
    arrived = providers.log()
    assert ports == {587, 465} and "changed=0" in again
    assert set(came) == {1}
    assert [arrived.count(f"message-id=<{number}@load.test>") for number in written] == [1] * len(written)


WRITTEN = "/run/written.json"
WRITER = """
import json, os, pathlib, subprocess, sys, time
numbers = []
pathlib.Path("/run/enough").unlink(missing_ok=True)
while not os.path.exists("/run/enough"):
    number = len(numbers)
    text = f"Message-ID: <{number}@load.test>\\nTo: a@elsewhere.example\\nSubject: load\\n\\ntest\\n"
    subprocess.run(["/usr/sbin/sendmail", "-f", "probe@localhost", "a@elsewhere.example"], input=text, text=True, check=True)
    numbers.append(number)
    time.sleep(0.1)
pathlib.Path(sys.argv[1]).write_text(json.dumps(numbers))
"""


@pytest.mark.sampled("smarthosts")
def test_senders_have_smarthosts_and_passwords_of_their_own():
    begin_anew(NODE)
    succeed(NODE, "smtp_tls_mode", client={"level": "may", "ca_file": CA_FILE}, allow_weaker=True)
    common, own = Host("right", 587, "secure"), Host("exim", 465, "secure")
    succeed(NODE, "smtp_domain_policy", domains=[record(common), record(own)], exclusive=True, allow_weaker=True)
    sender = {"for": "@shop.example", "user": USER, "password": PASSWORD}
    variables = {"relay_sender_smarthosts": {"@shop.example": own.next_hop}, "relay_credentials": [sender]}
    through(common, "--tags", "settings", **variables)
    assert "changed=0" in through(common, "--tags", "settings", **variables)
    sh(NODE, f": > {LOG}")
    for address in ("probe@localhost", "ann@shop.example"):
        to = f"from-{address.partition('@')[2]}@elsewhere.example"
        sh(NODE, f"/usr/sbin/sendmail -f {address} {to}", f"To: {to}\nSubject: test\n\ntest\n")
    log = wait_for(lambda: (text := sh(NODE, f"cat {LOG}")).count("status=sent") == 2 and text)
    went = dict(re.findall(r"to=<from-([\w.]+)@.*? relay=([\w.-]+)\[.* status=sent", log))
    assert went == {"localhost": common.name, "shop.example": own.name}


@pytest.fixture
def alone(tmp_path):
    """The role on a host whose inventory lists no records, as in docs/provider.md: the completed process."""
    host = {
        "ansible_host": FLEET.nodes[NODE],
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-F {FLEET.state / 'ssh_config'}",
        "relay_hostname": f"{NODE}.fleet.test",
        "relay_log_file": LOG,
        "relay_settings": {"smtp_host_lookup": "native", "smtp_connection_cache_on_demand": False},
    }
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {NODE: host}}}))
    begin_anew(NODE)
    succeed(NODE, "smtp_tls_mode", client={"level": "may", "ca_file": CA_FILE}, allow_weaker=True)

    def run(**variables):
        playbook = TOP / "molecule" / "shared" / "relay.yml"
        words = ["--tags", "settings", "-e", json.dumps({"relay_hosts": NODE, **variables})]
        return CALLS.run(["ansible-playbook", "-i", str(inventory), str(playbook), *words], 300)

    return run


ACCOUNT = {"relay_smarthost_user": USER, "relay_smarthost_password": PASSWORD}


@pytest.mark.sampled("smarthosts")
def test_a_smarthost_brings_its_record_where_no_list_of_records_has_it(alone):
    first, second = Host("right", 465, "secure"), Host("exim", 465, "secure")
    variables = {
        "relay_smarthost": first.next_hop,
        "relay_fallback_smarthosts": [second.next_hop],
        "relay_credentials": [{"for": second.next_hop, "user": USER, "password": PASSWORD}],
        **ACCOUNT,
    }
    done = alone(**variables)
    assert done.returncode == 0 and "would wait" not in done.stderr + done.stdout, done.stdout
    assert "changed=0" in alone(**variables).stdout
    assert went("first.example") == ("sent", first.name)
    away = providers.address(first.kind)
    sh(NODE, f"ip route add unreachable {away}/32")
    try:
        assert went("second.example") == ("sent", second.name)
    finally:
        sh(NODE, f"ip route delete unreachable {away}/32")


@pytest.mark.sampled("smarthosts")
def test_a_smarthost_moves_to_another_port_and_back_without_leave(alone):
    name = Host("right", 465, "secure").name
    for turn, port in enumerate((465, 587, 465)):
        done = alone(relay_smarthost=f"[{name}]:{port}", **ACCOUNT)
        assert done.returncode == 0, done.stdout
        assert went(f"turn-{turn}.example") == ("sent", name)


@pytest.mark.sampled("smarthosts")
def test_a_level_that_is_stated_for_a_smarthost_without_a_login_holds(alone):
    host = Host("wrong-name", 25, "secure")
    fates = {}
    for level in ("", "secure"):
        assert alone(relay_smarthost=host.next_hop, relay_smarthost_level=level).returncode == 0
        fates[level] = went(f"stated{level}.example")[0]
    assert fates == {"": "sent", "secure": "deferred"}
    sh(NODE, "postsuper -d ALL")


def went(domain):
    """What became of a message, and by which host."""
    sh(NODE, f": > {LOG}")
    send([domain])
    status, _reason = wait_for(lambda: fate(domain), 60)
    return status, re.search(r" relay=([\w.-]+)", sh(NODE, f"grep 'to=<somebody@{domain}>' {LOG}"))[1]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"relay_sender_smarthosts": {"shop.example": "[a.hosts.test]:587"}}, "shop.example would stand for nobody"),
        ({"relay_sender_smarthosts": {"a b@c}": "[a.hosts.test]:587"}}, "a b@c} would stand for nobody"),
        ({"relay_sender_smarthosts": {"@a.example": "smtps:[a.hosts.test]:465"}}, "is not a next hop"),
        ({"relay_fallback_smarthosts": ["[a.hosts.test]:587"]}, "which speaks TLS first"),
        ({"relay_fallback_smarthosts": ["secure-465.right.hosts.test:465"]}, "in two ways"),
        ({"relay_credentials": [{"for": "@a.example", "user": "a:b", "password": "c"}]}, "the name holds a colon"),
        ({"relay_credentials": [{"for": "@a.example", "user": "a", "password": "c"}] * 2}, "keep one entry for each"),
    ],
)
def test_what_no_smarthost_can_be_is_told_before_anything_is_written(alone, variables, sentence):
    before = sh(NODE, "postconf -n")
    done = alone(relay_smarthost=Host("right", 465, "secure").next_hop, **ACCOUNT, **variables)
    assert done.returncode != 0
    assert sentence in re.sub(r"\s+", " ", done.stdout)
    assert sh(NODE, "postconf -n") == before


@pytest.fixture(scope="module")
def routed():
    """A node with records by each kind of client, and a password for a host to which none leads."""
    begin_anew(NODE)
    succeed(NODE, "smtp_tls_mode", client={"level": "may", "ca_file": CA_FILE}, allow_weaker=True)
    parameters = {"smtp_host_lookup": ["native"], **SASL}
    tls_first = {"smtp_tls_wrappermode": True}
    services = [
        {"name": "own/unix", "command": "smtp", "parameters": tls_first},
        {"name": "store/unix", "command": "lmtp", "parameters": {"lmtp_tls_wrappermode": True}},
    ]
    secrets = {"smtp_sasl_password_maps": {Host("exim", 465, "secure").next_hop: f"{USER}:wrong"}}
    succeed(NODE, "smtp_settings", parameters=parameters, services=services, secrets=secrets)
    domains = [record(Host("right", port, "secure")) for port in (25, 465)]
    succeed(NODE, "smtp_domain_policy", domains=domains, exclusive=True, allow_weaker=True)


RIGHT_25, RIGHT_465, EXIM_465 = (
    Host(kind, port, "secure") for kind, port in (("right", 25), ("right", 465), ("exim", 465))
)
SMTPS = {"name": "smtps/unix", "command": "smtp"}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("module", "options", "sentence"),
    [
        (
            "smtp_settings",
            {"services": [{"name": "smtps/unix", "state": "absent"}]},
            "smtps/unix is the client by which",
        ),
        (
            "smtp_settings",
            {"services": [{**SMTPS, "parameters": {"smtp_tls_wrappermode": False}}]},
            f"{RIGHT_465.domain} goes by smtps:.*, where TLS comes first, and that service does not override",
        ),
        ("smtp_domain_policy", {"domains": [record(EXIM_465)]}, "refuses the name or the password .*535"),
        (
            "smtp_domain_policy",
            {"domains": [{"name": "a.example", "route": "own:[a.hosts.test]:465", "level": "dane"}]},
            "at level dane Postfix sends nothing there",
        ),
        (
            "smtp_domain_policy",
            {
                "domains": [
                    {"name": "a.example", "route": "own:[a.hosts.test]:465", "level": "secure", "mode": "testing"}
                ]
            },
            "as the record is in testing or has expired; take mode or expires out",
        ),
        (
            "smtp_domain_policy",
            {"domains": [{"name": "a.example", "route": "store:[a.hosts.test]:465", "level": "may"}]},
            r"where TLS comes first \(lmtp_tls_wrappermode\)",
        ),
    ],
)
def test_what_would_let_mail_wait_is_refused_and_changes_nothing(routed, module, options, sentence):
    before = sh(NODE, "postconf -n; postconf -M; postconf -P")
    said = results(NODE, module, options)[NODE]["msg"]
    assert re.search(sentence, said)
    assert sh(NODE, "postconf -n; postconf -M; postconf -P") == before


def test_a_host_is_asked_again_once_its_certificate_must_have_another_name(routed):
    renamed = {**record(RIGHT_25), "match": ["mx.elsewhere.test"]}
    (told,) = succeed(NODE, "smtp_domain_policy", domains=[renamed])["next_hops"]
    assert (told["next_hop"], told["delivered"]) == (RIGHT_25.next_hop, False)
