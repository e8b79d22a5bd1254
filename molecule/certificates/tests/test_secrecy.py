# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys are root's alone: on disk from their first byte, and in no output."""

import re

import pytest
from mail import fqdn
from on_node import sh
from pki import certify, ec_key
from sources import FLEET_CA, archive, pem_in_any_order
from tasks import LAB, ansible

testinfra_hosts = ["local://"]
pytestmark = pytest.mark.usefixtures("fleet")
NAME = fqdn("node3")
STORE = "/etc/postfix/smtp_hardening"


def csr(_outside, _folder):
    return {"provider": "csr"}


def own_ca(_outside, _folder):
    return {"provider": "own_ca", "own_ca": {**FLEET_CA, "key_type": "both", "key_size": 2048}}


def self_signed(_outside, _folder):
    return {"provider": "self_signed", "self_signed": {"key_size": 2048}}


def external(outside, _folder):
    _root, intermediate = outside
    leaf = certify(NAME, ec_key(), intermediate, [NAME])
    sh("node3", "umask 077; mkdir -p /root/step; cat > /root/step/key.pem", leaf.key_pem)
    sh("node3", "cat > /root/step/chain.pem", leaf.pem + intermediate.pem)
    paths = {"private_key": "/root/step/key.pem", "certificate": "/root/step/chain.pem"}
    return {"provider": "external", "external": {"tool": "step", **paths}, "accept": ["incomplete_chain"]}


PROVIDERS = [self_signed, csr, own_ca, pem_in_any_order, archive, external]


def secrets(node):
    """Every line of every key on the node and of the CA's key, and the passphrases."""
    found = sh(node, f"cat $(find {STORE} -name '*.pem' -o -name '*.key') /root/step/key.pem 2>/dev/null", check=False)
    found += (LAB / "fleet-ca.key").read_text()
    keys = re.findall("-----BEGIN [A-Z ]*PRIVATE KEY-----(.+?)-----END", found, re.DOTALL)
    assert keys
    # An EC key ends with its public half, which the certificate shows as well: the private half is in the first line.
    return {key.split()[0] for key in keys} | {"secret"}


@pytest.mark.sampled
@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda make: make.__name__)
def test_the_wordiest_output_shows_no_byte_of_a_key(provider, outside, tmp_path):
    options = {"name": "trial", "use": ["server"], **provider(outside, tmp_path)}
    options["accept"] = [*options.get("accept", []), "other_host", "incomplete_chain"]
    done = ansible("node3", "smtp_tls_cert", {**options, "sni": ["mail.customer.test"]}, "-vvv", "--diff")
    assert done.returncode == 0, done.stdout
    said = done.stdout + done.stderr + sh("node3", "journalctl --since -2min; cat /var/log/mail.log")
    shown = [secret for secret in secrets("node3") if re.search(rf"\b{re.escape(secret)}\b", said)]
    assert shown == []
    assert "trial" in said


WATCHED = "openat,creat,mkdir,umask,chmod,fchmod,fchmodat,write,pwrite64,rename,renameat2,link,linkat"


def test_no_file_with_a_key_is_ever_readable_by_others():
    """Seen from outside, system call by system call, postmap's among them."""
    trace = f"strace -f -y -s 200 -e trace={WATCHED} -o /root/watch/log"
    interpreter = f'#!/bin/sh\nexec {trace} /usr/bin/python3 "$@"\n'
    sh(
        "node3",
        "rm -rf /root/watch; mkdir /root/watch; cat > /root/watch/python3; chmod +x /root/watch/python3",
        interpreter,
    )
    options = {"name": "trial", "sni": ["mail.customer.test"], "self_signed": {"key_size": 2048}, "use": ["server"]}
    done = ansible("node3", "smtp_tls_cert", options, "-e", "ansible_python_interpreter=/root/watch/python3")
    assert done.returncode == 0, done.stdout
    log = sh("node3", "cat /root/watch/log")
    written = set(re.findall(r"write(?:64)?\(\d+<([^>]+)>, \"[^\"]*PRIVATE KEY", log))
    assert written and all(path.startswith(f"{STORE}/") for path in written), written
    created = _created(log)
    assert {created[path] for path in written} == {"0600"}
    widened = re.findall(r"chmod(?:at)?\(.*smtp_hardening/(?:certificates|sni)[^,]*, (0\d+)", log)
    assert set(widened) <= {"0600", "0700"}, widened
    tables = sh("node3", f"stat -c '%a %U %n' {STORE}/sni {STORE}/sni/* {STORE}/sni/*/*").splitlines()
    assert len(tables) >= 4 and all(re.match("(600|700) root ", line) for line in tables), tables


def _created(log):
    """The mode with which each file came into being."""
    return {path: mode for mode, path in re.findall(r"openat\(.*?O_CREAT.*?, (0\d+)\) = \d+<([^>]+)>", log)}


def test_check_mode_makes_no_key_and_says_what_it_would_make():
    before = sh("node3", f"find {STORE} -type f | sort")
    for options in (
        {"provider": "csr"},
        {"provider": "own_ca", "own_ca": FLEET_CA},
        {"self_signed": {"key_type": "both"}},
    ):
        done = ansible("node3", "smtp_tls_cert", {"name": "trial", "use": ["server"], **options}, "--check", "--diff")
        assert done.returncode == 0 and "ecdsa 256" in done.stdout, done.stdout
    assert sh("node3", f"find {STORE} -type f | sort") == before
