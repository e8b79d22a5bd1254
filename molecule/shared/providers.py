# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that a provider of mail would run, on node1: Postfix with Dovecot, and Exim, at ports 25, 587 and 465, with certificates
that are right or are not. Who comes to 587 or 465 has to log in.
"""

import pathlib
from typing import NamedTuple

import dovecot
from fleet_lab import FLEET
from instances import MASTER_CF
from on_node import run_program, sh
from pki import authority, certify, ec_key

NODE = "node1"
USER, PASSWORD = "ann", "correct-horse-battery"
KINDS = ("right", "expired", "wrong-name", "sni-only", "no-tls", "exim")
PORTS = (25, 587, 465)
LEVELS = ("encrypt", "secure")
PROGRAM = pathlib.Path(__file__).parents[1] / "relay" / "node" / "serve_hosts.py"
LOG = "/var/log/hosts.log"

EXIM = """\
primary_hostname = exim.hosts.test
local_interfaces = ADDRESS.25 : ADDRESS.587 : ADDRESS.465
tls_advertise_hosts = *
tls_on_connect_ports = 465
tls_certificate = CHAIN
tls_privatekey = CHAIN
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = acl_rcpt
host_lookup =
rfc1413_query_timeout = 0s

begin acl
acl_rcpt:
  accept condition = ${if eq{$received_port}{25}}
  accept authenticated = *
  deny message = log in first

begin routers
all:
  driver = redirect
  data = :blackhole:

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{USER}}{eq{$auth3}{PASSWORD}}}}
  server_set_id = $auth2
"""


class Host(NamedTuple):
    """One next hop. Those of one kind differ in nothing but their names, so that each level has one."""

    kind: str
    port: int
    level: str

    @property
    def name(self):
        return f"{self.level}-{self.port}.{self.kind}.hosts.test"

    @property
    def next_hop(self):
        return f"[{self.name}]:{self.port}"

    @property
    def domain(self):
        return f"{self.level}-{self.port}.{self.kind}.example"

    @property
    def wants_login(self):
        return self.port != 25

    @property
    def verified(self):
        return self.level == "secure" and self.kind in ("right", "sni-only", "exim")

    @property
    def takes_mail(self):
        """What postconf(5) says of the level, and SASL_README of the login: passwords go to verified servers alone."""
        return self.verified if self.wants_login or self.level == "secure" else self.kind != "no-tls"


HOSTS = tuple(
    Host(kind, port, level)
    for kind in KINDS
    for port in PORTS
    for level in LEVELS
    if not (kind == "no-tls" and port == 465)  # nobody has that
)


def serve():
    """All of them, and their CA."""
    stop()
    dovecot.serve(NODE, USER, PASSWORD)
    ca = authority("Provider CA")
    chains = {kind: _chain(kind, ca) for kind in KINDS}
    named = [host.name for host in HOSTS if host.kind == "sni-only"]
    right = certify(named[0], ec_key(), ca, named)
    by_name = dict.fromkeys(named, right.key_pem + right.pem)
    hosts = [
        {
            "name": kind,
            "address": address(kind),
            "chain": chains[kind],
            "by_name": by_name if kind == "sni-only" else {},
            "services": [_service(kind, port) for port in PORTS],
        }
        for kind in KINDS
        if kind != "exim"
    ]
    configuration = EXIM.replace("ADDRESS", address("exim")).replace("USER", USER).replace("PASSWORD", PASSWORD)
    exim = {"address": address("exim"), "chain": chains["exim"], "configuration": configuration}
    on_node1("serve", own_address=FLEET.nodes[NODE], services=MASTER_CF, hosts=hosts, exim=exim)
    return ca


def stop():
    gone = [{"address": address(kind)} for kind in KINDS]
    on_node1("stop", hosts=gone[:-1], exim=gone[-1])


def known_to(node):
    """Have a node know the names, which stand in no DNS."""
    lines = "".join(f"{address(host.kind)} {host.name}\n" for host in HOSTS)
    sh(node, "grep -v hosts.test /etc/hosts > /run/hosts; cat - >> /run/hosts; cat /run/hosts > /etc/hosts", lines)


def on_node1(action, **request):
    """What serve_hosts.py does."""
    run_program(NODE, PROGRAM.read_text(), {"action": action, **request})


def log():
    return sh(NODE, f"cat {LOG}; cat /var/log/exim4/mainlog || true")


def address(kind):
    """Where the hosts of one kind are."""
    return FLEET.address(131 + KINDS.index(kind))


def _chain(kind, ca):
    names = [host.name for host in HOSTS if host.kind == kind]
    flaws = {"expired": {"begin": -30, "end": -1}}.get(kind, {})
    if kind in ("wrong-name", "sni-only"):
        names = ["mx.elsewhere.test"]
    made = certify(names[0], ec_key(), ca, names, **flaws)
    return made.key_pem + made.pem


def _service(kind, port):
    options = {"smtpd_tls_security_level": "none" if kind == "no-tls" else "may", "smtpd_sasl_auth_enable": "yes"}
    options["smtpd_relay_restrictions"] = (
        "check_client_access static:OK, reject" if port == 25 else "permit_sasl_authenticated, reject"
    )
    if port == 465:
        options["smtpd_tls_wrappermode"] = "yes"
    if kind != "no-tls":  # which asks for passwords all the same
        options["smtpd_tls_auth_only"] = "yes"
    return {"port": port, "options": options}
