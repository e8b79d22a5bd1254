# SPDX-License-Identifier: GPL-3.0-or-later
"""What is broken, or was overwritten, is told and can be repaired: nothing has to be whole before anybody may look."""

import os

import pytest
from conftest import sh, succeed

CERTIFICATE = {"name": "default", "provider": "self_signed", "self_signed": {"key_type": "ecdsa"}, "use": ["server"]}


def active():
    return sh("postconf", "-h", "smtpd_tls_chain_files").strip()


def empty(path):
    with open(path, "w"):
        pass


@pytest.mark.parametrize("harm", [os.remove, empty])
def test_a_broken_certificate_is_a_finding_and_the_next_run_repairs_it(harm):
    succeed("smtp_tls_cert", **CERTIFICATE)
    harm(active())
    told = succeed("smtp_tls_info")
    assert "active.server" in [finding["about"] for finding in told["findings"]]
    assert told["active"]["server"] == []
    succeed("smtp_tls_cert", **CERTIFICATE)
    told = succeed("smtp_tls_info")
    assert (told["findings"], len(told["active"]["server"])) == ([], 1)


def test_what_somebody_else_overwrites_is_told_the_next_time_anybody_looks():
    succeed("smtp_tls_mode", client={"level": "encrypt"})
    assert succeed("smtp_tls_info")["drift"]["weaker"] == []
    sh("postconf", "-e", "smtp_tls_security_level=may")
    drift = succeed("smtp_tls_info")["drift"]
    assert drift["differs"] == [{"name": "smtp_tls_security_level", "before": "encrypt", "after": "may"}]
    assert "client.level" in [item["name"] for item in drift["weaker"]]


def test_what_is_pending_is_what_the_modules_would_do():
    told = succeed("smtp_tls_info", client={"level": "encrypt"}, domains=[])["pending"]
    assert (told["mode"]["changed"], told["mode"]["refused"]) == (True, None)
    assert told["mode"]["set"]["smtp_tls_security_level"] == "encrypt"
    done = succeed("smtp_tls_mode", client={"level": "encrypt"})
    assert done["pending"]["set"] == told["mode"]["set"]
    assert not succeed("smtp_tls_info", client={"level": "encrypt"})["pending"]["mode"]["changed"]
