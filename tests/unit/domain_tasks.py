# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of domain policies share: records as a task gives them, planned for a node and carried out."""

from __future__ import annotations

import dataclasses
import datetime

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.domains import DomainWish, plan_domains
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import guarded

TODAY = datetime.date(2027, 3, 31)
YESTERDAY, TOMORROW = "2027-03-30", "2027-04-01"
PINS = [":".join([pair] * 32) for pair in ("AB", "CD", "EF")]
PARTNER = {"name": "partner.example", "level": "secure", "route": "[mx.partner.example]:25"}
LOCAL = {"name": "example.com", "local": True}
MTA_STS = "socketmap:inet:127.0.0.1:8461:postfix"
SOURCES = "smtp_hardening_policy_sources"
REQUIRETLS = "smtp_requiretls_policy"
PARENTS = "parent_domain_matches_subdomains"
WITHOUT_RELAY = "debug_peer_list, mynetworks, smtpd_access_maps"
ASKING = "smtpd_tls_security_level = may\nsmtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = /etc/ssl/ca.pem\n"


def plan(node, *items, today=TODAY, allow_weaker=False, **options):
    """The plan for a task, once the ratchet has let it pass; a record that would not hold is not met."""
    present, absent = read_domains(items)
    from_nothing = options.get("exclusive", False) and allow_weaker is True
    wish = DomainWish(tuple(present), tuple(absent), from_nothing=from_nothing, **options)
    planned = plan_domains(node.state, wish, today)
    said = ["match"] if wish.sources is None else ["match", "policy"]
    compared = guarded(node, planned.plan, allow_weaker, said=said, today=today)
    return planned if compared is None else dataclasses.replace(planned, unmet=planned.unmet or compared.broken)


def apply(node, *items, **options):
    planned = plan(node, *items, **options)
    change(node, planned.plan)
    return planned


def is_refused(make):
    """Whether a plan is refused, at once or as something that must be set up first."""
    try:
        return make().unmet is not None
    except HardeningError:
        return True


def explicit(node):
    """What main.cf sets, short of what was there before any task."""
    return {name: value for name, value in node.state.explicit.items() if name != "compatibility_level"}


def table(node, name):
    """A table of ours as Postfix sees it, found by way of main.cf."""
    found = [path for path in node.tables if path.endswith(f"/{name}") and path in str(node.state.explicit)]
    assert len(found) < 2
    return node.tables[found[0]] if found else None
