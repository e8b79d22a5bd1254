# SPDX-License-Identifier: GPL-3.0-or-later
"""How a Postfix relay is and what it did, as a text file for Prometheus; the exit status says whether it is well.

Counters begin at zero where the log ends at the first run, and go on from there: how far the log was read is kept in a
state file, so a log that is rotated between two runs, and compressed, is read to its end.

The digest of the policy is a SHA-256 of: what main.cf sets, but not who this host is (UNLIKE); the entries of master.cf;
the tables and trust files below smtp_hardening/ that they name. Numbers of files there, the configuration directory and
the host's own name are taken out of all of it. Certificates with their keys, and tables elsewhere, are not in it. Nodes
with equal digests have the same policy, whatever certificates they show.

This runs as root in folders of others (queue, log, Prometheus) and reads what strangers say. So nothing is opened but plain
files, by a link only where that leads to nothing of root's that it has not been led to by root; all that is read, asked or
waited for has an end; and a line of the log is taken from the side that Postfix wrote.
"""

from __future__ import annotations

import argparse
import bz2
import concurrent.futures
import contextlib
import datetime
import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import pwd
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import traceback
import zlib
from types import FrameType
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple, TypedDict, Union

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PREFIX = "smtp_hardening"
DEFAULT = "/etc/postfix"
"""The instance whose samples have no label that names it."""
FAMILIES = {
    "healthy": ("gauge", "Whether all checks pass: 1 or 0."),
    "check_healthy": ("gauge", "Whether one check passes."),
    "listener_up": ("gauge", "Whether an own listener greets as it should within 10 seconds."),
    "certificate_not_after_timestamp_seconds": ("gauge", "When the first certificate of a chain in use expires."),
    "certificate_days_left": ("gauge", "Days until then."),
    "server_policy_info": ("gauge", "How mail is received: main.cf, and services of master.cf that differ."),
    "client_policy_info": ("gauge", "How mail is sent, where no domain policy says otherwise."),
    "policy_info": ("gauge", "The digest of the applied policy, equal on nodes with the same policy."),
    "queue_messages": ("gauge", "Messages in each of Postfix's queues."),
    "oldest_deferred_message_age_seconds": (
        "gauge",
        "How long ago the oldest deferred message arrived; 0 without one.",
    ),
    "messages_received_total": ("counter", "Messages accepted by SMTP."),
    "sent_recipients_total": ("counter", "Deliveries by SMTP and LMTP, one for each recipient and attempt."),
    "local_recipients_total": ("counter", "Deliveries by other means, one for each recipient and attempt."),
    "expired_messages_total": ("counter", "Messages returned because they could not be delivered in time."),
    "refused_in_total": ("counter", "What clients were refused."),
    "would_refuse_in_total": ("counter", "What clients would have been refused: policies in testing."),
    "refused_out_recipients_total": ("counter", "Deliveries that TLS held back, one for each recipient and attempt."),
    "tls_handshake_failures_total": ("counter", "TLS handshakes that failed."),
    "log_readable": ("gauge", "Whether the log could be read; where not, counters stand still."),
    "run_duration_seconds": ("gauge", "How long making this file took."),
    "last_run_timestamp_seconds": ("gauge", "When this file was made."),
}
"""By name without prefix, in the order of the file: type and help (https://prometheus.io/docs/instrumenting/exposition_formats)."""

LABELS = {
    "messages_received_total": ("service", "tls"),
    "sent_recipients_total": ("service", "tls", "status"),
    "local_recipients_total": ("service", "status"),
    "expired_messages_total": (),
    "refused_in_total": ("service", "stage", "code", "cause"),
    "would_refuse_in_total": ("service", "stage", "code", "cause"),
    "refused_out_recipients_total": ("service", "status", "cause"),
    "tls_handshake_failures_total": ("service",),
}
"""Of what is counted in the log. Values are of a closed set or from master.cf: nothing that a peer says is one."""

DEADLINE = 90
"""Seconds for all of it; systemd ends it after 120."""
COMMAND = 20
"""Seconds for one command."""
SECONDS = 10
"""For a listener's greeting. postscreen keeps clients it does not know waiting for 6 (postscreen_greet_wait)."""
GREETING = 16384
"""Octets of it."""
LARGEST = 64 * 1024 * 1024
"""Octets of a file."""
CERTIFICATES = 500
"""Chains that are told: those that expire first."""
LABEL = 200
"""Characters of a label's value."""
DEPTH = 8
"""Folders in folders of a queue (postconf(5), hash_queue_depth, makes 1 to 3)."""
DAY = 86400
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
PROGRAMS = "smtpd smtp lmtp local virtual pipe discard error qmgr cleanup postscreen tlsproxy".split()
"""That log what is counted."""
STORE = "smtp_hardening"
UNLIKE = ("myhostname", "proxy_interfaces", "smtp_bind_address", "smtp_bind_address6")
PROTOCOLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
LOG_BYTES = 64 * 1024 * 1024
"""Of the log that one run reads at most; the next one goes on."""
SESSIONS = 10000
"""Processes of Postfix that are remembered from one run to the next."""
HEAD = 512
"""Octets at the beginning of a log by which it is known again under another name, or compressed."""
LINE_BYTES = 65536
"""Of a line. Postfix's are shorter."""
ROTATED = 30
"""Files into which a log was rotated since the last run."""
LINKS = 40
"""That one path leads through (path_resolution(7))."""


class Late(Exception):
    """The deadline for all of it has passed."""


# How it is told


class Metrics:
    """Samples by family and labels."""

    def __init__(self, **labels: str) -> None:
        """Every sample has these labels."""
        self.labels = labels
        self.samples: Dict[str, Dict[Tuple[Tuple[str, str], ...], float]] = {name: {} for name in FAMILIES}

    def add(self, name: str, value: float, **labels: str) -> None:
        self.samples[name][tuple({**labels, **self.labels}.items())] = value

    def render(self) -> str:
        lines = []
        for name, (kind, text) in FAMILIES.items():
            if self.samples[name]:
                lines += [f"# HELP {PREFIX}_{name} {text}", f"# TYPE {PREFIX}_{name} {kind}"]
                lines += [f"{PREFIX}_{name}{_braces(labels)} {_number(v)}" for labels, v in self.samples[name].items()]
        return "\n".join(lines) + "\n"


def _braces(labels: Iterable[Tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return shown(value[:LABEL]).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def shown(text: str) -> str:
    """Text in which nothing moves a cursor or is no text; new lines stay."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 3))


def complain(text: str) -> None:
    """A line for the journal."""
    print(shown(text).replace("\n", "\\n"), file=sys.stderr)


# Files in folders of others


def opened(path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of what lies at an absolute path, reached step by step. Whose link leads to it, owns it, or is root."""
    where, owners, links = os.open("/", os.O_PATH | os.O_DIRECTORY), set(), 0
    left = path.split("/")[::-1]
    try:
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            target = _link(part, where)
            if target is None:
                last = not any(left)
                step = flags | os.O_NONBLOCK | os.O_NOCTTY if last else os.O_PATH | os.O_DIRECTORY
                below = os.open(part, step | os.O_NOFOLLOW, dir_fd=where)
            else:
                links += 1
                if links > LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                owners.add(os.stat(part, dir_fd=where, follow_symlinks=False).st_uid)
                left += target.split("/")[::-1]
                below = os.open("/" if target.startswith("/") else ".", os.O_PATH | os.O_DIRECTORY, dir_fd=where)
            os.close(where)
            where = below
        if owners - {0, os.geteuid(), os.fstat(where).st_uid}:
            raise PermissionError(errno.EPERM, "a link of somebody else's leads there", path)
    except OSError as problem:
        os.close(where)
        problem.filename = path
        raise
    return where


def _link(name: str, folder: int) -> Optional[str]:
    """Where a symbolic link leads; None where it is something else."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as problem:
        if problem.errno == errno.EINVAL:
            return None
        raise


def open_file(path: str) -> io.BufferedReader:
    """A plain file, for reading."""
    return _plain_file(opened(path), path)


def _plain_file(descriptor: int, path: str) -> io.BufferedReader:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no plain file", path)
    return os.fdopen(descriptor, "rb")


def read_file(path: str) -> bytes:
    with open_file(path) as handle:
        content = handle.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return content


def write(path: str, text: str, mode: int) -> None:
    """Put a file in its place at once, so that nobody ever reads half of it."""
    folder, name = os.path.split(os.path.abspath(path))
    new = f".{name}.new"
    where = opened(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _remove(new, where)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(new, flags, 0o600, dir_fd=where), "wb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            os.fchmod(file.fileno(), mode)
        os.replace(new, name, src_dir_fd=where, dst_dir_fd=where)
    except BaseException:
        _remove(new, where)
        raise
    finally:
        os.close(where)


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


# Postfix as it is configured


class Service(NamedTuple):
    """One entry of master.cf."""

    name: str
    kind: str
    command: str
    overrides: Dict[str, str]

    @property
    def key(self) -> str:
        return f"{self.name}/{self.kind}"

    @property
    def is_server(self) -> bool:
        return self.command in ("smtpd", "postscreen")

    @property
    def is_client(self) -> bool:
        return self.command in ("smtp", "lmtp")


class Instance(NamedTuple):
    """One Postfix instance, as postconf(1) shows it."""

    config_dir: str
    effective: Dict[str, str]
    explicit: List[str]
    entries: List[str]
    services: List[Service]

    def of(self, service: Service) -> Dict[str, str]:
        """What holds for one service: -o overrides win over main.cf (master(5))."""
        return {**self.effective, **service.overrides}

    def label(self, tag: str) -> str:
        """``postfix/submission/smtpd`` as ``submission/smtpd``: who speaks, without the instance's own name."""
        own = self.effective["syslog_name"] + "/"
        return tag[len(own) :] if tag.startswith(own) else tag

    def label_of(self, service: Service) -> str:
        return self.label(f"{self.of(service)['syslog_name']}/{service.command}")

    def tags(self) -> List[str]:
        """Under which its programs log. Whoever can write to a log can make up others, without end."""
        names = {self.of(service)["syslog_name"] for service in self.services}
        programs = {*PROGRAMS, *(service.command for service in self.services)}
        return sorted(f"{name}/{program}" for name in names for program in programs)


def read_instance(config_dir: str) -> Instance:
    def postconf(option: str) -> List[str]:
        argv = ["postconf", "-c", config_dir, option]
        done = subprocess.run(  # noqa: S603 -- no shell; the directory is the unit's own argument
            argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND
        )
        return os.fsdecode(done.stdout).split("\n")[:-1]

    entries = postconf("-M")
    services = read_services(entries, postconf("-Px"))
    effective = dict(map(_assignment, postconf("-x")))
    disabled = {name.replace(".inet", "/inet") for name in words(effective.get("master_service_disable", ""))}
    enabled = [s for s in services if not disabled & {s.kind, s.key}]  # postconf(5), master_service_disable
    return Instance(config_dir, effective, postconf("-n"), entries, enabled)


def read_services(entries: Iterable[str], overrides: Iterable[str]) -> List[Service]:
    rows = [row for row in (line.split(None, 7) for line in entries) if len(row) == 8]
    by_service: Dict[str, Dict[str, str]] = {}
    for name, value in map(_assignment, overrides):
        service, _slash, parameter = name.rpartition("/")
        by_service.setdefault(service, {})[parameter] = value
    return [Service(r[0], r[1], r[7].split()[0], by_service.get(f"{r[0]}/{r[1]}", {})) for r in rows]


def _assignment(line: str) -> Tuple[str, str]:
    name, _equals, value = line.partition("=")
    return name.strip(), value.strip()


def words(text: str) -> List[str]:
    return text.replace(",", " ").split()


# What protects it


class Policy(NamedTuple):
    level: str
    minimum_protocol: str
    client_certificates: str = ""


def server_policy(found: Mapping[str, str]) -> Policy:
    """As postconf(5) has it: an empty level leaves it to the parameters of Postfix 2.2; wrapper mode is mandatory TLS."""
    level = found["smtpd_tls_security_level"] or _older(found, "smtpd", "encrypt")
    if found["smtpd_tls_wrappermode"] == "yes":
        level = "encrypt"
    if level == "none":
        return Policy("none", "", "ignore")
    mandatory = level != "may"
    if mandatory and found["smtpd_tls_req_ccert"] == "yes":
        certificates = "require"
    else:
        asks = "yes" in (found["smtpd_tls_ask_ccert"], found["smtpd_tls_req_ccert"])
        certificates = "request" if asks else "ignore"
    return Policy(level, _floor(found, "smtpd", mandatory), certificates)


def client_policy(found: Mapping[str, str], side: str = "smtp") -> Policy:
    enforced = "verify" if found.get(f"{side}_tls_enforce_peername") == "yes" else "encrypt"
    level = found[f"{side}_tls_security_level"] or _older(found, side, enforced)
    return Policy(level, "" if level == "none" else _floor(found, side, level != "may"))


def _older(found: Mapping[str, str], side: str, enforced: str) -> str:
    if found.get(f"{side}_enforce_tls") == "yes":
        return enforced
    return "may" if found.get(f"{side}_use_tls") == "yes" else "none"


def _floor(found: Mapping[str, str], side: str, mandatory: bool) -> str:
    """The lowest version that is spoken; ``other`` where the list is no plain floor."""
    listed = re.split(r"[\s,:]+", found[f"{side}_tls{'_mandatory' if mandatory else ''}_protocols"].lower())
    floors = [word[2:] for word in listed if word.startswith(">=")]
    if not floors and any(word and not word.startswith(("!", "<=")) for word in listed):
        return "other"
    spoken = (p for p in PROTOCOLS if (p.lower() in floors[-1:] if floors else f"!{p.lower()}" not in listed))
    return next(spoken, "other")


def tell_policies(instance: Instance, metrics: Metrics) -> None:
    """main.cf's, and those of services whose -o overrides speak of TLS."""
    differing = [service for service in instance.services if any("_tls" in name for name in service.overrides)]
    for service in [None, *differing]:
        name, found = (service.key, instance.of(service)) if service else ("main.cf", instance.effective)
        if not service or service.is_server:
            metrics.add("server_policy_info", 1, service=name, **server_policy(found)._asdict())
        if not service or service.command == "smtp":
            level, floor, _certificates = client_policy(found)
            metrics.add("client_policy_info", 1, service=name, level=level, minimum_protocol=floor)


def policy_digest(instance: Instance) -> str:
    """See above."""
    items = [_plain(instance, f"main.cf {line}") for line in instance.explicit if _assignment(line)[0] not in UNLIKE]
    items += [_plain(instance, f"master.cf {' '.join(line.split())}") for line in instance.entries]
    for path in named_files(instance):
        content = _plain(instance, read_file(path).decode("utf-8", "replace"))
        items.append(f"{_plain(instance, path)} {hashlib.sha256(content.encode()).hexdigest()}")
    return hashlib.sha256(os.fsencode("\n".join(sorted(items)))).hexdigest()


def named_files(instance: Instance) -> List[str]:
    """The sources of tables, and the trust files, that main.cf and master.cf name."""
    store = os.path.join(instance.config_dir, STORE)
    told = "\n".join(instance.explicit + instance.entries)
    found = set(re.findall(rf"{re.escape(store)}/(?:domains|sni|pins|trust|trust_with_system)/\d+(?:\.pem)?", told))
    inside = [os.path.join(path, name) for path in found if os.path.isdir(path) for name in os.listdir(path)]
    kept = [path for path in [*found, *inside] if os.path.isfile(path)]
    return sorted(path for path in kept if not path.endswith((".db", ".lmdb", ".cdb", ".dbm", ".dir", ".pag")))


def _plain(instance: Instance, text: str) -> str:
    """Text without what may differ between two nodes with the same policy."""
    text = text.replace(instance.config_dir, "$config_directory")
    text = re.sub(rf"(\$config_directory/{STORE}/[\w/.-]*?)/\d+(?=[/.\s,]|\Z)", r"\1/*", text)
    return re.sub(rf"(?<![\w.-]){re.escape(instance.effective['myhostname'])}(?![\w-]|\.\w)", "$myhostname", text)


# Whether it is well


def master_runs(instance: Instance) -> bool:
    """Whether the process that master.pid names is there. Testing the lock would keep a master from starting."""
    try:
        with open_file(os.path.join(instance.effective["queue_directory"], "pid", "master.pid")) as kept:
            pid = int(kept.read(64).split()[0])
        with open(f"/proc/{pid}/comm", encoding="ascii") as handle:
            return handle.read().strip() == "master"
    except (OSError, ValueError, IndexError):
        return False


def check_listeners(instance: Instance, runs: bool) -> Dict[str, bool]:
    """Each own listener, and whether it greets."""
    listeners = [service for service in instance.services if service.is_server and service.kind == "inet"]
    if not runs:
        return {service.key: False for service in listeners}
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        return dict(zip([s.key for s in listeners], pool.map(lambda s: greets(s, instance), listeners)))


def greets(service: Service, instance: Instance) -> bool:
    """Whether a listener says 220, or 421 where that is right, while there is time."""
    found = instance.of(service)
    named = service.name.rpartition(":")[2]
    expected = b"421" if turns_us_away(service, instance) else b"220"
    end = time.monotonic() + SECONDS
    try:
        port = int(named) if named.isdigit() else socket.getservbyname(named, "tcp")
        with socket.create_connection((listener_host(service, found), port), SECONDS) as sock:
            if found.get(f"{service.command}_upstream_proxy_protocol") == "haproxy":
                sock.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 25 25\r\n")
            wrapped = found["smtpd_tls_wrappermode"] == "yes"
            sock.settimeout(_left(end))
            with any_tls().wrap_socket(sock) if wrapped else contextlib.nullcontext(sock) as spoken:
                return says(spoken, end) == expected
    except (OSError, ValueError):
        return False


def _left(end: float) -> float:
    """Seconds until then; TimeoutError where there are none."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def turns_us_away(service: Service, instance: Instance) -> bool:
    """In wrapper mode, a server that requires certificates does not greet who has none (smtpd(8))."""
    found = instance.of(service)
    required = found["smtpd_tls_wrappermode"] == "yes" and server_policy(found).client_certificates == "require"
    return service.command == "smtpd" and service.kind == "inet" and required


def says(sock: socket.socket, end: float) -> bytes:
    """The code of the greeting. Leaving without QUIT would be logged as a lost connection."""
    heard = hear(sock, b"", end)
    while heard[3:4] == b"-":  # postscreen's teaser: who answers now speaks too early
        heard = hear(sock, heard.partition(b"\n")[2], end)
    if heard:
        with contextlib.suppress(OSError):
            sock.sendall(b"QUIT\r\n")
            hear(sock, b"", end)
    return heard[:3]


def hear(sock: socket.socket, heard: bytes, end: float) -> bytes:
    """What is said until a line ends, or the connection, after what was heard before."""
    while b"\n" not in heard:
        if len(heard) > GREETING:
            raise ValueError("no line of SMTP")
        sock.settimeout(_left(end))
        said = sock.recv(2048)
        if not said:
            break
        heard += said
    return heard


def any_tls() -> ssl.SSLContext:
    """TLS with whomever: what a certificate is worth is seen in the files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def listener_host(service: Service, found: Mapping[str, str]) -> str:
    """Where a listener listens: at its own address, else at loopback if Postfix does, else at the first it has."""
    host = service.name.rpartition(":")[0].strip("[]")
    interfaces = words(found["inet_interfaces"])
    loopback = "::1" if found["inet_protocols"] == "ipv6" else "127.0.0.1"
    if {"all", "loopback-only", "localhost", loopback} & set(interfaces):
        return host or loopback
    return host or interfaces[0].strip("[]")


# Certificates


class Certificate(NamedTuple):
    """A chain in use."""

    use: str
    name: str
    key_type: str
    subject: str
    not_after: float


def certificates(instance: Instance) -> List[Certificate]:
    """Every chain that is shown, and the store's CAs that peers are verified with; OSError or ValueError where one
    cannot be read."""
    return sorted({c for use, path in certificate_files(instance) for c in read_chains(instance, use, path)})


def certificate_files(instance: Instance) -> List[Tuple[str, str]]:
    found: Set[Tuple[str, str]] = set()
    for service in [None, *instance.services]:
        effective = instance.of(service) if service else instance.effective
        if (not service or service.is_server) and server_policy(effective).level != "none":
            found |= {("server", path) for path in shown_files(effective, "smtpd")} | trust_files(effective, "smtpd")
            found |= {("server", path) for path in served_by_name(instance, effective)}
        if (not service or service.command == "smtp") and client_policy(effective).level != "none":
            found |= {("client", path) for path in shown_files(effective, "smtp")} | trust_files(effective, "smtp")
    return sorted(found)


def shown_files(found: Mapping[str, str], side: str) -> List[str]:
    """The chain files; where none is named, the certificate files that were before them (postconf(5))."""
    chains = words(found.get(f"{side}_tls_chain_files", ""))
    older = [found.get(f"{side}_tls_{name}", "") for name in ("cert_file", "eccert_file", "dcert_file")]
    return [path for path in chains or older if path not in ("", "none")]


def served_by_name(instance: Instance, found: Mapping[str, str]) -> Iterator[str]:
    """The chain files of our tables for host names."""
    pattern = rf"{re.escape(os.path.join(instance.config_dir, STORE))}/sni/\d+/table"
    for table in re.findall(pattern, found.get("tls_server_sni_maps", "")):
        for row in (line.split() for line in os.fsdecode(read_file(table)).split("\n") if not line.startswith("#")):
            yield from (path.strip(",") for path in row[1:])


def trust_files(found: Mapping[str, str], side: str) -> Set[Tuple[str, str]]:
    path = found[f"{side}_tls_CAfile"]
    return {("trust", path)} if re.search(rf"/{STORE}/trust/\d+\.pem\Z", path) else set()


def read_chains(instance: Instance, use: str, path: str) -> Iterator[Certificate]:
    """A chain begins after each key; without keys there is one, or a set of CAs. Keys are not looked at."""
    parts = re.split(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----", read_file(path))
    pattern = rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----"
    chains = [[x509.load_pem_x509_certificate(pem) for pem in re.findall(pattern, part, re.DOTALL)] for part in parts]
    if use == "trust":
        chains = [[certificate] for chain in chains for certificate in chain]
    if not any(chains):
        raise ValueError(f"{path} holds none")
    for chain in filter(None, chains):
        kind, subject = key_type(chain[0]), subject_of(chain[0])
        yield Certificate(use, name_of(instance, path), kind, subject, min(map(not_after, chain)))


def name_of(instance: Instance, path: str) -> str:
    """The name in the store, or the path of a file elsewhere."""
    store = re.escape(os.path.join(instance.config_dir, STORE))
    return re.sub(rf"{store}/(?:certificates/)?([\w-]+)/\d+\.pem\Z", r"\1", path)


def key_type(certificate: x509.Certificate) -> str:
    """As cryptography knows it; one that it does not know is as good for Postfix."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "other"
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa"
    return "ecdsa" if isinstance(key, ec.EllipticCurvePublicKey) else "other"


def subject_of(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def not_after(certificate: x509.Certificate) -> float:
    """python3-cryptography before 42 gives UTC without saying so."""
    moment: datetime.datetime = getattr(certificate, "not_valid_after_utc", None) or certificate.not_valid_after
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def tell_certificates(chains: List[Certificate], now: float, metrics: Metrics) -> None:
    first = sorted(chains, key=lambda chain: chain.not_after)[:CERTIFICATES]
    for chain in reversed(first):  # of two with the same labels, the one that expires first is told
        labels = {"use": chain.use, "certificate": chain.name, "key_type": chain.key_type, "subject": chain.subject}
        metrics.add("certificate_not_after_timestamp_seconds", chain.not_after, **labels)
        metrics.add("certificate_days_left", (chain.not_after - now) / DAY, **labels)


# The queue


def tell_queue(instance: Instance, now: float, metrics: Metrics) -> None:
    top, oldest = instance.effective["queue_directory"], now
    for queue in QUEUES:
        count = 0
        for folder, name in queue_files(os.path.join(top, queue)):
            count += 1
            if queue == "deferred":
                oldest = min(oldest, arrival(folder, name) or now)
        metrics.add("queue_messages", count, queue=queue)
    metrics.add("oldest_deferred_message_age_seconds", now - oldest)


def queue_files(path: str) -> Iterator[Tuple[int, str]]:
    """The files of a queue, each by its folder and name. Some queues have folders below them (postconf(5), hash_queue_names)."""
    with contextlib.suppress(FileNotFoundError):
        yield from files_below(opened(path, os.O_RDONLY | os.O_DIRECTORY), DEPTH)


def files_below(folder: int, depth: int) -> Iterator[Tuple[int, str]]:
    """They are Postfix's own to swap while we look: no link is followed. The folder is closed afterwards."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield folder, entry.name
                elif depth and entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                        yield from files_below(os.open(entry.name, flags, dir_fd=folder), depth - 1)
    finally:
        os.close(folder)


def arrival(folder: int, name: str) -> Optional[int]:
    """The time record of a queue file, its first or after that of sizes. The file's own time is that of the next attempt.
    None where the file is gone, or none of Postfix's."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with _plain_file(descriptor, name) as handle:
            found = re.match(rb"(?:C.[\d ]+)?T.(\d{9,11}) ", handle.read(256), re.DOTALL)
    except OSError:
        return None
    return int(found[1]) if found else None


# The log: what it says


ADDRESS = r'<(?:"(?:[^"\\]|\\.)*"|[^"<>])*>'
"""As Postfix writes one: what is special in a local part is quoted (postconf(5), info_log_addr_form)."""
CONNECTED = re.compile(r"connect from ")
DISCONNECTED = re.compile(r"disconnect from \S+ (?P<commands>.*)")
TLS_IN = re.compile(r"\w+ TLS connection established from ")
TLS_OUT = re.compile(r"\w+ TLS connection (?:established|reused) to (?P<relay>\S+): ")
TLS_FAILED = re.compile(r"SSL_(?:accept|connect) error ")
ABORTED = re.compile(r"NOQUEUE: abort: TLS from [^\s\[]*\[(?P<address>[^\]]+)\]: ")
REFUSED = re.compile(r"\w+: (?:milter-)?(?P<verdict>reject|reject_warning): (?P<stage>[\w-]+) (?P<text>.*)")
CODE = re.compile(r"from \S+: (?P<code>[45])(?:\d\d|\.\d+\.\d+) (?P<text>.*)")
CONTENT_CODE = re.compile(r".*: (?P<code>[45])\.\d+\.\d+ ")
"""Of a line that begins with what a message says: Postfix's own word is the last (cleanup_message.c)."""
DELIVERED = re.compile(
    rf"(?P<queue_id>\w+): to={ADDRESS}, (?:orig_to={ADDRESS}, )?relay=(?P<relay>[^\s,]+), ?"
    r"(?:\w+=[^\s,]+, ?)*dsn=[\d.]+, status=(?P<status>sent|deferred|bounced) \((?P<reason>.*)"
)
EXPIRED = re.compile(rf"\w+: from={ADDRESS}, status=(?:force-)?expired, ")
STAGES = "CONNECT HELO EHLO STARTTLS MAIL RCPT DATA BDAT END-OF-MESSAGE VRFY ETRN header body".split()
ABOUT_TLS = re.compile(r"(?i)[^<>:;]*?(?:encryption|starttls|certificate|\btls\b)")
"""Of a refusal's text, as far as it is Postfix's or the operator's: an address, or what another server said, comes later."""
SUSPENDED = "delivery temporarily suspended: "
"""What the queue manager puts before the reason of an earlier delivery (qmgr(8))."""
HELD_BACK = {
    "not_offered": re.compile(r"TLS is required, but was not offered"),
    "handshake": re.compile(
        r"Cannot start TLS|TLS is required, but host|"
        r"(?:lost connection with|conversation with|protocol error in reply from) \S+ (?:timed out )?"
        r"while receiving the STARTTLS response"
    ),
    "certificate": re.compile(r"Server certificate not (?:verified|trusted)"),
    "dane": re.compile(r"TLSA |no TLSA records|non DNSSEC destination|empty DANE match list"),
    "configuration": re.compile(r"client TLS configuration problem|TLS is required, but (?:our TLS|unavailable)"),
    "peer": re.compile(
        r"(?i)host \S+ (?:said|refused to talk to me): [45]\d\d .*?(?:encryption|starttls|certificate|\btls\b)"
    ),
}
"""Why TLS held a delivery back, by what smtp(8) says; C(peer): the server refuses, it says for lack of TLS or of a certificate."""


class Session(TypedDict, total=False):
    """What a process is in the middle of: as a server C(tls), as a client the other two."""

    tls: bool
    relay: str
    queue_id: Optional[str]


Totals = Dict[str, Dict[str, int]]
"""By the counter's name and, in JSON, the values of its labels."""


class Traffic:
    """Totals of what the log tells, line by line, and what each process is in the middle of."""

    def __init__(self, instance: Instance, totals: Totals, sessions: Dict[str, Session]) -> None:
        self.totals, self.sessions = totals, sessions
        self.instance = instance
        self.tags = set(instance.tags())
        self.wrapped = self.labels(lambda s: s.is_server and instance.of(s)["smtpd_tls_wrappermode"] == "yes")
        self.demanding = self.labels(lambda s: s.is_server and server_policy(instance.of(s)).level == "encrypt")
        self.silent = self.labels(lambda s: s.is_client and is_silent(instance.of(s), s.command))
        self.own_checks = {
            (instance.label_of(s), listener_host(s, instance.of(s)))
            for s in instance.services
            if turns_us_away(s, instance)
        }
        """Where each run of this program is turned away for lack of a certificate, and the address it comes from."""
        self.begin()

    def labels(self, holds: Callable[[Service], bool]) -> Set[str]:
        """The names of which a condition holds for every service that logs under them."""
        found: Dict[str, List[bool]] = {}
        for service in self.instance.services:
            found.setdefault(self.instance.label_of(service), []).append(holds(service))
        return {label for label, answers in found.items() if all(answers)}

    def begin(self) -> None:
        """Counters that exist before they first rise show their first rise."""
        for service in self.instance.services:
            label = self.instance.label_of(service)
            if service.command == "smtpd":
                for tls in ("yes", "no"):
                    self.count("messages_received_total", label, tls, by=0)
            if service.is_client:
                for status in ("sent", "deferred", "bounced"):
                    for tls in ("yes", "no"):
                        self.count("sent_recipients_total", label, tls, status, by=0)
                for cause in HELD_BACK:
                    self.count("refused_out_recipients_total", label, "deferred", cause, by=0)
            if service.is_client or service.command == "smtpd":
                self.count("tls_handshake_failures_total", label, by=0)
        self.count("expired_messages_total", by=0)

    def count(self, name: str, *values: str, by: int = 1) -> None:
        key = json.dumps(values)
        self.totals.setdefault(name, {}).setdefault(key, 0)
        self.totals[name][key] += by

    def see(self, tag: str, pid: str, text: str) -> None:
        """Count one line."""
        if tag not in self.tags:
            return
        label, program, process = self.instance.label(tag), tag.rpartition("/")[2], f"{tag}[{pid}]"
        if TLS_FAILED.match(text):
            self.count("tls_handshake_failures_total", label)
        elif program == "smtpd":
            self.see_server(label, process, text)
        elif program in ("smtp", "lmtp"):
            self.see_client(label, process, text)
        elif program == "qmgr":
            if EXPIRED.match(text):
                self.count("expired_messages_total")
        elif program in ("postscreen", "cleanup"):
            self.see_refusal(label, text)
        else:
            self.see_delivery(label, text)

    def see_server(self, label: str, process: str, text: str) -> None:
        aborted, ended = ABORTED.match(text), DISCONNECTED.match(text)
        if CONNECTED.match(text):
            self.remember(process, {"tls": False})
        elif TLS_IN.match(text):
            self.remember(process, {"tls": True})
        elif aborted:
            if (label, aborted["address"]) not in self.own_checks:
                self.count("refused_in_total", label, "STARTTLS", "4xx", "tls")
        elif ended:
            session = self.sessions.pop(process, {"tls": False})
            self.see_end(label, session["tls"], read_commands(ended["commands"]))
        else:
            self.see_refusal(label, text)

    def see_end(self, label: str, tls: bool, commands: Mapping[str, Tuple[int, int]]) -> None:
        """smtpd(8) sums a session up at its end. A MAIL command that is refused for lack of TLS is logged nowhere else."""
        good, all_mail = commands.get("mail", (0, 0))
        tls = tls or label in self.wrapped or commands.get("starttls", (0, 0))[0] > 0
        data, chunks = commands.get("data", (0, 0))[0], commands.get("bdat", (0, 0))[0]
        messages = data + min(chunks, max(0, good - data))  # a message takes one BDAT or more
        self.count("messages_received_total", label, "yes" if tls else "no", by=messages)
        if not tls and label in self.demanding and all_mail > good:
            self.count("refused_in_total", label, "MAIL", "5xx", "tls", by=all_mail - good)

    def see_refusal(self, label: str, text: str) -> None:
        found = REFUSED.match(text)
        if not found:
            return
        stage = found["stage"] if found["stage"] in STAGES else "other"
        code = (CONTENT_CODE if stage in ("header", "body") else CODE).match(found["text"])
        said = code.groupdict().get("text", "") if code else ""
        cause = "tls" if ABOUT_TLS.match(said) else "other"
        name = "refused_in_total" if found["verdict"] == "reject" else "would_refuse_in_total"
        self.count(name, label, stage.upper(), f"{code['code']}xx" if code else "other", cause)

    def see_client(self, label: str, process: str, text: str) -> None:
        """The line about TLS comes before those about the recipients of one message, and names no message."""
        encrypted, delivered = TLS_OUT.match(text), DELIVERED.match(text)
        if encrypted:
            self.remember(process, {"relay": encrypted["relay"], "queue_id": None})
        elif delivered:
            session = self.sessions.get(process, {})
            tls = session.get("relay") == delivered["relay"] and session["queue_id"] in (None, delivered["queue_id"])
            if tls:
                self.remember(process, {"relay": delivered["relay"], "queue_id": delivered["queue_id"]})
            told = "yes" if tls else "unknown" if label in self.silent else "no"
            self.count("sent_recipients_total", label, told, delivered["status"])
            self.see_held_back(label, delivered)

    def see_delivery(self, label: str, text: str) -> None:
        delivered = DELIVERED.match(text)
        if delivered:
            self.count("local_recipients_total", label, delivered["status"])
            self.see_held_back(label, delivered)

    def see_held_back(self, label: str, delivered: re.Match[str]) -> None:
        reason = delivered["reason"]
        reason = reason[len(SUSPENDED) :] if reason.startswith(SUSPENDED) else reason
        cause = next((cause for cause, pattern in HELD_BACK.items() if pattern.match(reason)), None)
        if cause and delivered["status"] != "sent":
            self.count("refused_out_recipients_total", label, delivered["status"], cause)

    def remember(self, process: str, session: Session) -> None:
        self.sessions.pop(process, None)
        self.sessions[process] = session
        if len(self.sessions) > SESSIONS:
            del self.sessions[next(iter(self.sessions))]

    def tell(self, metrics: Metrics) -> None:
        for name, labels in LABELS.items():
            for key, value in sorted(self.totals.get(name, {}).items()):
                metrics.add(name, value, **dict(zip(labels, json.loads(key))))


def is_silent(found: Mapping[str, str], side: str) -> bool:
    """Whether the log does not say if TLS was used (postconf(5), smtp_tls_loglevel)."""
    return found[f"{side}_tls_loglevel"] == "0" and client_policy(found, side).level != "none"


def read_commands(text: str) -> Dict[str, Tuple[int, int]]:
    """``mail=1 rcpt=0/1`` as accepted and all."""
    found = re.findall(r"(\w+)=(\d+)(?:/(\d+))?", text)
    return {name: (int(good), int(total or good)) for name, good, total in found}


# The log: where it is


BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
LINE = re.compile(r"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\S+) \S+ (?P<tag>[^\s\[]+)\[(?P<pid>\d+)\]: (?P<text>.*)")
"""A line of syslog or postlogd(8), with a traditional time or that of RFC 3339."""


class Position(NamedTuple):
    """How far a log was read. The head says which file it was, whatever its name is by now."""

    inode: int
    mtime: float
    offset: int
    head: str


START = Position(0, 0, 0, "")

Event = Tuple[str, str, str]
"""Tag, process and text of a line."""


OPENERS: Dict[str, Callable[[io.BufferedReader], io.BufferedIOBase]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


def as_position(kept: object) -> Optional[Position]:
    """What was kept of a position, if it still is one."""
    if not isinstance(kept, (list, tuple)) or len(kept) != len(START):
        return None
    numbers = all(isinstance(value, (int, float)) for value in kept[:3])
    return Position(*kept) if numbers and isinstance(kept[3], str) else None


class LogFile:
    """A log file that somebody rotates: logrotate(8), or postfix(1) logrotate, which compresses at once."""

    def __init__(self, path: str, position: object = None) -> None:
        self.path = path
        self.position = as_position(position) or self._end()

    def _end(self) -> Position:
        with contextlib.suppress(FileNotFoundError), open_file(self.path) as log:
            return position_of(log, log.seek(0, os.SEEK_END))
        return START

    def events(self) -> Iterator[Event]:
        """Of each line that came since."""
        with contextlib.ExitStack() as stack:
            logs, begin = self._unread(stack)
            left = LOG_BYTES
            for log in logs:
                offset, begin = begin, 0
                try:
                    log.seek(offset)
                    for octets, line in lines_of(log):
                        if left < 0:
                            break
                        offset += octets
                        left -= octets
                        found = LINE.match(line.decode("utf-8", "replace"))
                        if found:
                            yield found["tag"], found["pid"], found["text"]
                    self.position = position_of(log, offset)
                except BROKEN:
                    continue
                if left < 0:
                    return

    def _unread(self, stack: contextlib.ExitStack) -> Tuple[List[io.BufferedIOBase], int]:
        """The files to read on in, opened, and where in the first. It may be rotated while we look."""
        for _attempt in range(2):
            logs = [log for log in (self._open(stack, path) for path in self._paths()) if log]
            for index, log in enumerate(logs):
                if is_read_to(log, self.position):
                    return distinct(logs[index:]), self.position.offset
        current = self._open(stack, self.path)
        return [current] if current else [], 0

    def _paths(self) -> List[str]:
        """What may hold lines that were not read yet, oldest first."""
        folder, name = os.path.split(self.path)
        found: List[Tuple[float, str]] = []
        with contextlib.suppress(FileNotFoundError):
            where = opened(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                with os.scandir(where) as entries:
                    for entry in entries:
                        if entry.name.startswith((f"{name}.", f"{name}-")) and entry.is_file(follow_symlinks=False):
                            found.append((entry.stat(follow_symlinks=False).st_mtime, os.path.join(folder, entry.name)))
            finally:
                os.close(where)
        kept = [path for mtime, path in sorted(found) if mtime >= int(self.position.mtime)]
        return [*kept[-ROTATED:], self.path]

    @staticmethod
    def _open(stack: contextlib.ExitStack, path: str) -> Optional[io.BufferedIOBase]:
        with contextlib.suppress(FileNotFoundError):
            file = stack.enter_context(open_file(path))
            opener = OPENERS.get(os.path.splitext(path)[1])
            return stack.enter_context(opener(file)) if opener else file
        return None


def lines_of(log: io.BufferedIOBase) -> Iterator[Tuple[int, bytes]]:
    """Each line that has ended, after its number of octets; one that is too long to be Postfix's is empty."""
    octets = 0
    for piece in iter(lambda: log.readline(LINE_BYTES), b""):
        octets += len(piece)
        if piece.endswith(b"\n") or octets > LOG_BYTES:
            yield octets, piece if octets == len(piece) else b""
            octets = 0


def position_of(log: io.BufferedIOBase, offset: int) -> Position:
    status = os.fstat(log.fileno())
    return Position(status.st_ino, status.st_mtime, offset, head_of(log, min(HEAD, offset)))


def head_of(log: io.BufferedIOBase, length: int) -> str:
    log.seek(0)
    return hashlib.sha256(log.read(length)).hexdigest()


def is_read_to(log: io.BufferedIOBase, position: Position) -> bool:
    """Whether this is the file that was read so far: the one that begins as it did. An empty one had no beginning yet."""
    try:
        if not position.offset:
            return os.fstat(log.fileno()).st_ino == position.inode
        is_as_long = log.seek(0, os.SEEK_END) >= position.offset
        return is_as_long and head_of(log, min(HEAD, position.offset)) == position.head
    except BROKEN:
        return False


def distinct(logs: Iterable[io.BufferedIOBase]) -> List[io.BufferedIOBase]:
    """Without a file that is there a second time, being compressed."""
    kept: Dict[str, io.BufferedIOBase] = {}
    for log in logs:
        with contextlib.suppress(*BROKEN):
            kept.setdefault(head_of(log, HEAD), log)
    return list(kept.values())


Entry = Dict[str, Union[str, List[Union[int, str]], None]]
"""What journalctl(1) writes of one; a field that is no text comes as its octets, one that is there twice as a list."""


def text_of(field: Union[str, List[Union[int, str]], None]) -> str:
    if isinstance(field, list):
        return bytes(n for n in field if isinstance(n, int)).decode("utf-8", "replace")
    return field or ""


def read_entry(line: bytes) -> Entry:
    entry: Entry = json.loads(line)
    if not isinstance(entry, dict):
        raise ValueError("journalctl(1) writes something else than entries")
    return entry


class Journal:
    """systemd's journal."""

    def __init__(self, instance: Instance, position: object = None) -> None:
        self.tags = instance.tags()
        users = {0, pwd.getpwnam(instance.effective["mail_owner"]).pw_uid}  # others can log under any name
        self.matches = [f"_UID={user}" for user in sorted(users)]
        self.position = position if isinstance(position, str) else self._end()

    def _end(self) -> str:
        return next((text_of(entry["__CURSOR"]) for entry in self._entries("--lines=1")), "")

    def events(self) -> Iterator[Event]:
        options = [f"--identifier={tag}" for tag in self.tags] + self.matches
        left, end = LOG_BYTES, time.monotonic() + COMMAND
        for entry in self._entries(*([f"--after-cursor={self.position}"] if self.position else []), *options):
            text = text_of(entry.get("MESSAGE"))
            self.position = text_of(entry["__CURSOR"])
            process = text_of(entry.get("SYSLOG_PID")) or text_of(entry.get("_PID"))
            yield text_of(entry.get("SYSLOG_IDENTIFIER")), process, text
            left -= len(text)
            if left < 0 or time.monotonic() > end:
                return

    @staticmethod
    def _entries(*options: str) -> Iterator[Entry]:
        fields = "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID"
        argv = ["journalctl", "--quiet", "--no-pager", "--output=json", fields, *options]
        with subprocess.Popen(  # noqa: S603 -- no shell; names from main.cf
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            try:
                yield from map(read_entry, process.stdout or ())
            except BaseException:  # nobody wants more: the command is not waited for
                process.kill()
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, argv[0])


def log_source(instance: Instance, state: State) -> Tuple[str, Union[LogFile, Journal]]:
    """The log that Postfix writes to, and the name under which the state knows it."""
    path = instance.effective.get("maillog_file", "")
    name = path or "journal"
    position = state["position"] if state["source"] == name else None
    return name, LogFile(path, position) if path else Journal(instance, position)


class State(TypedDict):
    """What is kept from one run to the next."""

    config_dir: str
    source: str
    position: object
    totals: Totals
    sessions: Dict[str, Session]


def read_state(path: str, config_dir: str) -> State:
    """What the last run kept; nothing where there was none, or one for another instance."""
    try:
        state: State = json.loads(read_file(path))
        if state["config_dir"] == config_dir:
            return state
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {"config_dir": config_dir, "source": "", "position": None, "totals": {}, "sessions": {}}


def tell_traffic(instance: Instance, path: str, metrics: Metrics) -> None:
    """Read the log on and tell the totals. They are kept together with how far it was read, or neither is."""
    state = read_state(path, instance.config_dir)
    traffic = Traffic(instance, state["totals"], state["sessions"])
    try:
        state["source"], log = log_source(instance, state)
        for event in log.events():
            traffic.see(*event)
        state["position"] = log.position
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
        complain(f"the log cannot be read: {problem}")
        metrics.add("log_readable", 0)
    else:
        metrics.add("log_readable", 1)
        write(path, json.dumps(state), 0o600)
    traffic.tell(metrics)


# All of it


def check_health(instance: Instance, now: float, metrics: Metrics) -> Iterator[Tuple[str, str]]:
    """(check, complaint) for each thing that is wrong."""
    runs = master_runs(instance)
    if not runs:
        yield "master", "Postfix does not run"
    for service, up in check_listeners(instance, runs).items():
        metrics.add("listener_up", up, service=service)
        if not up:
            yield "listeners", f"{service} does not greet"
    try:
        chains = certificates(instance)
    except (OSError, ValueError) as problem:
        yield "certificates", f"a certificate cannot be read: {problem}"
    else:
        tell_certificates(chains, now, metrics)
        for chain in chains:
            if chain.use != "trust" and chain.not_after <= now:
                yield "certificates", f"the certificate {chain.name} ({chain.use}, {chain.subject}) has expired"


def collect(config_dir: str, state: str, now: float, metrics: Metrics) -> Iterator[Tuple[str, str]]:
    """Every complaint, with metrics told on the way."""
    try:
        instance = read_instance(config_dir)
        tell_policies(instance, metrics)
        metrics.add("policy_info", 1, digest=policy_digest(instance))
    except (OSError, KeyError, ValueError, subprocess.SubprocessError) as problem:
        yield "configuration", f"the configuration in {config_dir} cannot be read: {problem!r}"
        return
    yield from check_health(instance, now, metrics)
    tell_traffic(instance, state, metrics)
    tell_queue(instance, now, metrics)


def collect_in_time(config_dir: str, state: str, now: float, metrics: Metrics) -> List[Tuple[str, str]]:
    """The same, which ends at the deadline, and whatever happens; what was told until then is."""
    found: List[Tuple[str, str]] = []
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE)
    try:
        found.extend(collect(config_dir, state, now, metrics))
    except Late:
        found.append(("run", f"this took longer than {DEADLINE} seconds, so not everything is told"))
    except Exception as problem:
        place = traceback.extract_tb(problem.__traceback__)[-1]  # without what it quotes, which may be anything
        found.append(("run", f"not everything is told: {type(problem).__name__} in line {place.lineno}"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found


def _too_late(_signal: int, _frame: Optional[FrameType]) -> None:
    raise Late


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config-dir", default=DEFAULT, help="the Postfix instance")
    parser.add_argument("--output", required=True, help="the file for Prometheus")
    parser.add_argument("--state", default="/var/lib/smtp-hardening/metrics.json", help="what is kept between runs")
    options = parser.parse_args()
    config_dir = options.config_dir.rstrip("/")
    now, metrics = time.time(), Metrics(**({} if config_dir == DEFAULT else {"config_dir": config_dir}))
    complaints = collect_in_time(config_dir, options.state, now, metrics)
    for check in ("configuration", "master", "listeners", "certificates", "run"):
        metrics.add("check_healthy", check not in dict(complaints), check=check)
    metrics.add("healthy", not complaints)
    metrics.add("run_duration_seconds", time.time() - now)
    metrics.add("last_run_timestamp_seconds", now)
    write(options.output, metrics.render(), 0o644)
    for _check, complaint in complaints:
        complain(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
