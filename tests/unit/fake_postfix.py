# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix that is only its files: what postconf, postmap and postfix do to them, and nothing that runs."""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64encode

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import Proofs, carry_out
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author

DEFAULTS = {
    "mail_version": "3.10.13",
    "default_database_type": "hash",
    "myhostname": "mx1.example.com",
    "inet_interfaces": "all",
    "inet_protocols": "all",
    "smtpd_tls_security_level": "",
    "smtpd_tls_ask_ccert": "no",
    "smtpd_tls_req_ccert": "no",
    "smtpd_tls_protocols": ">=TLSv1",
    "smtpd_tls_mandatory_protocols": ">=TLSv1",
    "smtpd_tls_ciphers": "medium",
    "smtpd_tls_mandatory_ciphers": "medium",
    "smtpd_tls_exclude_ciphers": "",
    "smtpd_tls_CAfile": "",
    "smtp_tls_security_level": "",
    "smtp_tls_protocols": ">=TLSv1",
    "smtp_tls_mandatory_protocols": ">=TLSv1",
    "smtp_tls_ciphers": "medium",
    "smtp_tls_mandatory_ciphers": "medium",
    "smtp_tls_exclude_ciphers": "",
    "smtp_tls_CAfile": "",
    "smtp_tls_CApath": "/etc/ssl/certs",
    "smtp_tls_connection_reuse": "no",
    "lmtp_tls_mandatory_protocols": ">=TLSv1",
    "lmtp_tls_mandatory_ciphers": "medium",
    "lmtp_tls_secure_cert_match": "nexthop",
    "smtp_tls_secure_cert_match": "nexthop, dot-nexthop",
    "smtp_host_lookup": "dns",
    "smtp_dns_support_level": "",
    "smtp_tls_dane_insecure_mx_policy": "dane",
    "mydestination": "$myhostname, localhost",
    "local_transport": "local:$myhostname",
    "virtual_transport": "virtual",
    "relay_transport": "relay",
    "default_transport": "smtp",
    "parent_domain_matches_subdomains": "debug_peer_list, mynetworks, relay_domains, smtpd_access_maps",
    "relayhost": "",
}
OLD_PROTOCOLS = "!SSLv2, !SSLv3"
DEFAULTS_3_5 = {
    "mail_version": "3.5.25",
    **{
        f"{side}_tls_{list_}": OLD_PROTOCOLS
        for side in ("smtpd", "smtp")
        for list_ in ("protocols", "mandatory_protocols")
    },
}
SERVICES = (
    "smtp inet n - y - - smtpd\nsmtp unix - - y - - smtp\nrelay unix - - y - - smtp\nlmtp unix - - y - - lmtp\n"
    "tlsmgr unix - - y 1000? 1 tlsmgr\n"
)
_NAME = re.compile(r"\$(?:(\w+)|\{(\w+)\}|\((\w+)\))")
_OVERRIDE = re.compile(r"\s-o (?:\{\s*(?P<long>\w+)\s*=\s*(?P<text>[^}]*?)\s*\}|(?P<name>\w+)=(?P<value>\S*))")


class FakePostfix:
    """Answers from main.cf and master.cf on disk, edits them as postconf does, and remembers every command."""

    def __init__(self, root):
        self.config_dir = str(root / "postfix")
        self.queue_dir = str(root / "spool")
        self.commands = []
        self.tables = {}
        self.check_answer = self.start_answer = self.systemctl_answer = Completed(0, "", "")
        self.running = True
        self.sources = {}
        """By name of a table that others keep: its rows, or what its client complains of."""
        self.unused = []
        """Parameters that this Postfix does not know."""
        for folder in ("postfix", "spool", "data", "daemons"):
            (root / folder).mkdir()
        folders = {"queue_directory": self.queue_dir, "data_directory": str(root / "data")}
        self.defaults = {**DEFAULTS, **folders, "daemon_directory": str(root / "daemons")}
        self.write("compatibility_level = 3.9\n")
        self.services = SERVICES

    def path(self, *names):
        return os.path.join(self.config_dir, *names)

    def store(self, *names):
        return self.path("smtp_hardening", *names)

    def write(self, text):
        write(self.path("main.cf"), text)

    def append(self, text):
        write(self.path("main.cf"), read(self.path("main.cf")) + text)

    @property
    def services(self):
        return read(self.path("master.cf"))

    @services.setter
    def services(self, text):
        write(self.path("master.cf"), text)

    def override(self, *overrides):
        """Put ``-o`` overrides into master.cf, each ``service/type/name=value``."""
        self.postfix.edit({}, overrides=dict(text.split("=", 1) for text in overrides))

    @property
    def postfix(self):
        return Postfix(self.run, self.config_dir)

    @property
    def state(self):
        return read_state(self.postfix)

    def asked(self, command):
        """The last words of every call of one command."""
        return [argv[-1] for argv in self.commands if argv[0] == command]

    def run(self, argv, stdin=None, seconds=None):
        self.commands.append(argv)
        if argv[0] == "postconf":
            return self._postconf(argv[2], argv[3], argv[4:])
        if argv[0] == "postmap":
            return self._postmap(argv, stdin)
        if argv[0] == "openssl":
            return openssl(argv, stdin)
        return self._others(argv)

    def _others(self, argv):
        if argv[0] == "systemctl":
            return self.systemctl_answer
        if argv[0].endswith("/master"):
            return Completed(0, "", "") if argv[-1] == "-t" else self.start_answer
        if argv[-1] == "status":
            return Completed(0 if self.running else 1, "", "")
        return self.check_answer if argv[-1] == "check" else Completed(0, "", "")

    def _postmap(self, argv, stdin):
        """Build a table, or with ``-q -`` ask one for keys, or with ``-s`` list one; with ``-q KEY`` ask what others keep."""
        if "-q" in argv and argv[-2] != "-":
            rows = self.sources.get(argv[-1], "connection refused")
            if isinstance(rows, str):
                return Completed(1, "", f"postmap: fatal: table {argv[-1]}: query error: {rows}\n")
            return Completed(0, f"{rows[argv[-2]]}\n", "") if argv[-2] in rows else Completed(1, "", "")
        kind, _colon, path = argv[-1].partition(":")
        if "-q" in argv:
            asked = [(key, answer(self.tables, kind, path, key)) for key in stdin.splitlines()]
            return Completed(0, "".join(f"{key}\t{value}\n" for key, value in asked if value is not None), "")
        if "-s" in argv:
            if path not in self.tables:
                return Completed(1, "", f"postmap: fatal: open database {path}: No such file or directory")
            return Completed(0, "".join(f"{key}\t{value}\n" for key, value in self.tables[path].items()), "")
        rows = dict(line.split("\t") for line in read(path).splitlines() if not line.startswith("#"))
        self.tables[path] = {key: _embedded(value) for key, value in rows.items()} if "-F" in argv else rows
        write(path + ".db", "indexed")
        return Completed(0, "", "")

    def _postconf(self, config_dir, option, words):
        main_cf, master_cf = os.path.join(config_dir, "main.cf"), os.path.join(config_dir, "master.cf")
        explicit = dict(map(str.strip, line.split("=", 1)) for line in read(main_cf).splitlines() if "=" in line)
        if option == "-n":
            complaints = [f"{main_cf}: unused parameter: {n}={v}" for n, v in explicit.items() if n in self.unused]
            shown = {"config_directory": config_dir, **explicit}
            return Completed(0, _text(shown), "".join(f"postconf: warning: {line}\n" for line in complaints))
        if option == "-hx":
            return Completed(0, f"{self.defaults[words[0]]}\n", "")
        known = {**self.defaults, **explicit, "config_directory": config_dir}
        known.update(word.split("=", 1) for word in words[1::2] if option == "-x")
        explicit.update(word.split("=", 1) for word in words[1::2] if option == "-x")
        if option in ("-x", "-dx", "-d"):
            shown = {**self.defaults, **(explicit if option == "-x" else {})}
            text = _text({n: value if option == "-d" else _expanded(value, known) for n, value in shown.items()})
            return Completed(0, text, "")
        if option in ("-e", "-X"):
            explicit.update(word.split("=", 1) for word in words if option == "-e")
            write(
                main_cf, _text({name: value for name, value in explicit.items() if option == "-e" or name not in words})
            )
            return Completed(0, "", "")
        entries = _entries(read(master_cf))
        if option in ("-M", "-P", "-Px"):
            found = {
                f"{key}/{name}": _expanded(value, known) if option == "-Px" else value
                for key, entry in entries.items()
                for name, value in _overrides(entry).items()
            }
            return Completed(0, "".join(entries.values()) if option == "-M" else _text(found), "")
        for word in words:
            _edit(entries, option, *word.partition("=")[::2])
        write(master_cf, "".join(entries.values()))
        return Completed(0, "", "")


def answer(tables, kind, path, key):
    """What a table of any kind says of a key (DATABASE_README); tables in files are those that were built."""
    if kind == "static":
        return path.strip("{} ")
    if kind == "inline":
        return _in_place(path).get(key.lower())
    if kind in ("pcre", "regexp"):
        return next((value for pattern, value in _patterns(path) if re.search(pattern, key, re.I)), None)
    if kind == "texthash" and path not in tables and os.path.exists(path):
        return dict(line.split(None, 1) for line in read(path).splitlines()).get(key.lower())
    return tables.get(path, {}).get(key.lower())


def _in_place(text):
    """``{ a = b, { c = d e } }`` as a table."""
    inner = text.strip()[1:-1]
    rows = (whole or word for whole, word in re.findall(r"\{((?:[^{}]|\{[^}]*\})*)\}|([^\s,{}]+)", inner))
    return {key.strip().lower(): value.strip() for key, _equals, value in (row.partition("=") for row in rows)}


def _patterns(path):
    """``/pattern/ value`` on each line of a file, or in braces each."""
    lines = re.findall(r"\{([^{}]*)\}", path.strip()[1:-1]) if path.startswith("{") else read(path).splitlines()
    return [re.match(r"/(.*)/i? +(.*)", line).groups() for line in lines]


def openssl(argv, stdin=None):
    """This machine's own, as a node has it."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    return Completed(done.returncode, done.stdout, done.stderr)


def _edit(entries, option, name, value):
    if option == "-Me":
        entries[name] = value + "\n"
        return
    if option == "-MX":
        del entries[name]
        return
    key, _slash, parameter = name.rpartition("/")
    overrides = {**_overrides(entries[key]), parameter: value}
    if option == "-PX":
        del overrides[parameter]
    words = "".join(f" -o {{ {n} = {v} }}" if " " in v else f" -o {n}={v}" for n, v in overrides.items())
    entries[key] = _OVERRIDE.sub("", entries[key].rstrip()) + words + "\n"


def _entries(text):
    """master.cf as ``postconf -M`` lists it: an entry a line, by ``service/type``."""
    lines = re.sub(r"\n[ \t]+", " ", text).splitlines()
    return {"/".join(line.split()[:2]): line + "\n" for line in lines if line.strip() and not line.startswith("#")}


def _overrides(entry):
    return {
        found["long"] or found["name"]: found["text"] or found["value"] or "" for found in _OVERRIDE.finditer(entry)
    }


def _embedded(path):
    """A file as an index holds it that was built with ``postmap -F``."""
    return b64encode(read(path).encode()).decode()


def _expanded(value, known):
    """With ``$name`` filled in, as ``postconf -x`` shows it."""
    for _depth in range(9):
        value = _NAME.sub(lambda found: known.get(found[1] or found[2] or found[3], ""), value)
    return value


def _text(values):
    return "".join(f"{name} = {value}\n" for name, value in values.items())


def read(path):
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def write(path, content):
    """Put text or bytes at ``path`` and return it as text; missing folders are made."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as handle:
        handle.write(content if isinstance(content, bytes) else content.encode())
    return str(path)


def picture(*folders):
    """Every file and folder with kind, contents, owner, mode and time of change."""
    seen = {}
    for top in folders:
        for path, below, names in os.walk(top):
            for full in [os.path.join(path, name) for name in [*below, *names]]:
                found = os.lstat(full)
                content = None
                if os.path.isfile(full):
                    with open(full, "rb") as handle:
                        content = handle.read()
                changed = None if os.path.isdir(full) else found.st_mtime_ns
                seen[full] = (found.st_mode, found.st_uid, found.st_gid, content, changed)
    return seen


def change(node, plan, live=lambda: None, twin=lambda twin, services: None, **over):
    """Carry a plan out with proofs that see nothing wrong, unless others are given."""
    postfix = over.get("postfix") or node.postfix
    author = over.get("author") or Author("smtp_settings", "Set it")
    already = over.get("already") or (lambda postfix, found, reloaded: frozenset())
    proofs = Proofs(over.get("master") or (lambda postfix, staged: None), twin, live, already=already)
    return carry_out(postfix, read_state(node.postfix), plan, author, proofs)


def pass_time(node, changes):
    """Let a node go through other states."""
    for number in range(changes):
        change(node, Plan(set={"mail_name": f"Postfix {number}"}))
