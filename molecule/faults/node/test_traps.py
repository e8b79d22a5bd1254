# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps that Postfix lays for those who harden it, each with its guard at work."""

import re
import subprocess
import time
import uuid

import pytest
from conftest import CONFIG, configuration, picture, refuse, run, sh, succeed
from pems import HOST, Authority, key, self_signed

pytestmark = pytest.mark.sampled("traps")

MODE = "smtp_tls_mode"
HERE_TOO = f"[{HOST}]:2588"
"""Postfix sends nothing to its own port 25: that would be a loop."""


@pytest.fixture
def authority(tmp_path):
    """A CA whose file the chrooted daemons cannot reach: they open it before the chroot."""
    return Authority(tmp_path)


@pytest.fixture
def own(authority):
    """This node with a certificate of the CA for receiving and sending."""
    private = key()
    pem = {"private_key": private, "certificate": authority.issue(private)}
    accept = ["incomplete_chain"]
    succeed("smtp_tls_cert", name="agent", provider="pem", pem=pem, use=["server", "client"], accept=accept)
    return authority


def strict(authority):
    return {
        "profile": "trusted_agents_strict",
        "server": {"ca_file": authority.path},
        "client": {"ca_file": authority.path},
    }


def send_to_itself():
    """The log's line on a message that this node sent to itself by SMTP, and on the TLS that carried it."""
    mark = uuid.uuid4().hex
    sh("postconf", "-Me", "2588/inet=2588 inet n - y - - smtpd -o content_filter=discard:")
    # By a transport, or the local delivery agent would take it without SMTP.
    sh("postconf", "-e", f"transport_maps=inline:{{{mark}.example=smtp:{HERE_TOO}}}")
    sh("postconf", "-e", f"relay_domains={mark}.example")
    sh("touch", "-d", "1 minute ago", f"{CONFIG}/main.cf")
    sh("postfix", "reload")
    subprocess.run(
        ["sendmail", "-f", f"probe@{HOST}", f"x@{mark}.example"], input=b"Subject: test\n\ntest\n", check=True
    )
    deadline = time.monotonic() + 30
    while True:
        with open("/var/log/mail.log", errors="replace") as handle:
            log = handle.read()
        found = re.search(rf"postfix/smtp\[(\d+)\]: \w+: to=<x@{mark}.example>.* status=.*", log)
        if found:
            tls = re.findall(r"postfix/smtp\[\d+\]: (\w+) TLS connection (?:established|reused) to", log)
            return found.group(), tls[-1] if tls else None
        assert time.monotonic() < deadline, log[-2000:]
        time.sleep(0.1)


def test_1_connection_reuse_brings_the_tlsproxy_that_it_needs(own):
    assert "tlsproxy" not in configuration()[1]
    assert succeed(MODE, **strict(own))["changed"]
    assert re.search(r"^tlsproxy +unix .* tlsproxy$", configuration()[1], re.M)
    line, trust = send_to_itself()
    assert trust == "Verified" and "Cannot start TLS" not in line


def test_1_a_tlsproxy_that_was_commented_out_since_comes_back(own):
    succeed(MODE, **strict(own))
    sh("postconf", "-M#", "tlsproxy/unix")
    assert "tlsproxy" not in configuration()[1]
    assert succeed(MODE, **strict(own))["pending"]["services"]
    assert "tlsproxy" in configuration()[1]


@pytest.mark.parametrize(
    ("usage", "by", "problem"),
    [("serverAuth", "ca", "client"), ("clientAuth", "ca", "server"), (None, "itself", "self-signed")],
)
def test_2_a_client_certificate_that_require_would_refuse_is_found_before(authority, usage, by, problem, tmp_path):
    private = key()
    if by == "ca":
        certificate = authority.issue(private, usage=usage)
    else:
        certificate = self_signed(str(tmp_path), private, extensions=[f"subjectAltName=DNS:{HOST}"])
    pem = {"private_key": private, "certificate": certificate}
    accept = ["incomplete_chain", "wrong_usage"]
    succeed("smtp_tls_cert", name="agent", provider="pem", pem=pem, use=["server", "client"], accept=accept)
    before = picture()
    sentence = refuse(MODE, **strict(authority))
    assert "cannot be switched on" in sentence and problem in sentence
    assert picture() == before


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("names", "usage", "problem"),
    [
        ((), "serverAuth,clientAuth", "names no host in its SAN"),
        (("DNS:other.example",), "serverAuth,clientAuth", "its own name"),
    ],
)
def test_3_what_secure_would_accept_or_reject_too_late_is_found_before(authority, names, usage, problem):
    private = key()
    pem = {"private_key": private, "certificate": authority.issue(private, names=names, usage=usage)}
    result = run("smtp_tls_cert", {"name": "agent", "provider": "pem", "pem": pem, "use": ["server", "client"]}).data
    sentence = result["msg"] if result.get("failed") else refuse(MODE, **strict(authority))
    assert {"its own name": HOST}.get(problem, problem).lower() in sentence.lower()


def test_4_verify_is_warned_about(own):
    result = succeed(MODE, client={"level": "verify", "ca_file": own.path})
    assert any("prefer secure" in str(warning) for warning in result["warnings"])


def test_5_daemons_in_a_chroot_verify_with_a_ca_file_outside_of_it(own):
    sh("postconf", "-e", "smtp_tls_CApath=/etc/ssl/certs", "smtpd_tls_CApath=/etc/ssl/certs")
    assert re.search(r"^smtp +unix +- +- +y ", configuration()[1], re.M)
    succeed(MODE, **strict(own))
    assert "CApath" not in configuration()[0]
    assert send_to_itself()[1] == "Verified"


def test_6_a_session_cache_of_one_service_is_reported_because_it_has_no_effect():
    sh("postconf", "-P", "smtp/inet/smtpd_tls_session_cache_database=btree:/tmp/x")
    result = succeed(MODE, server={"minimum_protocol": "TLSv1.3"})
    assert any("belongs to tlsmgr" in str(warning) for warning in result["warnings"])


def test_7_a_domain_that_was_removed_is_not_answered_by_the_indexed_table():
    domains = [{"name": f"{name}.example", "level": "encrypt"} for name in ("stays", "goes")]
    succeed("smtp_domain_policy", domains=domains)
    succeed("smtp_domain_policy", domains=domains[:1], exclusive=True, allow_weaker=True)
    table = sh("postconf", "-h", "smtp_tls_policy_maps").strip()
    assert sh("postmap", "-q", "stays.example", table) == "encrypt\n"
    assert sh("postmap", "-q", "goes.example", table, check=False) == ""


@pytest.mark.usefixtures("unchanged")
@pytest.mark.sampled
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("smtpd_tls_chain_files", "/none.pem"),
        ("smtpd_tls_protocols", "bogus"),
        ("smtpd_tls_exclude_ciphers", "ALL"),
    ],
)
def test_8_what_postfix_check_does_not_see_the_twin_does(parameter, value):
    """master.cf holds what is wrong: no file check sees it, and postfix check passes."""
    sh("postconf", "-P", f"smtp/inet/{parameter}={value}")
    assert subprocess.run(["postfix", "check"], check=False).returncode == 0
    before = picture()
    sentence = refuse(MODE, server={"ciphers": "high"}, allow_weaker=True)
    assert "twin" in sentence or "undermine" in sentence
    assert picture() == before
    sh("postconf", "-PX", f"smtp/inet/{parameter}")
    sh("rsync", "--archive", "/root/old/master.cf", f"{CONFIG}/master.cf")


@pytest.mark.parametrize(
    ("parameters", "restart"),
    [({"inet_interfaces": ["127.0.0.1", "$myhostname"]}, True), ({"smtpd_banner": "x ESMTP"}, False)],
)
def test_9_what_needs_a_restart_says_so_and_is_proven_where_postfix_listens_now(parameters, restart):
    result = succeed("smtp_settings", parameters=parameters)
    assert result["restart_needed"] is restart
    assert any("restart it" in str(warning) for warning in result.get("warnings", ())) is restart


def test_9_a_listener_that_is_new_in_master_cf_opens_at_the_reload():
    sh("postconf", "-Me", "2587/inet=2587 inet n - y - - smtpd")
    result = succeed(MODE, server={"minimum_protocol": "TLSv1.3"}, services=[{"name": "2587", "level": "encrypt"}])
    assert "127.0.0.1:2587" in [seen["listener"] for seen in result["proof"]]


def test_10_requiring_tls_on_a_server_warns_of_rfc_3207():
    result = succeed(MODE, server={"level": "encrypt"})
    assert any("RFC 3207 section 4" in str(warning) for warning in result["warnings"])
