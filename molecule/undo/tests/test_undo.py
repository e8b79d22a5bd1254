# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that cannot hold leaves /etc/postfix byte for byte as it was, and Postfix answering."""

import json

import pytest
import trustme
from mail import s_client

testinfra_hosts = ["ansible://node1?force_ansible=True"]
MODULE = "mailfleet.smtp_hardening."
PICTURE = "cd /etc/postfix && find . -type f -printf '%p %m %u %g %T@\\n' -exec sha256sum '{}' ';' | sort && find . -type d | sort"


def picture(host):
    """Every file of the configuration with contents, mode, owner and time of change."""
    return host.check_output(PICTURE)


@pytest.fixture(scope="module")
def pair():
    """A key, and a certificate that was made for another key; both otherwise good."""
    authority = trustme.CA()
    one, other = authority.issue_cert("node1.fleet.test"), authority.issue_cert("node1.fleet.test")
    return one.private_key_pem.bytes().decode(), other.cert_chain_pems[0].bytes().decode()


@pytest.fixture
def unchanged(host):
    """Checks that nothing has changed on the node and that it still offers STARTTLS."""
    before = picture(host)
    yield
    assert picture(host) == before
    node = host.backend.host
    assert "BEGIN CERTIFICATE" in s_client(node, "-showcerts").stdout


def run(host, module, **options):
    """The result of a module that is run in earnest; a failed one has its sentence in msg."""
    return host.ansible(MODULE + module, json.dumps(options), check=False)


@pytest.mark.usefixtures("unchanged")
def test_a_certificate_whose_key_does_not_match_is_refused(host, pair):
    key, certificate = pair
    pem = {"private_key": key, "certificate": certificate}
    result = run(host, "smtp_tls_cert", name="broken", provider="pem", pem=pem, use=["server"])
    assert "the private key does not match the certificate" in result["msg"]
    assert "PRIVATE KEY" not in str(result)


def test_a_chain_file_that_was_broken_on_the_node_is_named(host, pair):
    chain = host.check_output("postconf -h smtpd_tls_chain_files")
    good = host.file(chain).content_string
    try:
        host.ansible(
            "ansible.builtin.copy", json.dumps({"dest": chain, "content": "".join(pair), "mode": "0600"}), check=False
        )
        before = picture(host)
        result = run(host, "smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"})
        assert f"{chain}: the private key does not match the certificate that follows it" in result["msg"]
        assert picture(host) == before
    finally:
        host.ansible("ansible.builtin.copy", json.dumps({"dest": chain, "content": good, "mode": "0600"}), check=False)


def test_what_the_wire_disproves_is_undone(host, pair):
    """master.cf makes the listener use a broken chain: no file check sees it, the handshake does."""
    broken = {"dest": "/etc/postfix/broken.pem", "content": "".join(pair), "mode": "0600"}
    host.ansible("ansible.builtin.copy", json.dumps(broken), check=False)
    host.check_output("postconf -P smtp/inet/smtpd_tls_chain_files=/etc/postfix/broken.pem")
    try:
        before = picture(host)
        result = run(host, "smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"})
        assert result["restored"]
        assert "The wire shows something else than what was asked: smtp/inet" in result["msg"]
        assert picture(host) == before
    finally:
        host.check_output(
            "postconf -PX smtp/inet/smtpd_tls_chain_files && rm /etc/postfix/broken.pem && postfix reload"
        )


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("module", "options", "sentence"),
    [
        ("smtp_tls_mode", {"profile": "trusted_agents_strict", "server": {"ca_file": "/none.pem"}}, "cannot be read"),
        (
            "smtp_tls_mode",
            {"server": {"client_certificates": "require", "ca_file": "/etc/hostname"}},
            "has no effect while",
        ),
        ("smtp_tls_mode", {"client": {"level": "fingerprint"}}, "lists no fingerprint"),
        ("smtp_domain_policy", {"domains": [{"name": "a b", "level": "may"}]}, "is not a domain name"),
        ("smtp_settings", {"parameters": {"smtpd_tls_security_level": "none"}}, "belongs to another module"),
    ],
)
def test_a_bad_input_is_one_sentence_and_changes_nothing(host, module, options, sentence):
    result = run(host, module, **options)
    assert sentence in result["msg"]
