# SPDX-License-Identifier: GPL-3.0-or-later
"""A node on which something else is wrong: the task says so, and nothing is half done."""

import fcntl
import glob
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from changes import CHANGES
from conftest import (
    CONFIG,
    HERE,
    MODULES,
    OLD,
    STORE,
    answers,
    configuration,
    leftovers,
    picture,
    refuse,
    run,
    sh,
    start,
    succeed,
)
from pems import HOST, Authority, key

pytestmark = pytest.mark.sampled("situations")

MODE, RAISED = CHANGES["mode"]


@pytest.fixture
def stopped():
    sh("systemctl", "stop", "postfix")
    yield
    start()


def test_while_postfix_is_stopped_nothing_can_be_proven_so_nothing_changes(stopped):
    before = picture()
    assert "is not running, so nothing can be proven; start it first" in refuse(MODE, **RAISED)
    assert picture() == before


def test_while_another_program_holds_port_25_postfix_is_not_running_and_nothing_changes(stopped):
    before = picture()
    with socket.create_server(("", 25)):
        assert "is not running" in refuse(MODE, **RAISED)
    assert picture() == before


def test_another_program_on_a_listeners_address_is_found_before_the_reload_that_would_end_postfix():
    with socket.create_server(("127.0.0.1", 2525)):
        sh("postconf", "-Me", "127.0.0.1:2525/inet=127.0.0.1:2525 inet n - y - - smtpd")
        before = picture()
        sentence = refuse(MODE, server={"minimum_protocol": "TLSv1.3"})
        assert (
            "Another program listens where master.cf wants 127.0.0.1:2525/inet at port 2525 of 127.0.0.1 (python3, process "
            in sentence
        )
        assert picture() == before
    assert answers() and not leftovers()
    assert succeed(MODE, server={"minimum_protocol": "TLSv1.3"})["changed"]


@pytest.mark.usefixtures("unchanged")
def test_a_reload_that_fails_brings_the_old_configuration_back(tmp_path):
    """A postfix command that cannot reload; everything else it passes on."""
    command = tmp_path / "postfix"
    command.write_text(
        '#!/bin/sh\ncase "$*" in *reload) echo "fatal: cannot reload" >&2; exit 1;; esac\nexec /usr/sbin/postfix "$@"\n'
    )
    command.chmod(0o755)
    result = run(MODE, RAISED, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert result.data["restored"] is True
    assert "postfix -c /etc/postfix reload fails: fatal: cannot reload." in result.data["msg"]
    assert "could not be reloaded with the old configuration" in result.data["msg"]


def test_a_certificate_that_is_removed_between_two_tasks_is_named(tmp_path):
    succeed("smtp_tls_cert", **CHANGES["certificate"][1])
    chain = f"{STORE}/certificates/second/1.pem"
    os.unlink(chain)
    before = picture()
    sentence = refuse(MODE, **RAISED)
    assert chain in sentence and "put it back or make another certificate active" in sentence
    assert picture() == before


def test_a_chain_file_that_was_broken_on_the_node_is_named():
    chain = sh("postconf", "-h", "smtpd_tls_chain_files").strip()
    with open(chain, "w") as handle:
        handle.write(
            key()
            + sh("cat", f"{OLD}/smtp_hardening/certificates/default/1.pem").partition("-----END PRIVATE KEY-----\n")[2]
        )
    before = picture()
    assert f"{chain}: the private key does not match the certificate that follows it" in refuse(MODE, **RAISED)
    assert picture() == before


def test_a_clock_that_is_a_year_ahead_sees_a_certificate_that_has_expired(tmp_path):
    authority, own = Authority(tmp_path), key()
    pem = {"private_key": own, "certificate": authority.issue(own)}
    accept = ["incomplete_chain"]
    succeed("smtp_tls_cert", name="agent", provider="pem", pem=pem, use=["server", "client"], accept=accept)
    before = picture()
    strict = {
        "profile": "trusted_agents_strict",
        "server": {"ca_file": authority.path},
        "client": {"ca_file": authority.path},
    }
    late = run("smtp_tls_mode", strict, before=["faketime", "1 year"])
    assert late.data["failed"] and "expired" in late.data["msg"]
    assert picture() == before
    assert not leftovers() and answers()
    assert succeed("smtp_tls_mode", **strict)["changed"]


def test_a_second_run_waits_for_the_first_and_then_fails_with_a_sentence(tmp_path):
    name = hashlib.sha256(os.path.realpath(CONFIG).encode()).hexdigest()[:32]
    run("smtp_tls_info", {})
    (path,) = glob.glob(f"/run/smtp_hardening/{name}.lock") + glob.glob(f"/var/lib/smtp_hardening/{name}.lock")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        before = picture()
        began = time.monotonic()
        assert "has been locked by another run for 60 seconds; wait until it has ended" in refuse(MODE, **RAISED)
        assert time.monotonic() - began > 59
        assert picture() == before
    finally:
        os.close(descriptor)


def test_two_runs_at_once_both_take_effect():
    settings = [{"parameters": {"smtpd_banner": f"{HOST} ESMTP"}}, {"parameters": {"header_size_limit": 51200}}]
    running = []
    for number, options in enumerate(settings):
        path = f"/run/at-once-{number}.json"
        with open(path, "w") as handle:
            json.dump({"ANSIBLE_MODULE_ARGS": options}, handle)
        running.append(
            subprocess.Popen(
                ["python3", "-B", "-m", f"{MODULES}.smtp_settings", path], cwd=HERE, stdout=subprocess.DEVNULL
            )
        )
    assert [process.wait(60) for process in running] == [0, 0]
    assert f"smtpd_banner = {HOST} ESMTP" in configuration()[0]
    assert "header_size_limit = 51200" in configuration()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("unchanged")
def test_a_run_whose_connection_is_lost_undoes_what_it_began(number):
    fault = ["strace", "--quiet=all", "-o/dev/null", "-etrace=renameat", f"-einject=renameat:signal={number}:when=6"]
    assert run(MODE, RAISED, before=fault).rc != 0


def test_check_mode_tells_of_an_interrupted_run_and_leaves_it_to_the_next_one():
    fault = ["strace", "--quiet=all", "-o/dev/null", "-etrace=renameat", "-einject=renameat:signal=KILL:when=6"]
    assert run(MODE, RAISED, before=fault).rc != 0
    before = picture()
    told = run("smtp_tls_info", {}, check_mode=True).data
    assert told["interrupted"]["module"] == "smtp_tls_mode" and told["interrupted"]["undone"] is False
    assert picture() == before
    healed = run("smtp_tls_info", {}).data
    assert healed["interrupted"]["undone"] is True and healed["changed"] is True
    assert not leftovers() and answers()


def attributes(path):
    stat = os.stat(path)
    return stat.st_mode, stat.st_uid, stat.st_gid, {name: os.getxattr(path, name) for name in os.listxattr(path)}


@pytest.mark.parametrize("attribute", ["user.note", "security.selinux"])
def test_owner_mode_and_attributes_of_a_file_survive(attribute):
    path = f"{CONFIG}/main.cf"
    try:
        os.setxattr(path, attribute, b"system_u:object_r:postfix_etc_t:s0")
    except OSError as problem:
        pytest.skip(f"this file system takes no {attribute}: {problem}")
    os.chmod(path, 0o640)
    os.chown(path, 0, 4)
    before = attributes(path)
    assert succeed(MODE, **RAISED)["changed"]
    assert attributes(path) == before


def test_a_link_inside_the_configuration_directory_is_followed():
    os.makedirs(f"{CONFIG}/real", exist_ok=True)
    os.rename(f"{CONFIG}/main.cf", f"{CONFIG}/real/main.cf")
    os.symlink("real/main.cf", f"{CONFIG}/main.cf")
    assert succeed(MODE, **RAISED)["changed"]
    assert os.readlink(f"{CONFIG}/main.cf") == "real/main.cf"
    assert "TLSv1.3" in sh("postconf", "-h", "smtpd_tls_protocols")


@pytest.fixture
def outside():
    """A folder on the same file system as the configuration."""
    path = tempfile.mkdtemp(dir="/etc")
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("name", ["main.cf", "master.cf", "smtp_hardening"])
def test_a_link_that_leads_out_of_the_configuration_directory_is_refused(name, outside):
    os.rename(f"{CONFIG}/{name}", f"{outside}/{name}")
    os.symlink(f"{outside}/{name}", f"{CONFIG}/{name}")
    try:
        before = picture(), picture(outside)
        sentence = refuse("smtp_settings", parameters={"smtpd_banner": "x ESMTP"})
        assert (
            f"{CONFIG}/{name} is a symbolic link to {outside}/{name}, outside of the configuration directory"
            in sentence
        )
        assert (picture(), picture(outside)) == before
    finally:
        os.unlink(f"{CONFIG}/{name}")


def test_nobody_else_can_read_what_a_change_writes_on_the_way():
    """Every file that the module creates is born with 0600, whatever the umask."""
    log = "/run/created"
    module, options = CHANGES["certificate"]
    trace = ["strace", "--quiet=all", f"-o{log}", "-y", "-etrace=openat"]
    assert run(module, options, before=["sh", "-c", 'umask 0; exec "$@"', "sh", *trace]).rc == 0
    with open(log) as handle:
        born = [line for line in handle if "O_CREAT" in line and "/etc/postfix" in line]
    assert born and all(", 0600)" in line for line in born), born
