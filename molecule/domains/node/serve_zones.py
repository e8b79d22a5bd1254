# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the node that is the lab's DNS servers: signs zones and has nsd or BIND serve them. Its argument is a file with JSON."""

import json
import pathlib
import shutil
import subprocess
import sys

NSD = pathlib.Path("/var/lib/nsd/lab")
CONFIGURATION = pathlib.Path("/etc/nsd/nsd.conf.d")
BIND = pathlib.Path("/var/cache/bind/lab")
NAMED = """\
options {
  directory "%s";
  listen-on { %s; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  minimal-responses no;
};
"""
PUBLISHED, ACTIVE, DELEGATED = "published", "active", "delegated"
KEYS = {
    "KSK": (PUBLISHED, ACTIVE, DELEGATED),
    "KSK without DS": (PUBLISHED, ACTIVE),
    "DS without KSK": (DELEGATED,),
    "ZSK": (PUBLISHED, ACTIVE),
    "ZSK to come": (PUBLISHED,),
    "ZSK gone": (ACTIVE,),
}
"""Keys in the steps of a rollover: whether the zone has them, is signed with them, and whether its parent has their DS."""


def run(*argv, folder=NSD):
    return subprocess.run(argv, check=True, capture_output=True, text=True, cwd=folder).stdout.strip()


def serve(addresses, name, zones):
    """The trust anchor of each signed zone that no other zone delegates."""
    for address in addresses.values():
        run("ip", "address", "replace", f"{address}/24", "dev", "eth0", folder="/")
    by_bind = [zone for zone in zones if zone["server"] == "bind"]
    anchors = serve_by_nsd(addresses["nsd"], name, [zone for zone in zones if zone not in by_bind])
    return {**anchors, **serve_by_bind(addresses["bind"], by_bind)}


def unsigned(address, origin, records):
    soa = f"@ SOA ns.{origin}. root.{origin}. 1 3600 600 86400 5"
    return "\n".join([f"$ORIGIN {origin}.", "$TTL 5", soa, "@ NS ns", f"ns A {address}", *records, ""])


def spoil(line, bogus):
    """The same record; where it is the signature of a set in ``bogus``, with another first letter."""
    words = line.split()
    if [words[0].rstrip("."), words[4]] not in bogus or words[3] != "RRSIG":
        return line
    signature = words[12]
    return " ".join([*words[:12], ("B" if signature[0] == "A" else "A") + signature[1:], *words[13:]])


# nsd, with zones that ldns signs.


def serve_by_nsd(address, name, zones):
    NSD.mkdir(exist_ok=True)
    # One resolver asks for everything at once; nsd.conf(5) answers a network 200 times a second, and drops the rest.
    (CONFIGURATION / "server.conf").write_text(f"server:\n  ip-address: {address}\n  rrl-ratelimit: 0\n")
    lines = []
    anchors = {}
    for zone in zones:
        origin = zone["origin"]
        (NSD / origin).write_text(unsigned(address, origin, zone["records"]))
        if zone["signed"]:
            anchors[origin] = sign_by_ldns(origin, zone["bogus"])
        lines += ["zone:", f"  name: {origin}", f"  zonefile: {NSD}/{origin}{'.signed' if zone['signed'] else ''}"]
    (CONFIGURATION / f"{name}.conf").write_text("\n".join([*lines, ""]))
    run("systemctl", "restart", "nsd")
    return anchors


def sign_by_ldns(origin, bogus):
    found = sorted(NSD.glob(f"K{origin}.+*.key"))
    key = found[0].stem if found else run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", origin)
    run("ldns-signzone", "-f", f"{origin}.signed", origin, key)
    signed = NSD / f"{origin}.signed"
    signed.write_text("".join(spoil(line, bogus) + "\n" for line in signed.read_text().splitlines()))
    return (NSD / f"{key}.key").read_text().partition(";")[0].strip()


# BIND, with zones that it signs itself. A zone below another one is delegated there, with the DS of its keys.


def serve_by_bind(address, zones):
    if not zones:
        run("systemctl", "stop", "named", folder="/")
        return {}
    shutil.rmtree(BIND, ignore_errors=True)
    BIND.mkdir()
    configuration = NAMED % (BIND, address)
    anchors = {}
    below = {}
    for zone in sorted(zones, key=lambda zone: -len(zone["origin"])):
        origin = zone["origin"]
        (BIND / origin).write_text(unsigned(address, origin, [*zone["records"], *below.get(origin, ())]))
        keys = [(make_key(origin, kind), KEYS[kind]) for kind in zone["keys"]]
        ds = [run("dnssec-dsfromkey", "-2", f"{key}.key", folder=BIND) for key, used in keys if DELEGATED in used]
        if zone["signed"]:
            sign_by_bind(zone, keys)
        configuration += f'zone "{origin}" {{ type primary; file "{origin}{".signed" if zone["signed"] else ""}"; }};\n'
        parents = [other["origin"] for other in zones if origin.endswith("." + other["origin"])]
        if parents:
            delegation = [f"{origin}. NS ns.{origin}.", f"ns.{origin}. A {address}", *ds]
            below.setdefault(max(parents, key=len), []).extend(delegation)
        else:
            anchors[origin] = (BIND / f"{keys[0][0]}.key").read_text().splitlines()[-1]
    pathlib.Path("/etc/bind/named.conf").write_text(configuration)
    run("chown", "-R", "bind:bind", str(BIND))
    run("systemctl", "restart", "named", folder="/")
    return anchors


def make_key(origin, kind):
    flags = ["-f", "KSK"] if "KSK" in kind else []
    active = "now" if ACTIVE in KEYS[kind] else "+1mo"
    return run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flags, "-P", "now", "-A", active, origin, folder=BIND)


def sign_by_bind(zone, keys):
    """With all keys; where one that signs is not in the zone any more, the zone's keys are those without it."""
    origin = zone["origin"]
    forget(key for key, used in keys if ACTIVE not in used and PUBLISHED not in used)
    lines = signed_by_bind(zone)
    gone = [key for key, used in keys if ACTIVE in used and PUBLISHED not in used]
    if gone:
        forget(gone)
        lines = [line for line in lines if not is_of_keys(line)] + list(filter(is_of_keys, signed_by_bind(zone)))
    (BIND / f"{origin}.signed").write_text("".join(spoil(line, zone["bogus"]) + "\n" for line in lines))


def signed_by_bind(zone):
    """The records, one a line."""
    origin = zone["origin"]
    opt_out = ["-3", "-", "-A", "-H", "0"] if zone["opt_out"] else []
    day = 86400  # resolvers forgive a skew of as much (unbound.conf(5), val-sig-skew-max)
    valid = ["-s", f"now-{30 * day}", "-e", f"now-{3 * day}"] if zone["expired"] else []
    run("dnssec-signzone", "-q", "-S", "-P", "-O", "full", *opt_out, *valid, "-o", origin, origin, folder=BIND)
    return [line for line in (BIND / f"{origin}.signed").read_text().splitlines() if line and line[0] not in " ;"]


def forget(keys):
    for key in keys:
        for suffix in (".key", ".private"):
            (BIND / f"{key}{suffix}").unlink()


def is_of_keys(line):
    words = line.split()
    return "DNSKEY" in (words[3], words[4] if words[3] == "RRSIG" else "")


if __name__ == "__main__":
    print(json.dumps(serve(**json.loads(pathlib.Path(sys.argv[1]).read_text()))))
