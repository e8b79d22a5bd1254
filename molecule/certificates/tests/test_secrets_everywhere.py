# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked secrets in right and wrong options, with success and with failure: nothing holds them afterwards."""

import base64
import json
import os
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from lab import TOP
from mail import fqdn
from on_node import sh
from pki import certify, rsa_key
from sampled import ROWS, some
from tasks import COLLECTION, INVENTORY

testinfra_hosts = ["local://"]
pytestmark = pytest.mark.usefixtures("fleet")
NODE, NAME = "node3", fqdn("node3")
WATCH = TOP / "molecule" / "certificates" / "node" / "watch_processes.py"
AWKWARD = "m4rk \"q'uote\\ back\\n ümlaut %s {{ x }}"
"""What each program writes in a way of its own."""
SECRETS = {
    "key_passphrase": f"{AWKWARD}\nsecond l1ne of the key's",
    "archive_passphrase": f"archive {AWKWARD}",
    "ca_passphrase": f"authority {AWKWARD}",
    "wrong_passphrase": f"wr0ng {AWKWARD}",
    "password": f"ann:login {AWKWARD}",
}
WRITTEN_TO = "/etc /home /opt /root /run /srv /tmp /usr/local /var"


@pytest.fixture(scope="module")
def material(outside):
    """Values of options by name: a pair in PEM, its key encrypted, an archive, and the key of nobody."""
    root, intermediate = outside
    leaf, other = (certify(NAME, rsa_key(2048), intermediate, [NAME]) for _turn in range(2))
    lock = serialization.BestAvailableEncryption(SECRETS["archive_passphrase"].encode())
    above = [intermediate.certificate, root.certificate]
    archive = pkcs12.serialize_key_and_certificates(b"mail", leaf.key, leaf.certificate, above, lock)
    return {
        **SECRETS,
        "chain": leaf.pem + intermediate.pem + root.pem,
        "key": leaf.key_pem,
        "other_key": other.key_pem,
        "encrypted_key": leaf.encrypted_key(SECRETS["key_passphrase"]),
        "bare_key": "".join(other.key_pem.splitlines()[1:-1]),
        "archive": base64.b64encode(archive).decode(),
    }


def cert(provider=None, **options):
    shared = {"name": "trial", "use": ["server"], "accept": ["incomplete_chain", "distrusted_issuer"]}
    return "smtp_tls_cert", {**shared, **({"provider": provider} if provider else {}), **options}


def pem(**options):
    return cert("pem", pem={"private_key": "{{ key }}", "certificate": "{{ chain }}", **options})


def tasks(folder):
    """(whether it succeeds, module, options) of each task: all that succeed, one whose path must stay readable, and some that fail."""
    listed = list(every_task(folder))
    fails = [task for task in listed if not task[0]]
    tried = [task for task in fails if "/nowhere" in str(task)] + some("secrets", fails, 5 * ROWS)
    return [task for task in listed if task[0] or task in tried]


def every_task(folder):
    ca = {
        "ca_certificate": f"{folder}/ca.pem",
        "ca_private_key": f"{folder}/ca.key",
        "ca_passphrase": "{{ ca_passphrase }}",
        "names": [NAME],
    }
    entries = {"smtp_sasl_password_maps": {"[mx.example]:587": "{{ password }}"}}
    archive = {"archive": "{{ archive }}", "passphrase": "{{ archive_passphrase }}"}
    yield True, *pem()
    yield True, *pem(private_key="{{ encrypted_key }}", passphrase="{{ key_passphrase }}")
    yield True, *cert("pkcs12", pkcs12=archive)
    yield True, *cert("own_ca", own_ca={**ca, "ca_create": True}, use=["server", "client"])
    yield True, "smtp_settings", {"secrets": entries}
    yield True, *cert(name="other", use=[], task="{{ key }}", self_signed={"key_type": "ecdsa"})
    yield False, *pem(private_key="{{ encrypted_key }}", passphrase="{{ wrong_passphrase }}")
    yield False, *pem(private_key="{{ encrypted_key }}")
    yield False, *pem(private_key="{{ other_key }}")
    yield False, *pem(private_key="{{ wrong_passphrase }}")
    yield False, *pem(certificate="{{ key }}")
    yield False, *pem(certificate="{{ wrong_passphrase }}")
    yield False, *pem(private_key="/nowhere/mx.key")
    yield False, *cert("pem", pem={"private_key": "{{ key }}"})
    yield False, *cert("pem", pem="{{ key }}")
    yield False, *cert("pkcs12", pkcs12={**archive, "passphrase": "{{ wrong_passphrase }}"})
    yield False, *cert("pkcs12", pkcs12={**archive, "archive": "{{ wrong_passphrase }}"})
    yield False, *cert("pem", pem={"private_key": "{{ archive }}", "certificate": "{{ archive }}"})
    yield False, *cert("csr", csr={"certificate": "{{ key }}"})
    yield False, *cert("own_ca", own_ca={**ca, "ca_passphrase": "{{ wrong_passphrase }}"}, renew_now=True)
    yield False, *cert("own_ca", own_ca={**ca, "ca_private_key": "{{ wrong_passphrase }}"}, renew_now=True)
    yield False, *cert("own_ca", own_ca={**ca, "ca_certificate": "{{ key }}"})
    yield False, *cert("own_ca", own_ca={**ca, "names": ["{{ bare_key }}"]}, renew_now=True)
    yield False, *cert("external", external={"tool": "step", "private_key": "{{ key }}", "certificate": "/x"})
    yield False, *cert(trust={"authorities": ["{{ key }}"]})
    yield False, *cert(trust={"authorities": ["{{ wrong_passphrase }}"]})
    yield False, *cert(name="{{ key }}")
    yield False, *cert(name="{{ bare_key }}")
    yield False, *cert(sni=["{{ key }}"])
    yield False, *cert(accept=["{{ key }}"])
    yield False, *cert(config_dir="{{ key }}")
    yield False, *cert(**{"{{ key }}": "{{ key }}"})
    yield False, "smtp_settings", {"secrets": {"smtp_sasl_password_maps": {"{{ key }}": "{{ password }}"}}}
    yield False, "smtp_settings", {"secrets": "{{ password }}"}
    yield False, "smtp_settings", {"secrets": {"smtp_sasl_password_maps": {"mx.example": "{{ key_passphrase }}"}}}
    yield False, "smtp_settings", {"parameters": {"smtp_sasl_password_maps": "static:{{ password }}"}}
    yield False, "smtp_settings", {"parameters": {"smtpd_banner": "{{ bare_key }}"}}
    yield False, "smtp_settings", {"services": [{"name": "{{ key }}", "parameters": {"myhostname": "{{ key }}"}}]}
    yield False, "smtp_domain_policy", {"domains": [{"name": "a.example", "owner": "{{ key }}"}]}
    yield False, "smtp_domain_policy", {"src": f"{folder}/ca.key"}
    yield False, "smtp_tls_mode", {"server": {"level": "{{ key }}"}}
    yield False, "smtp_tls_mode", {"server": {"ca_file": "{{ wrong_passphrase }}"}}
    yield False, "smtp_tls_probe", {"deliver": ["{{ bare_key }}"]}
    yield False, "smtp_tls_probe", {"targets": [{"address": "{{ key }}"}]}
    yield False, "smtp_tls_info", {"config_dir": "{{ key }}"}
    yield False, "smtp_rollback", {"to": "{{ key }}"}


def play(folder):
    """One play of all, each task going on after a failure; the last one runs in the background."""
    made = [
        {
            "name": f"Trial {number}",
            f"{COLLECTION}.{module}": options,
            "ignore_errors": True,
            "register": f"trial_{number}",
        }
        for number, (_succeeds, module, options) in enumerate(tasks(folder))
    ]
    entries = {"secrets": {"smtp_sasl_password_maps": {"mx.example": "{{ password }}"}}}
    made.append({"name": "Later", f"{COLLECTION}.smtp_settings": entries, "async": 60, "poll": 1})
    made.append(
        {"name": "Keep all", "ansible.builtin.set_fact": {"kept": "{{ vars | select('match', 'trial_') | list }}"}}
    )
    seen = "{{ [" + ", ".join(f"trial_{number} is failed" for number in range(len(made) - 2)) + "] }}"
    made.append(
        {
            "name": "Say how they ended",
            "ansible.builtin.copy": {"content": seen, "dest": f"{folder}/ended"},
            "delegate_to": "localhost",
        }
    )
    return [{"name": "Secrets", "hosts": NODE, "gather_facts": False, "tasks": made}]


def spellings(material):
    """What must be found nowhere: lines of each secret, plain and as programs quote them, by the secret's name."""
    for name in material.keys() - {"chain"}:
        lines = [line for line in material[name].splitlines() if "-----" not in line]
        # An RSA key begins with its public half, which its certificate has as well.
        lines = lines[10:] if name in ("key", "other_key") else lines
        for line in [lines[0][1500:1560]] if name == "bare_key" else [line[:120] for line in lines]:
            quoted = {repr(line)[1:-1], repr(line + "'\"")[1:-4], ascii(line)[1:-1], json.dumps(line)[1:-1]}
            for spelling in {
                line,
                *quoted,
                *(json.dumps(text)[1:-1] for text in quoted),
                base64.b64encode(line.encode()).decode(),
            }:
                if len(spelling) >= 16:
                    yield name, spelling


@pytest.fixture(scope="module")
def run(tmp_path_factory, material, converged):
    """The play under eyes: everything that was said, logged and left behind, by where it was, and the table of passwords."""
    folder = tmp_path_factory.mktemp("controller")
    (folder / "play.yml").write_text(json.dumps(play(folder)))
    texts = (f"{name}: !unsafe {json.dumps(text)}\n" for name, text in material.items())
    (folder / "secrets.yml").write_text("".join(texts))
    sh(NODE, "cat > /root/watch_processes.py", WATCH.read_text())
    watch = "systemd-run --quiet --collect --unit=watch-processes python3 /root/watch_processes.py /root/processes 600"
    sh(NODE, f"systemctl stop watch-processes 2>/dev/null; {watch}")
    here = subprocess.Popen([sys.executable, str(WATCH), str(folder / "processes"), "600"])
    began = time.time()
    try:
        done = _play(folder)
    finally:
        here.kill()
        here.wait()
        sh(NODE, "systemctl stop watch-processes")
    journal = f"journalctl --since @{began - 5:.0f} --output=export --all | iconv -c -t UTF-8"
    logs = sh(NODE, f"{journal}; cat /root/processes /var/log/mail.log; cat /var/log/syslog 2>/dev/null || true")
    table = sh(NODE, "cat /etc/postfix/smtp_hardening/secrets/*/smtp_sasl_password_maps")
    return folder, done, {"output": done.stdout + done.stderr, "logs and processes of the node": logs}, table


def _play(folder):
    words = ["-e", f"@{folder}/secrets.yml", "-vvvv", "--diff"]
    environment = {
        **os.environ,
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(folder / "facts"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_LOG_PATH": str(folder / "log"),
        "ANSIBLE_NOCOLOR": "1",
    }
    argv = ["ansible-playbook", "-i", str(INVENTORY), str(folder / "play.yml"), *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=500)


def test_no_secret_is_left_anywhere_whatever_option_it_was_put_into(run, material):
    folder, done, said, _table = run
    ended = json.loads((folder / "ended").read_text())
    wrong = [task for failed, task in zip(ended, tasks(folder)) if failed is task[0]]
    assert wrong == [], done.stdout[-3000:]
    assert "pem.private_key: '/nowhere/mx.key' cannot be read" in done.stdout
    assert "Invoked with" in said["logs and processes of the node"]
    for path in (path for path in folder.rglob("*") if path.is_file() and path.name not in ("secrets.yml", "ca.key")):
        said[str(path.relative_to(folder))] = path.read_text(errors="replace")
    assert {"log", "processes"} <= set(said)
    found = {
        (where, name) for name, spelling in spellings(material) for where, text in said.items() if spelling in text
    }
    assert found == set()
    marks = "".join(f"{spelling}\n" for _name, spelling in spellings(material))
    sh(NODE, "umask 077; cat > /dev/shm/marks", marks)
    kept = "--exclude-dir=certificates --exclude-dir=secrets"  # root's alone, where they belong: see test_secrecy.py
    files = sh(NODE, f"grep -rlaF -f /dev/shm/marks {kept} {WRITTEN_TO} 2>/dev/null; rm /dev/shm/marks", check=False)
    assert files.split() == []


def test_the_search_finds_what_is_there(run, material):
    """A test that looks for nothing finds nothing."""
    folder, _done, _said, table = run
    text = (folder / "secrets.yml").read_text()
    assert {name for name, spelling in spellings(material) if spelling in text} == material.keys() - {"chain"}
    assert SECRETS["password"] in table
