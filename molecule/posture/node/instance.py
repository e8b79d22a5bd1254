# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance of Postfix beside the node's own, which is made anew for each configuration and begins with an empty queue."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import rewrite
from instances import MASTER_CF

PLACES = ("/etc", "/var/spool", "/var/lib")
SERVICES = (
    MASTER_CF
    + """\
pickup    unix  n - n 60 1 pickup
flush     unix  n - n 1000? 0 flush
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
local     unix  - n n - - local
virtual   unix  - n n - - virtual
"""
)
SETTINGS = {
    "compatibility_level": "2",
    "myhostname": "observed.test",
    "inet_protocols": "ipv4",
    "inet_interfaces": "loopback-only",  # services that listen name their addresses
    "mynetworks": "127.0.0.0/8",
    "mydestination": "localhost",
    "local_recipient_maps": "",
    "alias_maps": "",
    "relay_domains": "",
    "smtp_dns_support_level": "disabled",
    "smtp_tls_loglevel": "1",
    "smtp_tls_fingerprint_digest": "sha256",
    "smtpd_tls_fingerprint_digest": "sha256",
    "smtpd_relay_restrictions": "reject_unauth_destination",
    "tls_medium_cipherlist": "DEFAULT:@SECLEVEL=0",  # above it OpenSSL 3 has no signature for TLS 1.1
    "tls_high_cipherlist": "HIGH:@SECLEVEL=0",
    "tls_config_file": "none",  # a distribution's file may set a floor
    # Each message is tried when its turn comes, and never given up.
    "soft_bounce": "yes",
    "queue_run_delay": "1h",
    "minimal_backoff_time": "2s",  # a message that is first tried after the turn of a second is one second old
    "default_destination_concurrency_failed_cohort_limit": "1000",
    "smtp_connection_cache_on_demand": "no",
    "smtp_connect_timeout": "10s",
    "transport_retry_time": "5s",
}
STATUS = re.compile(r": (\w+): to=<[^\n]*?, relay=([^,]*), [^\n]* status=(\w+) \(([^\n]*)\)\n")
MAIL = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "trace")


class Instance:
    """One of several that run side by side, each with a port of its own for the servers that it sends to."""

    def __init__(self, number, kind, words):
        self.folder, self.queue, self.data = (f"{place}/observed-{number}" for place in PLACES)
        self.log = f"/var/log/observed-{number}.log"
        self.kind = kind
        """Of indexed tables."""
        self.words = {**words, "dir": self.folder, "type": kind}
        self.master = None
        self.remove()
        for path in (self.folder, self.queue, self.data):
            os.mkdir(path)
        shutil.chown(self.data, "postfix")

    def remove(self):
        self.stop()  # what has been left running
        for path in (self.folder, self.queue, self.data):
            shutil.rmtree(path, ignore_errors=True)

    def configure(self, row):
        """main.cf, master.cf and tables of a row."""
        places = {"queue_directory": self.queue, "data_directory": self.data, "maillog_file": self.log}
        lines = [f"{name} = {value}\n" for name, value in {**SETTINGS, **places}.items()]
        pathlib.Path(self.folder, "main.cf").write_text("".join(lines))
        pathlib.Path(self.folder, "master.cf").write_text(SERVICES)
        for name, content in self.filled(row.get("files", {})).items():
            pathlib.Path(self.folder, name).write_text(content)
        for name, entries in self.filled(row.get("tables", {})).items():
            path = pathlib.Path(self.folder, name)
            path.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
            self._run("postmap", f"{self.kind}:{path}")
        services = self.filled(row.get("services", {}))
        self.edit("-Me", {name: f"{name.replace('/', ' ')} {rest}" for name, rest in services.items()})
        self.edit("-e", row.get("main", {}))

    def start(self):
        """Postfix waits until what it reads is two seconds old (dict_load_file_xt in dict.c): it is an hour old."""
        for name in ("main.cf", "master.cf"):
            os.utime(os.path.join(self.folder, name), (time.time() - 3600,) * 2)
        pathlib.Path(self.log).write_text("")
        if self.master is None:
            self._run("postfix", "check")
            self.master = self._run("postconf", "-h", "daemon_directory").strip() + "/master"
        subprocess.run([self.master, "-c", self.folder, "-w"], check=True, stderr=subprocess.DEVNULL)

    def stop(self):
        """End it at once, postlogd(8) too, which would wait for what others still have to say, and lose its mail."""
        for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            if self.folder in _read(command).split("\0"):
                wait_for(lambda group=int(command.parent.name): not _killed(group), self)
        for name in MAIL:
            for path, _folders, files in os.walk(os.path.join(self.queue, name)):
                for file in files:
                    os.unlink(os.path.join(path, file))

    def resolve(self, sender, recipient):
        return rewrite.resolve(self.queue, sender, recipient)

    def send(self, sender, recipient, header=""):
        """Hand over a message; the first thing that the log says of its fate."""
        begin = os.path.getsize(self.log)
        text = f"From: {sender}\nTo: {recipient}\nSubject: test\n{header}\n\ntest\n"
        subprocess.run(
            ["/usr/sbin/sendmail", "-C", self.folder, "-f", sender, recipient], input=text, text=True, check=True
        )
        return self._fate(begin)

    def send_again(self, queue_id):
        begin = os.path.getsize(self.log)
        self._run("postqueue", "-i", queue_id)
        return self._fate(begin)

    def said(self, begin=0):
        with open(self.log, errors="replace") as handle:
            handle.seek(begin)
            return handle.read()

    def _fate(self, begin):
        return wait_for(lambda: STATUS.search(self.said(begin)), self).groups()

    def filled(self, value):
        """With this instance's own words in place of C(%word%)."""
        if isinstance(value, dict):
            return {self.filled(name): self.filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        for name, word in self.words.items() if isinstance(value, str) else ():
            value = value.replace(f"%{name}%", str(word))
        return value

    def edit(self, option, assignments):
        assignments = self.filled(assignments)
        if assignments:
            self._run("postconf", option, *(f"{name}={value}" for name, value in assignments.items()))

    def _run(self, command, *words):
        done = subprocess.run([command, "-c", self.folder, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _read(path):
    try:
        return path.read_text()
    except OSError:  # gone
        return ""


def _killed(group):
    """Whether anybody was left to be killed."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, instance, seconds=30):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"nothing happens: {instance.said()[-3000:]}"
        time.sleep(0.01)
    return value
