# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict node exchanges mail with agents of its fleet and with nobody else."""

import pytest
from mail import NODES, fate, fqdn, log, probe, s_client, send, swaks


def test_mail_without_starttls_gets_530(node):
    done = swaks(node)
    assert "530 5.7.0 Must issue a STARTTLS command first" in done.stdout
    assert done.returncode != 0


def test_a_client_without_a_certificate_is_refused(node):
    assert_refused_after_handshake(swaks(node, "--tls", "--tls-protocol", "tlsv1_3"))


@pytest.mark.parametrize("stranger", ["self-signed", "other-ca"])
def test_a_client_with_a_certificate_of_a_stranger_is_refused(node, strangers, stranger):
    certificate, key = strangers[stranger]
    assert_refused_after_handshake(swaks(node, "--tls", "--tls-cert", certificate, "--tls-key", key))


def assert_refused_after_handshake(done):
    """Postfix ends the session after the handshake, before any mail (smtpd(8))."""
    assert "=== TLS started with cipher TLSv1.3" in done.stdout, done.stdout
    assert "421" in done.stdout or "Connection closed" in done.stdout, done.stdout
    assert "Ok: queued" not in done.stdout
    assert done.returncode != 0


@pytest.mark.parametrize("version", ["-tls1_1", "-tls1_2"])
def test_a_protocol_below_tls_1_3_is_refused(node, version):
    done = s_client(node, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in done.stdout
    assert done.returncode != 0


@pytest.mark.parametrize("to", list(NODES))
def test_mail_to_each_neighbour_is_verified_and_delivered(host, node, to):
    if to == node:
        return
    queue_id = send(host, probe(to))
    assert "status=sent (250 2.0.0 Ok: queued as" in fate(host, queue_id)
    assert f"Verified TLS connection established to {fqdn(to)}[{NODES[to]}]:25: TLSv1.3" in log(host)


def test_posttls_finger_verifies_each_neighbour(host, node):
    trust, chain = (host.check_output(f"postconf -h smtp_tls_{name}") for name in ("CAfile", "chain_files"))
    for to, address in NODES.items():
        seen = host.run(f"posttls-finger -c -l secure -k {chain} -K {chain} -F {trust} '[{address}]' {fqdn(to)}")
        assert "Verified TLS connection established" in seen.stdout + seen.stderr


def test_a_next_hop_with_the_wrong_name_gets_no_mail(host, node):
    """The neighbour is asked by its address, which its certificate does not name."""
    wrong = NODES["node2" if node == "node1" else "node1"]
    queue_id = send(host, f"probe@[{wrong}]")
    assert "status=deferred (Server certificate not verified)" in fate(host, queue_id)
    assert queue_id in host.check_output("postqueue -p")
    host.run_expect([0], f"postsuper -d {queue_id}")
