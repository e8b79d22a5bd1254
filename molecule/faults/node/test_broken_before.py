# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that were broken before we came: the sentence says so, and the change that mends it goes through."""

import os
import re

import pytest
from by_hand import BANNER, CERTIFICATE, SO_BEFORE, edit, own_certificate
from changes import CHANGES
from conftest import CONFIG, STORE, picture, refuse, run, sh, succeed

pytestmark = pytest.mark.sampled("broken_before")


@pytest.mark.parametrize("harm", ["missing", "mismatched"])
def test_a_certificate_that_was_broken_before_is_told_and_the_next_one_mends_it(tmp_path, harm):
    certificate, private = own_certificate(tmp_path, keys=2)
    if harm == "missing":
        certificate.unlink()
    edit(f"smtpd_tls_cert_file={certificate}", f"smtpd_tls_key_file={private}", gone=["smtpd_tls_chain_files"])
    before = picture()
    sentence = refuse("smtp_settings", **BANNER)
    assert SO_BEFORE in sentence and str(certificate) in sentence
    assert picture() == before
    assert "active.server" in [found["about"] for found in succeed("smtp_tls_info")["findings"]]
    assert succeed("smtp_tls_cert", **CERTIFICATE)["changed"]
    assert succeed("smtp_settings", **BANNER)["changed"]


def test_a_listener_that_was_broken_before_is_told_and_what_breaks_it_can_be_taken_out():
    edit("smtpd_sasl_auth_enable=yes", "smtpd_sasl_type=dovecot", "smtpd_sasl_path=private/nobody")
    sentence = refuse("smtp_settings", **BANNER)
    assert f"{SO_BEFORE}: the same is seen at smtp/inet without this change" in sentence
    mended = {"smtpd_sasl_auth_enable": None, "smtpd_sasl_type": None, "smtpd_sasl_path": None}
    assert succeed("smtp_settings", parameters={**mended, **BANNER["parameters"]})["changed"]


def test_what_this_change_breaks_was_not_so_before():
    assert SO_BEFORE not in refuse("smtp_settings", parameters={"smtpd_recipient_restrictions": "bogus"})


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_a_configuration_that_postfix_cannot_read_is_told_and_brought_back(name):
    succeed("smtp_settings", **BANNER)
    right = picture()[f"{CONFIG}/{name}"][3:4]
    with open(f"{CONFIG}/{name}", "a") as handle:
        handle.write("half a line\n")
    assert SO_BEFORE in refuse("smtp_settings", parameters={"smtpd_banner": "other ESMTP"})
    told = run("smtp_tls_info", {"client": {"level": "encrypt"}}).data
    if name == "main.cf":
        assert told["failed"] and "smtp_rollback" in told["msg"]
    else:
        assert told["findings"][0]["about"] == "master.cf" and "smtp_rollback" in told["findings"][0]["problem"]
        assert (told["client"]["level"], told["pending"]["mode"]["changed"]) == ("may", True)
    assert succeed("smtp_rollback")["changed"]
    assert picture()[f"{CONFIG}/{name}"][3:4] == right
    assert not any("half a line" in open(f"{STORE}/history/{n}/{name}").read() for n in os.listdir(f"{STORE}/history"))
    assert succeed("smtp_tls_info")["findings"] == []


def test_records_that_nobody_can_read_stop_nothing_but_changes_of_records():
    module, options = CHANGES["domains"]
    succeed(module, **options)
    (records,) = re.findall(r"(/\S+/)tls_policy", sh("postconf", "-h", "smtp_tls_policy_maps"))
    records += "records.json"
    with open(records, "w") as handle:
        handle.write("[")
    told = succeed("smtp_tls_info")
    assert records in next(found["problem"] for found in told["findings"] if found["about"] == "domains")
    assert told["posture"]["ways"]["partner.example"]["level"] == "encrypt"
    assert succeed("smtp_settings", **BANNER)["changed"]
    assert succeed("smtp_tls_cert", **CERTIFICATE, renew_now=True)["changed"]
    assert "List all domains with exclusive: true and allow_weaker: true" in refuse(module, **options)
    assert succeed(module, **options, exclusive=True, allow_weaker=True)["changed"]
    assert succeed("smtp_tls_info")["findings"] == []
