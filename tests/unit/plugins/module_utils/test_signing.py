# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import CertificateSpec
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    public_bytes,
    read_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import CertificateWish
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._signing import begin_request
from cryptography import x509

WISH = CertificateWish(
    "fleet",
    "own_ca",
    ("server",),
    30,
    KeySpec("ecdsa", 256),
    CertificateSpec(("mx1.example.com", "smtp.example.com"), 90),
)


def test_a_request_leaves_the_node_and_its_key_stays_there_for_root_alone(node):
    state = read_state(node.postfix)
    asked = begin_request(state, WISH)
    assert (asked["names"], asked["days"]) == (["mx1.example.com", "smtp.example.com"], 90)
    path = store.pending_key(state, "fleet")
    key = read_key("pending", store.read(path))
    csr = x509.load_pem_x509_csr(asked["csr"].encode())
    assert public_bytes(csr.public_key()) == public_bytes(key.public_key())
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert "PRIVATE" not in str(asked)


def test_a_request_that_is_begun_again_has_a_new_key(node):
    state = read_state(node.postfix)
    begin_request(state, WISH)
    first = store.read(store.pending_key(state, "fleet"))
    begin_request(state, WISH)
    assert store.read(store.pending_key(state, "fleet")) != first
    assert os.listdir(os.path.join(store.certificates_dir(state), "fleet")) == ["pending.key"]


def test_a_request_changes_nothing_that_postfix_reads(node):
    begin_request(read_state(node.postfix), WISH)
    assert [argv for argv in node.commands if argv[0] != "postconf"] == []
    assert not [argv for argv in node.commands if {"-e", "-X", "-Me"} & set(argv)]
