# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError, ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import addresses
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.addresses import taken
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.prove import check_master

NOBODY = 999999999


@pytest.fixture
def held():
    """A port of 127.0.0.1 that this test listens to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 192.0.2.5
        /32 host LOCAL
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.5
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""
IF_INET6 = """\
fe800000000000000000000000000001 02 40 20 80     eth0
20010db8000000000000000000000005 02 40 00 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"/proc/net/fib_trie": TRIE, "/proc/net/if_inet6": IF_INET6}, ["192.0.2.5", "2001:db8::5"]),
        ({"/proc/net/fib_trie": TRIE, "/proc/net/if_inet6": ""}, ["192.0.2.5"]),
        ({"/proc/net/fib_trie": "", "/proc/net/if_inet6": ""}, []),
    ],
)
def test_a_host_has_the_addresses_that_others_reach_it_at(monkeypatch, said, found):
    monkeypatch.setattr(addresses, "_said", said.__getitem__)
    assert addresses.own_addresses() == found


def with_service(node, name, command="smtpd"):
    node.services += f"{name} inet n - y - - {command}\n"
    return node.state


@pytest.mark.parametrize(
    ("host", "settings", "collides"),
    [
        ("127.0.0.1:", "", True),
        ("127.0.0.2:", "", False),
        ("[::1]:", "", False),
        ("", "", True),
        ("", "inet_interfaces = loopback-only\n", True),
        ("", "inet_interfaces = 127.0.0.2\n", False),
        ("", "inet_protocols = ipv6\n", False),
        ("", "inet_protocols = ipv4\n", True),
    ],
)
def test_a_listener_collides_with_a_program_on_the_same_address(node, held, host, settings, collides):
    node.append(settings)
    found = list(taken(with_service(node, f"{host}{held}"), NOBODY))
    assert (len(found) == 1) == collides
    if collides:
        assert found[0].startswith(f"{host}{held}/inet at port {held} of 127.0.0.1 (")
        assert found[0].endswith(f"process {os.getpid()})")


def test_what_the_master_and_its_daemons_hold_is_theirs(node, held, monkeypatch):
    monkeypatch.setattr(os, "getsid", lambda pid: 4711)
    assert list(taken(with_service(node, f"127.0.0.1:{held}"), 4711)) == []


def test_a_session_from_outside_a_container_is_not_the_masters(node, held, monkeypatch):
    monkeypatch.setattr(os, "getsid", lambda pid: 0)
    assert list(taken(with_service(node, f"127.0.0.1:{held}"), 0))


def test_a_service_that_is_switched_off_wants_no_address(node, held):
    node.append("master_service_disable = inet\n")
    assert list(taken(with_service(node, f"127.0.0.1:{held}"), NOBODY)) == []


def test_a_service_that_speaks_no_smtp_would_end_postfix_as_well(node, held):
    assert list(taken(with_service(node, f"127.0.0.1:{held}", "qmqpd"), NOBODY))


def test_the_sentence_names_service_program_and_remedy(node, held):
    state = with_service(node, f"127.0.0.1:{held}")
    with pytest.raises(ProofFailed, match=rf"wants 127.0.0.1:{held}/inet at port {held} .* stop that program"):
        check_master(node.postfix, state)


def test_a_port_without_a_number_is_named(node, held):
    with pytest.raises(PostfixError, match="master.cf: nosuchport is no port that this host knows"):
        list(taken(with_service(node, "nosuchport"), NOBODY))


@pytest.mark.parametrize(("content", "pid"), [("   4711\n", 4711), ("", 0), ("x", 0), (None, 0)])
def test_the_masters_process_is_read_from_its_file(node, content, pid):
    os.makedirs(os.path.join(node.queue_dir, "pid"), exist_ok=True)
    if content is not None:
        with open(os.path.join(node.queue_dir, "pid", "master.pid"), "w", encoding="ascii") as handle:
            handle.write(content)
    assert node.postfix.master_pid(node.queue_dir) == pid
