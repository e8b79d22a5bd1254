# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import request
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
    read_keys,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.supply import Next, next_kept
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import signing
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, wish

WISH = wish("csr", SMALL, name="fleet").wish


def made(*kinds):
    keys = tuple(make_key(KeySpec(*kind)) for kind in kinds or [("ecdsa", 256)])
    return Next(keys, b"".join(request(["mx1.example.com"], key) for key in keys))


def test_keys_and_requests_stay_on_the_node_for_root_alone(node):
    found = made(("ecdsa", 256), ("rsa", 2048))
    assert signing.keep(node.state, WISH, found)
    for path in (store.next_key(node.state, "fleet"), store.next_request(node.state, "fleet")):
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(node.store("certificates", "fleet")).st_mode & 0o777 == 0o700
    kept = read_keys("kept", store.read(store.next_key(node.state, "fleet")))
    assert [public_bytes(key.public_key()) for key in kept] == [public_bytes(key.public_key()) for key in found.keys]
    assert next_kept(node.state, "fleet").request == found.request


def test_what_is_kept_already_is_not_written_again(node):
    found = made()
    signing.keep(node.state, WISH, found)
    before = os.stat(store.next_key(node.state, "fleet")).st_ino
    assert not signing.keep(node.state, WISH, found)
    assert os.stat(store.next_key(node.state, "fleet")).st_ino == before


def test_another_request_for_the_same_key_is_new(node):
    found = made()
    signing.keep(node.state, WISH, found)
    assert signing.keep(node.state, WISH, Next(found.keys, request(["mx2.example.com"], found.keys[0])))


@pytest.mark.parametrize("there", [False, True])
def test_keeping_a_key_changes_nothing_that_postfix_reads(node, there):
    state = node.state
    del node.commands[:]
    for _turn in range(1 + there):
        signing.keep(state, WISH, made())
    assert node.commands == []
    assert sorted(os.listdir(node.store("certificates", "fleet"))) == ["next.csr", "next.key"]
