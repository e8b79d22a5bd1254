# SPDX-License-Identifier: GPL-3.0-or-later
"""How a row of the table is written: parameters, services and tables, and whom mail is for."""

from around import FEW, PEERS

PROBE = "probe@client.test"
SOMEBODY = "somebody@bank.test"
KNOWN = {"smtp_tls_CAfile": "%pki%/known.pem"}
SECURE = {"smtp_tls_security_level": "secure", **KNOWN}
VERIFY = {"smtp_tls_security_level": "verify", **KNOWN}
POLICIES = "%type%:%dir%/policies"


def row(main=None, *, to=SOMEBODY, also=(), sender=PROBE, peers=PEERS, **rest):
    """``to`` gets mail; for ``also`` it is only asked where mail would go. Further: ``services``, ``tables``, ``files``,
    ``header``, ``by`` (the parameter that takes mail past every recipient's way), ``since`` and ``until`` (versions)."""
    mail = [(sender, to), *(pair if isinstance(pair, tuple) else (sender, pair) for pair in also)]
    return {"kind": "mail", "main": main or {}, "mail": mail, "peers": list(peers), **rest}


def level(text, **main):
    """One of a client for all mail."""
    return row({"smtp_tls_security_level": text, **KNOWN, **main})


def policy(entry, key="bank.test", main=None, **rest):
    """One for a next hop, beside a level that asks for nothing."""
    parameters = {"smtp_tls_security_level": "none", **KNOWN, "smtp_tls_policy_maps": POLICIES, **(main or {})}
    return row(parameters, **{"peers": FEW, **rest}, tables={"policies": {key: entry}})


def way(main=None, **rest):
    """One of the parameters that choose where mail goes, beside a policy for the domain alone."""
    policies = {"bank.test": "encrypt", "[smart.test]": "secure", "smart.test": "may"}
    parameters = {"smtp_tls_security_level": "may", **KNOWN, "smtp_tls_policy_maps": POLICIES, **(main or {})}
    tables = {"policies": policies, **rest.pop("tables", {})}
    return row(parameters, **{"peers": FEW, **rest}, tables=tables)


def failing(level, parameter="smtp_fallback_relay", value="[smart.test]", **main):
    """``may`` with a list that no version is on, and a next hop with a level of its own behind."""
    parameters = {"smtp_tls_security_level": "may", "smtp_tls_protocols": "TLSv1.9", **KNOWN, **main, parameter: value}
    policies = {"[smart.test]": level}
    return row({**parameters, "smtp_tls_policy_maps": POLICIES}, peers=FEW, tables={"policies": policies})


def transports(entries, main=None, **rest):
    """Entries of transport_maps."""
    parameters = {"transport_maps": "%type%:%dir%/transports", **(main or {})}
    return way(parameters, tables={"transports": entries}, **rest)


def server(main=None, command="smtpd", **rest):
    """A service that listens, with its overrides behind the command."""
    certificate = {"smtpd_tls_chain_files": "%pki%/server.pem", "smtpd_tls_mandatory_protocols": "!SSLv2, !SSLv3"}
    settings = {"smtpd_tls_protocols": "!SSLv2, !SSLv3", **certificate, **(main or {})}
    services = {"%listen%/inet": f"n - n - - {command}"}
    return {"kind": "server", "main": settings, "services": services, **rest}
