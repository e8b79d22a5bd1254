# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's DNS servers, each on node3 under an address of its own: nsd, with zones that ldns-signzone signs (RFC 4035), and
BIND, with zones that it signs itself."""

import json
import pathlib
from typing import NamedTuple, Tuple

from fleet_lab import FLEET
from on_node import run_program

NODE = "node3"
ADDRESS = FLEET.address(53)
BIND = FLEET.address(54)
SERVE = pathlib.Path(__file__).parents[1] / "domains" / "node" / "serve_zones.py"


class Zone(NamedTuple):
    """One zone in master file format (RFC 1035 section 5), without SOA and NS: these are added."""

    origin: str
    records: Tuple[str, ...]
    signed: bool = True
    bogus: Tuple[Tuple[str, str], ...] = ()
    """(owner, type) of record sets whose signature is spoiled after signing."""
    server: str = "nsd"
    # Of zones of BIND alone:
    keys: Tuple[str, ...] = ("KSK", "ZSK")
    """As serve_zones.py names them: what a step of a rollover has."""
    opt_out: bool = False
    """NSEC3 that says nothing of names that are delegated without DS (RFC 5155 section 6)."""
    expired: bool = False
    """Whether its signatures are no longer valid."""


def serve(name, zones):
    """Serve these zones in place of those that ``name`` had; the trust anchor (a DNSKEY record) of each signed one that is below
    no other."""
    addresses = {"nsd": ADDRESS, "bind": BIND}
    request = {"addresses": addresses, "name": name, "zones": [zone._asdict() for zone in zones]}
    return json.loads(run_program(NODE, SERVE.read_text(), request))
