# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names, utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca, request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _fleet_ca


def paths(folder):
    return str(folder / "ca.pem"), str(folder / "ca.key")


def read(path):
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def test_a_ca_is_made_once_with_a_key_for_its_owner_alone(tmp_path):
    certificate, key = paths(tmp_path / "new")
    assert _fleet_ca.create_if_missing(certificate, key, "secret")
    made = read(certificate), read(key)
    assert oct(os.stat(key).st_mode & 0o777) == "0o600"
    assert "ENCRYPTED" in made[1]
    assert not _fleet_ca.create_if_missing(certificate, key, "secret")
    assert (read(certificate), read(key)) == made


def test_half_a_ca_is_refused(tmp_path):
    certificate, key = paths(tmp_path)
    (tmp_path / "ca.pem").write_text("there")
    with pytest.raises(HardeningError, match="finds only one of"):
        _fleet_ca.create_if_missing(certificate, key, None)


def test_a_ca_key_that_does_not_fit_is_refused(tmp_path):
    one, other = paths(tmp_path / "one"), paths(tmp_path / "other")
    for pair in (one, other):
        _fleet_ca.create_if_missing(*pair, None)
    with pytest.raises(HardeningError, match="does not match the first certificate"):
        _fleet_ca.load(read(one[0]), read(other[1]), None)


def test_a_node_cannot_ask_for_another_nodes_name(tmp_path, issue):
    certificate, key = paths(tmp_path)
    _fleet_ca.create_if_missing(certificate, key, None)
    authority = _fleet_ca.load(read(certificate), read(key), None)
    csr = request(["mx2.example.com"], issue().key).decode()
    signed = read_certificates("signed", authority.sign(csr, ["mx1.example.com"], 90).encode())
    assert dns_names(signed[0]) == ["mx1.example.com"]


def test_a_leaf_cannot_sign(issue):
    chain = issue()
    with pytest.raises(HardeningError, match="is not a CA's"):
        _fleet_ca.load(certificates_pem(chain.certificates).decode(), write_key(chain.key).decode(), None)


def test_an_expired_ca_cannot_sign():
    key = make_key(KeySpec("ecdsa", 256))
    certificate = make_ca("Old CA", key, 1, utc_now() - datetime.timedelta(days=9))
    with pytest.raises(HardeningError, match="the CA has expired"):
        _fleet_ca.load(certificates_pem([certificate]).decode(), write_key(key).decode(), None)
