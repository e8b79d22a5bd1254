# SPDX-License-Identifier: GPL-3.0-or-later
"""What harden registers on the nodes of a fleet, as one run recorded it on three nodes, for fleets of any size."""

from __future__ import annotations

import copy

SERVER = {"level": "may", "client_certificates": "ignore", "minimum_protocol": "TLSv1.2", "exclude_ciphers": []}
CLIENT = {"level": "may", "minimum_protocol": "TLSv1.2", "match": [], "connection_reuse": False}
STRICT = {
    "server": {
        "level": "encrypt",
        "client_certificates": "require",
        "minimum_protocol": "TLSv1.3",
        "exclude_ciphers": ["aNULL"],
    },
    "client": {"level": "secure", "minimum_protocol": "TLSv1.3", "match": ["nexthop"], "connection_reuse": True},
}
CERTIFICATE = {
    "subject": "CN=mx",
    "issuer": "CN=Fleet CA",
    "self_signed": False,
    "days_left": 89,
    "key_type": "ecdsa",
    "key_size": 256,
    "chain": "-----BEGIN CERTIFICATE-----",
}
LISTENER = {
    "service": "smtp/inet",
    "listener": "127.0.0.1:25",
    "implicit_tls": False,
    "starttls": True,
    "plaintext": "refused",
    "plaintext_reply": "530 5.7.0 Must issue a STARTTLS command first",
    "protocols": {"TLSv1.2": "refused", "TLSv1.3": "accepted"},
    "cipher": "TLS_AES_256_GCM_SHA384",
    "certificate": CERTIFICATE,
    "client_certificate": "require",
    "error": None,
    "problems": [],
}
MODE = {
    "changed": True,
    "before": {"server": SERVER, "client": CLIENT},
    "after": STRICT,
    "pending": {"set": {"smtpd_tls_security_level": "encrypt"}, "unset": []},
    "proof": [LISTENER],
    "next_hops": [],
    "lowered": [],
    "unproven": [],
}
DOMAINS = {
    "changed": True,
    "before": [{"name": "bank.example", "level": "secure"}],
    "after": [{"name": "bank.example", "level": "may"}],
    "pending": {"set": {}, "unset": []},
    "proof": [LISTENER],
}
SETTLED = {"changed": False, "before": STRICT, "after": STRICT, "proof": [], "pending": {"set": {}, "unset": []}}
NO_MAILBOX = (
    "host {0}[192.0.2.1] said: 550 5.1.1 <box@{0}>: Recipient address rejected: User unknown (in reply to RCPT TO)"
)
SECRET = "hunter2-and-more"


def names(size):
    return [f"mx{number:0{len(str(size))}d}" for number in range(1, size + 1)]


def mail(to, status="sent", reply="250 2.0.0 Ok: queued", tls="Verified"):
    return {"recipient": f"box@{to}", "status": status, "reply": reply, "tls": tls, "tls_detail": None}


def node(host, partners=(), **over):
    """The variables of a node that went from lenient to strict, with secrets beside its results as inventories have them."""
    return {
        "ansible_password": SECRET,
        "smtp_fleet_ca": {"ca_passphrase": SECRET},
        "smtp_test_mailbox": f"box@{host}",
        "smtp_harden_info": {"myhostname": f"{host}.fleet.test", "postfix_version": "3.10.13"},
        "trusted_agents_strict_certificate_result": {
            "changed": True,
            "reason": "none is stored",
            "certificate": CERTIFICATE,
        },
        "trusted_agents_strict_mode": copy.deepcopy(MODE),
        "trusted_agents_strict_domain_policy": copy.deepcopy(DOMAINS),
        "smtp_harden_seen": {
            "observations": [copy.deepcopy(LISTENER)],
            "deliveries": [mail(partner) for partner in partners],
            "rehearsals": [],
        },
        **over,
    }


def fleet(size, **over):
    """Every node writes to the next one; ``over`` is what is otherwise, by the node's name."""
    hosts = names(size)
    partners = {host: [hosts[(place + 1) % size]] for place, host in enumerate(hosts)}
    return {host: {**node(host, partners[host]), **over.get(host, {})} for host in hosts}
