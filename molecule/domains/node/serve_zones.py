# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the node that is the lab's DNS server: signs zones and has nsd serve them. Its argument is JSON."""

import json
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path("/var/lib/nsd/lab")
CONFIGURATION = pathlib.Path("/etc/nsd/nsd.conf.d")


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, cwd=FOLDER).stdout.strip()


def serve(address, name, zones):
    """The trust anchor of each signed zone."""
    FOLDER.mkdir(exist_ok=True)
    run("ip", "address", "replace", f"{address}/24", "dev", "eth0")
    (CONFIGURATION / "server.conf").write_text(f"server:\n  ip-address: {address}\n")
    lines = []
    anchors = {}
    for zone in zones:
        origin = zone["origin"]
        (FOLDER / origin).write_text(unsigned(address, **zone))
        if zone["signed"]:
            anchors[origin] = sign(origin, [tuple(pair) for pair in zone["bogus"]])
        lines += ["zone:", f"  name: {origin}", f"  zonefile: {FOLDER}/{origin}{'.signed' if zone['signed'] else ''}"]
    (CONFIGURATION / f"{name}.conf").write_text("\n".join([*lines, ""]))
    run("systemctl", "restart", "nsd")
    return anchors


def unsigned(address, origin, records, **_rest):
    soa = f"@ SOA ns.{origin}. root.{origin}. 1 3600 600 86400 5"
    return "\n".join([f"$ORIGIN {origin}.", "$TTL 5", soa, "@ NS ns", f"ns A {address}", *records, ""])


def sign(origin, bogus):
    found = sorted(FOLDER.glob(f"K{origin}.+*.key"))
    key = found[0].stem if found else run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", origin)
    run("ldns-signzone", "-f", f"{origin}.signed", origin, key)
    signed = FOLDER / f"{origin}.signed"
    signed.write_text("".join(spoil(line, bogus) + "\n" for line in signed.read_text().splitlines()))
    return (FOLDER / f"{key}.key").read_text().partition(";")[0].strip()


def spoil(line, bogus):
    """The same record; where it is the signature of a set in ``bogus``, with another first letter."""
    words = line.split()
    if [words[0].rstrip("."), words[4]] not in [list(pair) for pair in bogus] or words[3] != "RRSIG":
        return line
    signature = words[12]
    return " ".join([*words[:12], ("B" if signature[0] == "A" else "A") + signature[1:], *words[13:]])


if __name__ == "__main__":
    print(json.dumps(serve(**json.loads(sys.argv[1]))))
