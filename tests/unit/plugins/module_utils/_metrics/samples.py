# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of the metrics share: an instance as postconf shows it, and what is told as Prometheus reads it."""

from __future__ import annotations

import os
import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import Service
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import DEFAULTS

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
SIDE = {
    "{side}_tls_security_level": "may",
    "{side}_tls_protocols": ">=TLSv1.2",
    "{side}_tls_mandatory_protocols": ">=TLSv1.2",
    "{side}_tls_loglevel": "1",
    "{side}_tls_CAfile": "",
    "{side}_tls_chain_files": "",
}
EFFECTIVE = {
    **DEFAULTS,
    **{name.format(side=side): value for side in ("smtpd", "smtp", "lmtp") for name, value in SIDE.items()},
    "syslog_name": "postfix",
    "myhostname": "mx1.example.com",
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "smtpd_tls_wrappermode": "no",
    "smtpd_tls_ask_ccert": "no",
    "smtpd_tls_req_ccert": "no",
    "tls_server_sni_maps": "",
}
MASTER = """\
smtp inet n - y - - smtpd
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - y 1000? 1 tlsmgr
smtp unix - - y - - smtp
relay unix - - y - - smtp
lmtp unix - - y - - lmtp
local unix - n n - - local
error unix - - y - - error
cleanup unix n - y - 0 cleanup
"""
SERVICES = """\
smtps inet n - y - - smtpd
submission inet n - y - - smtpd
10031 inet n - y - - smtpd
"""
OVERRIDES = [
    "relay/unix/syslog_name = postfix/relay",
    "smtps/inet/syslog_name = postfix/smtps",
    "smtps/inet/smtpd_tls_wrappermode = yes",
    "submission/inet/syslog_name = postfix/submission",
    "submission/inet/smtpd_tls_security_level = encrypt",
    "10031/inet/syslog_name = postfix/strict",
    "10031/inet/smtpd_tls_wrappermode = yes",
    "10031/inet/smtpd_tls_req_ccert = yes",
]
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
VALUE = r"[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'


def link(path, target, owner=NOBODY):
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)
    return str(path)


def listener(name, **overrides):
    """An entry of master.cf for what listens there."""
    return Service(name, "inet", "y", "smtpd", overrides, f"{name} inet n - y - - smtpd")


def parse(text):
    """The samples of a text file by family; every rule of the text format (0.0.4) must be kept."""
    assert text.endswith("\n")
    families, kinds, current = {}, {}, None
    for line in text.splitlines():
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if comment and comment[1] == "HELP":
            assert comment[2] not in families, "a family is told once, in one piece"
            current = comment[2]
            families[current] = {}
            continue
        if comment:
            assert comment[2] == current and not families[current] and current not in kinds
            assert comment[3] in ("gauge", "counter")
            kinds[current] = comment[3]
            assert (comment[3] == "counter") == current.endswith("_total")
            continue
        sample = re.fullmatch(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({VALUE})", line)
        assert sample, line
        labels = tuple(re.findall(LABEL, sample[2] or ""))
        assert sample[1] == current and current in kinds
        assert len({name for name, _value in labels}) == len(labels)
        key = (current, labels)
        assert key not in families[current], line
        families[current][key] = float(sample[sample.lastindex])
    assert set(kinds) == set(families)
    return families


def check(parsed, name):
    """Whether one check passes, of whatever instance."""
    found = parsed["smtp_hardening_check_healthy"].items()
    return next(value for (_family, labels), value in found if labels[0] == ("check", name))
