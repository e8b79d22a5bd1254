# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection makes of a configuration, in words that cross a connection."""

import datetime
import subprocess
from enum import Enum

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture import routing, ways
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.configuration import Configuration
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.in_force import why_not
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.maps import Maps
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.posture import read_posture
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._posture.protections import (
    AtLeast,
    AtMost,
    Instead,
    Switch,
    Unknown,
)


class View:
    """A configuration as it is read."""

    def __init__(self, folder):
        postfix = Postfix(_run, folder)
        self.configuration = Configuration(read_state(postfix), Maps(postfix, {}), {})
        self.posture = read_posture(self.configuration, datetime.date.today())
        self._hops = ways._Hops(self.configuration)

    def told(self, recipients):
        """For each recipient every way that its mail may take, and what the posture says of it by name."""
        return {
            "choices": {name: self._choices(name) for name in recipients},
            "ways": {name: [_hop(hop) for hop in self._way(name).hops] for name in recipients},
            "other ways": {name: [_hop(hop) for hop in way.hops] for name, way in self.posture.hops.items()},
            "servers": {name: _values(values) for name, values in self.posture.servers.items()},
            "broken": {record.name: why_not(self.posture, record) for record in self.posture.records},
        }

    def _choices(self, recipient):
        found = routing.choices(self.configuration, recipient)
        return [[_hop(hop) for hop in self._hops.after(choice)] for choice in found]

    def _way(self, recipient):
        """By the nearest name that the configuration speaks of."""
        domain = recipient.partition("@")[2]
        labels = domain.split(".")
        above = ["." + ".".join(labels[index:]) for index in range(1, len(labels))]
        names = [recipient, domain, *above, ways.OTHER]
        return next(self.posture.hops[name] for name in names if name in self.posture.hops)


def _run(argv, stdin=None):
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    return Completed(done.returncode, done.stdout, done.stderr)


def _hop(hop):
    return {
        "client": hop.service.key if hop.service else None,
        "transport": hop.transport,
        "next_hop": hop.next_hop,
        "by": hop.by,
        "valid": hop.policy.valid,
        "unknown": list(hop.unknown),
        "values": _values(hop.values),
    }


def _values(values):
    return {name: _value(value) for name, value in values.items()}


def _value(value):
    if isinstance(value, (AtLeast, AtMost)):
        return sorted(value.items)
    if isinstance(value, Unknown):
        return sorted(value.sources)
    if isinstance(value, Switch):
        return value.protects
    return str(value) if isinstance(value, (Enum, Instead)) else value
