# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's DNS server: nsd on node3 under an address of its own, with zones that ldns-signzone signs (RFC 4035)."""

import json
import pathlib
import shlex
from typing import NamedTuple, Tuple

from fleet_lab import FLEET
from on_node import sh

NODE = "node3"
ADDRESS = FLEET.address(53)
SERVE = pathlib.Path(__file__).parents[1] / "domains" / "node" / "serve_zones.py"


class Zone(NamedTuple):
    """One zone in master file format (RFC 1035 section 5), without SOA and NS: these are added."""

    origin: str
    records: Tuple[str, ...]
    signed: bool = True
    bogus: Tuple[Tuple[str, str], ...] = ()
    """(owner, type) of record sets whose signature is spoiled after signing."""


def serve(name, zones):
    """Serve these zones in place of those that ``name`` had; the trust anchor (a DNSKEY record) of each signed one."""
    request = json.dumps({"address": ADDRESS, "name": name, "zones": [zone._asdict() for zone in zones]})
    return json.loads(sh(NODE, f"python3 - {shlex.quote(request)}", SERVE.read_text()))
