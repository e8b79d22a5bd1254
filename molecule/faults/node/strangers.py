# SPDX-License-Identifier: GPL-3.0-or-later
"""A node as somebody else has set it up: a configuration of the corpus, with the tables, certificates and the login server
that it names. What it names and what is not there is made up."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import threading

from conftest import CONFIG, sh, start
from pems import openssl, self_signed

HERE = pathlib.Path(__file__).parent / "corpus"
TITLES = sorted(path.stem for path in HERE.glob("*.cf"))
STOCK = "/usr/share/postfix/master.cf.dist"
LOGIN = "/var/spool/postfix/private/auth"

_TABLE = re.compile(r"\b(hash|btree|texthash|regexp|cidr):(/[^\s,}]+)")
_ANSWERS = {"transport": "smtp:[192.0.2.9]", "relayhost": "[192.0.2.9]", "tls_policy": "may", "per_site": "MAY"}
_CERTIFICATE = re.compile(r"^(smtpd?_tls_(?:(ec)?(?:cert|key)_file|chain_files|CAfile)) = (/\S+)$", re.M)


def install(title, folder):
    """Let Postfix run with a configuration of the corpus, and with nothing of ours."""
    main, _mark, services = (HERE / f"{title}.cf").read_text().partition("=== master.cf\n")
    shutil.rmtree(f"{CONFIG}/smtp_hardening", ignore_errors=True)
    pathlib.Path(CONFIG, "main.cf").write_text(main)
    pathlib.Path(CONFIG, "master.cf").write_text(_with(pathlib.Path(STOCK).read_text(), services))
    if "/etc/mailname" in main and not os.path.exists("/etc/mailname"):
        pathlib.Path("/etc/mailname").write_text("example.org\n")
    for kind, path in set(_TABLE.findall(main)):
        _make_table(kind, path)
    named = _CERTIFICATE.findall(sh("postconf", "-x"))
    with_key = {path for name, _elliptic, path in named if name.endswith(("key_file", "chain_files"))}
    for _parameter, elliptic, path in named:
        _make_certificate(path, "ec" if elliptic else "rsa", str(folder), path in with_key)
    start()


def _with(stock, services):
    """master.cf with these entries in the place of those of the same name."""
    ours = {_name(line) for line in services.splitlines() if line[:1].strip()}
    kept = [line for line in stock.splitlines() if _name(line) not in ours]
    return "\n".join([*kept, services])


def _name(line):
    """An entry's name and kind; pickup and qmgr have been of two kinds."""
    words = line.split() if line[:1].strip() and not line.startswith("#") else []
    return (words[0], words[1].replace("fifo", "unix")) if len(words) > 7 else None


def _make_table(kind, path):
    """One that knows nobody whom mail is for."""
    if os.path.exists(path) or "cache" in path:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    answer = next((value for word, value in _ANSWERS.items() if word in path), "OK")
    line = {"regexp": "/^X-Unused: / IGNORE", "cidr": "192.0.2.0/24 permit"}.get(kind, f"unused.example {answer}")
    pathlib.Path(path).write_text(f"{line}\n")
    if kind in ("hash", "btree"):
        sh("postmap", f"{kind}:{path}")


def _make_certificate(path, kind, folder, with_key):
    """Key and certificate of a kind are the same in all files of a configuration, so that any two belong together."""
    if os.path.exists(path):
        return
    options = {"ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["RSA"]}[kind]
    source = pathlib.Path(folder, f"{kind}.pem")
    if not source.exists():
        key = openssl("genpkey", "-algorithm", *options)
        source.write_text(key + self_signed(folder, key, "stranger.example.org"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = source.read_text()
    certificate = text.partition("-----END PRIVATE KEY-----\n")[2]
    pathlib.Path(path).write_text(text if with_key else certificate)


@contextlib.contextmanager
def login_server():
    """Who answers where Dovecot would: smtpd(8) ends where nobody says which mechanisms there are (SASL_README)."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(LOGIN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(LOGIN)
        os.chmod(LOGIN, 0o666)
        server.listen(50)
        threading.Thread(target=_greet_all, args=[server], daemon=True).start()
        yield
        os.unlink(LOGIN)


def _greet_all(server):
    kept = []
    with contextlib.suppress(OSError):
        while True:
            client, _nobody = server.accept()
            client.sendall(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
            kept = [*kept[-100:], client]
