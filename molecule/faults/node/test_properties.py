# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever main.cf and master.cf look like, only what is owned changes, once, and it can be taken back.

Postfix's own postconf is the oracle: it reads the files before and after.
"""

import os
import re
import shutil
import subprocess
import tempfile

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import ProofFailed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.allowance import read_allowance
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.policies import (
    read_client_policy,
    read_server_policy,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.services import read_services
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.mode import Wish, plan_mode
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.change import Proofs, carry_out
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from conftest import CONFIG, picture
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

OURS = {
    "smtpd_tls_protocols": [">=TLSv1", "!SSLv2, !SSLv3", ">=TLSv1.2"],
    "smtpd_tls_mandatory_protocols": [">=TLSv1", "!SSLv2,!SSLv3,!TLSv1", ">=TLSv1.2"],
    "smtp_tls_connection_reuse": ["no", "yes"],
    "smtp_tls_protocols": ["$smtpd_tls_protocols", ">=TLSv1"],
}
THEIRS = {
    "mydestination": ["$myhostname, localhost", "$myhostname,\n  localhost.$mydomain,\n\tlocalhost"],
    "mynetworks": ["127.0.0.0/8", "127.0.0.0/8\n    [::1]/128"],
    "smtpd_banner": ["$myhostname ESMTP", "${myhostname} ESMTP # no comment"],
    "header_size_limit": ["102400", " 51200 "],
    "relayhost": ["", "[mx.example]:25"],
}
COMMENTS = ["# a comment\n", "\n", "   # an indented comment\n", "#smtpd_tls_protocols = a comment, too\n", "\t\n"]


@some.composite
def main_cf(draw):
    """Lines as people write them: comments, continuations, duplicates, odd spacing; perhaps no final newline."""
    pool = {**THEIRS, **OURS}
    lines = []
    for name in draw(some.lists(some.sampled_from(sorted(pool)), max_size=10)):
        spacing = draw(some.sampled_from([" = ", "=", "  =\t", " ="]))
        lines.append(f"{name}{spacing}{draw(some.sampled_from(pool[name]))}\n")
        lines.append(draw(some.sampled_from(["", *COMMENTS])))
    text = "".join(lines)
    if draw(some.booleans()):
        text = text.replace("\n", "\r\n") if draw(some.integers(0, 3)) == 0 else text
    return text[:-1] if text.endswith("\n") and draw(some.booleans()) else text


@some.composite
def master_cf(draw):
    lines = ["smtp inet n - y - - smtpd\n", "smtp  unix - - y - - smtp\n"]
    lines += draw(
        some.lists(
            some.sampled_from(
                [
                    "# a comment\n",
                    "\n",
                    "submission inet n - y - - smtpd\n  -o smtpd_tls_security_level=encrypt\n#  -o x=y\n",
                    "relay unix - - n - - smtp\n        -o syslog_name=postfix/$service_name\n",
                    "tlsproxy  unix  -  -  y  -  0  tlsproxy\n",
                    "#tlsproxy unix - - y - 0 tlsproxy\n",
                    "cleanup unix n - y - 0 cleanup\n",
                ]
            ),
            max_size=5,
            unique=True,
        )
    )
    return "".join(lines)


def command(argv, stdin=None):
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    return Completed(done.returncode, done.stdout, done.stderr)


class Unproven(Postfix):
    """A copy of the configuration that no Postfix runs with."""

    def at(self, config_dir):
        return Unproven(self.run, config_dir)

    def is_running(self):
        return True

    def reload(self):
        pass


WISH = Wish(
    profile=None,
    server=read_server_policy({"minimum_protocol": "TLSv1.3"}),
    client=read_client_policy({"connection_reuse": True}),
    services=read_services([{"name": "smtp", "client_certificates": "request"}]),
    allowance=read_allowance(True),
)
OWNED = {
    "smtpd_tls_protocols",
    "smtpd_tls_mandatory_protocols",
    "smtp_tls_connection_reuse",
}
OWNED_SERVICES = re.compile(r"^(tlsproxy\s|smtp\s+inet\s)")


@pytest.fixture(scope="module")
def folder():
    """Beside the real configuration, so that names and file system are the same."""
    made = tempfile.mkdtemp(prefix="postfix-property-", dir="/etc")
    os.chmod(made, 0o755)
    yield made
    shutil.rmtree(made)


def fresh(folder, main, master):
    shutil.rmtree(f"{folder}/smtp_hardening", ignore_errors=True)
    for name, content in (("main.cf", main), ("master.cf", master)):
        with open(os.path.join(folder, name), "wb") as handle:
            handle.write(content.encode())
    if os.path.exists(f"{CONFIG}/dynamicmaps.cf"):
        shutil.copy2(f"{CONFIG}/dynamicmaps.cf", folder)
    return Unproven(command, folder)


def comments(path):
    with open(path, newline="") as handle:
        return [line.rstrip("\n") for line in handle if line.lstrip().startswith("#")]


def explicit(folder):
    """What postconf reads: parameters of main.cf, and entries of master.cf with their overrides."""
    main = dict(line.split(" =", 1) for line in command(["postconf", "-c", folder, "-n"]).stdout.splitlines())
    main.pop("config_directory", None)  # postconf shows it where there is anything else to show
    return main, command(["postconf", "-c", folder, "-M"]).stdout.splitlines()


def disprove(*_seen):
    raise ProofFailed("the wire shows something else")


def approve(*_seen):
    return []


# Each example is a change of its own, a second long: what fails is shown as it was found.
@settings(
    max_examples=int(os.environ.get("EXAMPLES", "10")),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(main=main_cf(), master=master_cf())
def test_only_what_is_owned_changes_once_and_it_can_be_taken_back(folder, main, master):
    postfix = fresh(folder, main, master)
    before, order = explicit(folder), comments(f"{folder}/main.cf")
    plan = plan_mode(read_state(postfix), WISH, postfix.run).plan

    untouched = picture(folder)
    with pytest.raises(ProofFailed):
        carry_out(postfix, read_state(postfix), plan, Author("test"), Proofs(approve, approve, disprove))
    assert picture(folder) == untouched

    carry_out(postfix, read_state(postfix), plan, Author("test"), Proofs(approve, approve, approve))
    after = explicit(folder)
    theirs = [{name: value for name, value in main.items() if name not in OWNED} for main, _master in (before, after)]
    assert theirs[0] == theirs[1]
    entries = [[line for line in lines if not OWNED_SERVICES.match(line)] for _main, lines in (before, after)]
    assert entries[0] == entries[1]
    assert comments(f"{folder}/main.cf") == order
    assert read_state(postfix).explicit["smtpd_tls_protocols"] in (
        ">=TLSv1.3",
        "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2",
    )
    assert any(line.startswith("tlsproxy") for line in after[1])

    second = plan_mode(read_state(postfix), WISH, postfix.run).plan
    assert not second.changed, second
