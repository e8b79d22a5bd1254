# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from unittest.mock import MagicMock

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import twin
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.mirror import mirror_configuration
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, read, write

MASTER_CF = """\
smtp inet n - y - - smtpd
  -o smtpd_tls_security_level=may
192.0.2.1:submission inet n - y - - smtpd
25 inet n - y - 1 postscreen
628 inet n - y - - qmqpd
smtpd pass - - y - - smtpd
pickup unix n - y 60 1 pickup
cleanup unix n - y - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - y 1000? 1 tlsmgr
rewrite unix - - y - - trivial-rewrite
defer unix - - y - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - y - 1 anvil
policy unix - n n - 0 spawn user=nobody argv=/usr/bin/policy
relay unix - - y - - smtp
smtp unix - - y - - smtp
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - y - - lmtp
scache unix - - y - 1 scache
maildrop unix - n n - - pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop
"""


@pytest.fixture
def staged(node, tmp_path):
    """A staged configuration with every kind of service."""
    node.services = MASTER_CF
    write(node.path("virtual"), "postmaster root\n")
    stage = tmp_path / "stage"
    stage.mkdir()
    mirror_configuration(node.config_dir, str(stage))
    for name in ("main.cf", "master.cf"):
        write(str(stage / name), read(node.path(name)))
    node.stage = str(stage)
    node.here = twin.folder(node.queue_dir)
    return node


def running(node):
    return twin.running(node.postfix, read_state(node.postfix.at(node.stage)), node.stage)


def twins_services(node):
    with running(node) as second:
        return read_state(second).services


def test_a_twin_has_listeners_on_loopback_and_what_they_ask_and_nothing_that_delivers(staged):
    services = twins_services(staged)
    listeners = [service for service in services if service.kind == "inet"]
    assert [service.command for service in listeners] == ["smtpd", "smtpd", "postscreen"]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", service.name) for service in listeners)
    assert [s.key for s in services if s.kind != "inet"] == [
        "postlog/unix-dgram",
        "smtpd/pass",
        "cleanup/unix",
        "tlsmgr/unix",
        "rewrite/unix",
        "defer/unix",
        "proxymap/unix",
        "anvil/unix",
        "policy/unix",
    ]


def test_a_listener_of_a_twin_keeps_all_but_its_address(staged):
    (smtp,) = [s for s in twins_services(staged) if s.overrides]
    assert smtp.entry.split(None, 1)[1] == "inet n - y - - smtpd -o smtpd_tls_security_level=may"


def test_every_listener_of_a_twin_has_a_port_of_its_own_though_the_kernel_gives_a_free_one_again(staged, monkeypatch):
    held = set()

    class Probe:
        def __init__(self, family):
            self.port = None

        def __enter__(self):
            return self

        def __exit__(self, *_problem):
            held.discard(self.port)

        def bind(self, _address):
            self.port = next(port for port in range(10025, 10035) if port not in held)
            held.add(self.port)

        def getsockname(self):
            return "127.0.0.1", self.port

    monkeypatch.setattr(twin.socket, "socket", Probe)
    names = [service.name for service in twins_services(staged) if service.kind == "inet"]
    assert names == ["127.0.0.1:10025", "127.0.0.1:10026", "127.0.0.1:10027"]
    assert held == set()


def test_a_postlogd_that_is_there_is_not_added_twice(staged):
    write(os.path.join(staged.stage, "master.cf"), "postlog unix-dgram n - n - 1 postlogd\n" + MASTER_CF)
    assert [s.key for s in twins_services(staged)].count("postlog/unix-dgram") == 1


def test_a_twin_without_ipv4_listens_on_the_other_loopback(staged, monkeypatch):
    kind = MagicMock()
    probe = kind.return_value.__enter__.return_value
    probe.getsockname.return_value = ("::1", 10025, 0, 0)
    monkeypatch.setattr(twin.socket, "socket", kind)
    write(os.path.join(staged.stage, "main.cf"), "inet_protocols = ipv6\n")
    assert {s.name for s in twins_services(staged) if s.kind == "inet"} == {"[::1]:10025"}
    kind.assert_called_with(socket.AF_INET6)
    probe.bind.assert_called_with(("::1", 0))


def test_a_twin_has_queue_data_and_log_of_its_own_and_disables_no_service(staged):
    write(os.path.join(staged.stage, "main.cf"), "master_service_disable = inet\nmyhostname = mx7.example.com\n")
    with running(staged) as second:
        explicit = read_state(second).explicit
        assert second.config_dir == f"{staged.here}/config"
    assert explicit == {
        "myhostname": "mx7.example.com",
        "queue_directory": f"{staged.here}/spool",
        "data_directory": f"{staged.here}/data",
        "in_flow_delay": "0",
        "maillog_file": f"{staged.here}/log",
        "maillog_file_prefixes": staged.here,
        "master_service_disable": "",
        "multi_instance_enable": "no",
        "notify_classes": "",
    }


CACHES = """\
smtpd_tls_session_cache_database = btree:/var/lib/postfix/smtpd_scache
smtp_tls_session_cache_database = lmdb:$data_directory/smtp_scache
lmtp_tls_session_cache_database =
postscreen_cache_map = proxy:btree:/var/lib/postfix/postscreen_cache
address_verify_map = memcache:/etc/postfix/verify.cf
smtp_sasl_auth_cache_name = hash:/var/lib/postfix/sasl
tls_random_exchange_name = /var/lib/postfix/prng_exch
virtual_alias_maps = hash:/etc/postfix/virtual
"""


def test_a_twin_fights_for_no_cache_of_the_live_one(staged):
    write(os.path.join(staged.stage, "main.cf"), CACHES)
    staged.services += "verify unix - - y - 1 verify -o address_verify_map=btree:/var/lib/verify\n"
    write(os.path.join(staged.stage, "master.cf"), staged.services)
    with running(staged) as second:
        state = read_state(second)
    data = f"{staged.here}/data"
    assert {name: state.explicit[name] for name in re.findall(r"(\w+) =", CACHES)} == {
        "smtpd_tls_session_cache_database": f"btree:{data}/smtpd_tls_session_cache_database",
        "smtp_tls_session_cache_database": f"lmdb:{data}/smtp_tls_session_cache_database",
        "lmtp_tls_session_cache_database": "",
        "postscreen_cache_map": f"proxy:btree:{data}/postscreen_cache_map",
        "address_verify_map": "memcache:/etc/postfix/verify.cf",
        "smtp_sasl_auth_cache_name": f"hash:{data}/smtp_sasl_auth_cache_name",
        "tls_random_exchange_name": f"{data}/tls_random_exchange_name",
        "virtual_alias_maps": "hash:/etc/postfix/virtual",
    }
    assert state.service("verify", "unix").overrides == {"address_verify_map": f"btree:{data}/address_verify_map"}


def test_other_files_of_the_configuration_are_the_live_ones_under_a_second_name(staged):
    with running(staged) as second:
        assert os.path.samefile(os.path.join(second.config_dir, "virtual"), staged.path("virtual"))
        assert not os.path.islink(os.path.join(second.config_dir, "virtual"))


def test_tables_of_the_configuration_can_be_opened_by_who_is_root_no_more(staged):
    """proxymap(8) names them by $config_directory."""
    write(staged.path("sql", "users.cf"), "hosts = localhost\n")
    os.chmod(staged.path("sql"), 0o755)
    shutil.rmtree(staged.stage)
    os.makedirs(staged.stage)
    mirror_configuration(staged.config_dir, staged.stage)
    for name in ("main.cf", "master.cf"):
        write(os.path.join(staged.stage, name), read(staged.path(name)))
    with running(staged) as second:
        folders = [staged.here, second.config_dir, os.path.join(second.config_dir, "sql")]
        assert [os.stat(folder).st_mode & 0o777 for folder in folders] == [0o711, 0o755, 0o755]


def test_what_others_put_into_the_queue_is_there_under_a_second_name_and_mail_is_not(staged):
    spool = staged.queue_dir
    linked = [
        "etc/resolv.conf",
        "usr/lib/zoneinfo/localtime",
        "private/auth",
        "milter/opendkim.sock",
        "private/dovecot",
    ]
    own = ["private/rewrite", "private/tlsmgr", "public/cleanup"]
    mail = [f"{queue}/A/1A2B3C" for queue in ("active", "deferred", "incoming", "hold", "corrupt", "defer", "bounce")]
    for path in [*linked, *own, *mail, "maildrop/1A2B3C", "pid/master.pid", "loose"]:
        write(os.path.join(spool, path), path)
    os.symlink("/nowhere", os.path.join(spool, "etc", "localtime"))
    with running(staged) as second:
        copy = os.path.join(os.path.dirname(second.config_dir), "spool")
        found = {os.path.relpath(os.path.join(p, n), copy) for p, _f, names in os.walk(copy) for n in names}
        assert found == {*linked, "etc/localtime"}
        assert all(os.path.samefile(os.path.join(spool, path), os.path.join(copy, path)) for path in linked)
        assert os.readlink(os.path.join(copy, "etc", "localtime")) == "/nowhere"
        assert os.listdir(os.path.join(copy, "deferred")) == []
    assert all(os.path.exists(os.path.join(spool, path)) for path in [*linked, *own, *mail])


def test_folders_of_the_queue_keep_their_modes_and_owners(staged):
    for name, mode in {"private": 0o700, "public": 0o710, "maildrop": 0o1730, "active": 0o700}.items():
        os.makedirs(os.path.join(staged.queue_dir, name))
        os.chmod(os.path.join(staged.queue_dir, name), mode)
    if os.geteuid() == 0:
        os.chown(os.path.join(staged.queue_dir, "private"), 101, 102)
    with running(staged):
        for name in ("private", "public", "maildrop", "active"):
            live, copy = (
                os.stat(os.path.join(staged.queue_dir, name)),
                os.stat(os.path.join(staged.here, "spool", name)),
            )
            assert (copy.st_mode, copy.st_uid, copy.st_gid) == (live.st_mode, live.st_uid, live.st_gid)


@pytest.mark.parametrize(("number", "survives"), [(errno.EXDEV, True), (errno.EPERM, True), (errno.ENOSPC, False)])
def test_what_is_mounted_into_the_queue_or_immutable_is_left_out_and_other_failures_are_not_hidden(
    staged, monkeypatch, number, survives
):
    write(os.path.join(staged.queue_dir, "dev", "log"), "")

    def link(source, target, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(twin.os, "link", link)
    if survives:
        with running(staged):
            assert os.listdir(os.path.join(staged.here, "spool", "dev")) == []
    else:
        with pytest.raises(OSError, match="No space left"), running(staged):
            pytest.fail("the twin runs")
    assert os.listdir(staged.queue_dir) == ["dev"]


@pytest.mark.parametrize("problem", [None, RuntimeError, SystemExit, KeyboardInterrupt])
def test_nothing_is_left_of_a_twin_whatever_happens(staged, problem):
    before = picture(staged.queue_dir, staged.stage, staged.config_dir)
    if problem:
        with pytest.raises(problem), running(staged):
            raise problem
    else:
        with running(staged):
            assert os.path.isdir(staged.here)
    assert picture(staged.queue_dir, staged.stage, staged.config_dir) == before
    assert staged.commands[-1] == [f"{staged.defaults['daemon_directory']}/master", "-c", f"{staged.here}/config", "-t"]


def test_a_twin_ends_by_itself_if_nobody_ends_it(staged):
    with running(staged) as second:
        master = os.path.join(staged.defaults["daemon_directory"], "master")
        assert staged.commands[-1] == [master, "-c", second.config_dir, "-w", "-e", "120"]


def test_a_twin_that_a_killed_run_left_is_stopped_and_replaced(staged):
    write(os.path.join(staged.here, "config", "main.cf"), "queue_directory = old\n")
    write(os.path.join(staged.here, "spool", "pid", "master.pid"), "1")
    with running(staged) as second:
        assert read_state(second).explicit["queue_directory"] == f"{staged.here}/spool"
    assert len([argv for argv in staged.commands if argv[2:] == [f"{staged.here}/config", "-t"]]) == 2


@pytest.mark.parametrize(
    ("config", "killed"),
    [("{here}/config", True), ("/etc/postfix", False), (None, False)],
    ids=["the twin's own master", "a master of another configuration", "nobody"],
)
def test_a_twin_whose_lock_is_held_is_killed_with_all_its_daemons_and_nobody_else(staged, config, killed):
    run = staged.postfix.run
    held = Postfix(
        lambda argv, stdin=None: Completed(1, "", "") if argv[-1] == "-t" else run(argv, stdin), staged.config_dir
    )
    write(os.path.join(staged.here, "config", "main.cf"), "queue_directory = twin\n")
    script = "print(flush=True); import time; time.sleep(20)"
    argv = [sys.executable, "-c", script, "-c", (config or "").format(here=staged.here)]
    with subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE) as master:
        master.stdout.readline()
        write(os.path.join(staged.here, "spool", "pid", "master.pid"), str(master.pid))
        twin.remove(held, staged.queue_dir)
        assert (wait_a_moment(master) == -signal.SIGKILL) is killed
        if not killed:
            os.killpg(master.pid, signal.SIGKILL)


def wait_a_moment(process):
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None


def test_a_twin_that_was_not_complete_is_not_stopped_for_it_would_name_the_live_queue(staged):
    write(os.path.join(staged.here, "draft", "main.cf"), "myhostname = mx1.example.com\n")
    twin.remove(staged.postfix, staged.queue_dir)
    assert staged.commands == []
    assert os.listdir(staged.queue_dir) == []


def test_daemons_that_still_write_are_waited_for(staged, monkeypatch):
    write(os.path.join(staged.here, "log"), "")
    answers = [OSError(errno.ENOTEMPTY, "Directory not empty")] * 3
    remove = twin.files.remove

    def busy(path):
        if answers:
            raise answers.pop()
        remove(path)

    monkeypatch.setattr(twin.files, "remove", busy)
    monkeypatch.setattr(twin.time, "sleep", lambda seconds: None)
    twin.remove(staged.postfix, staged.queue_dir)
    assert os.listdir(staged.queue_dir) == []


@pytest.mark.parametrize(
    ("log", "answer", "reason"),
    [
        ("", Completed(1, "", "fatal: open lock file\n"), "fatal: open lock file"),
        ("", Completed(75, "", ""), "exit status 75"),
        (
            "Nov 24 postfix/master[1]: fatal: bind 127.0.0.1 port 1: Address in use\n",
            Completed(1, "", "ignored"),
            "fatal: bind 127.0.0.1 port 1: Address in use",
        ),
    ],
)
def test_a_twin_that_does_not_start_says_why(staged, monkeypatch, *, log, answer, reason):
    def run(argv, stdin=None):
        if argv[0].endswith("/master"):
            write(os.path.join(staged.here, "log"), log)
            return answer
        return staged.run(argv, stdin)

    postfix = staged.postfix
    postfix.run = run
    with pytest.raises(PostfixError) as failure:
        with twin.running(postfix, read_state(postfix.at(staged.stage)), staged.stage):
            pytest.fail("the twin runs")
    assert str(failure.value) == f"Postfix does not start with the new configuration: {reason}."
    assert os.listdir(staged.queue_dir) == []


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (None, ""),
        ("postfix/smtpd[1]: connect from localhost\n", ""),
        ("postfix/smtpd[1]: warning: hash:/x is unavailable\n" * 2, "warning: hash:/x is unavailable"),
        ("smtpd[1]: warning: a\nsmtpd[2]: error: b\nsmtpd[3]: panic: c\n", "warning: a; error: b; panic: c"),
        ("smtpd[1]: warning: TLS library problem: error:0A000102:SSL routines::unsupported protocol:x\n", ""),
        ("smtpd[1]: warning: lost connection after STARTTLS\n", ""),
    ],
)
def test_a_log_is_read_for_complaints_that_the_proof_did_not_provoke(staged, log, said):
    if log is not None:
        write(os.path.join(staged.here, "log"), log)
    assert twin.complaints(staged.queue_dir) == said


QUEUES = "active bounce corrupt defer deferred flush hold incoming maildrop pid saved trace"


@pytest.mark.parametrize("queue", QUEUES.split())
def test_no_mail_of_any_queue_is_the_twins_too(staged, queue):
    mail = write(os.path.join(staged.queue_dir, queue, "1A2B3C"), "mail")
    with running(staged):
        assert os.listdir(os.path.join(staged.here, "spool", queue)) == []
    assert os.path.exists(mail)


HELPERS = "anvil bounce cleanup dnsblog postlogd proxymap spawn tlsmgr tlsproxy trivial-rewrite verify"


@pytest.mark.parametrize("program", HELPERS.split())
def test_whatever_a_listener_asks_runs_beside_the_twins(staged, program):
    write(os.path.join(staged.stage, "master.cf"), f"asked unix - - y - - {program}\n")
    assert "asked/unix" in [service.key for service in twins_services(staged)]


@pytest.mark.parametrize("program", "smtp qmgr pickup local virtual lmtp pipe error discard oqmgr showq".split())
def test_nothing_that_delivers_mail_runs_beside_the_twins(staged, program):
    write(os.path.join(staged.stage, "master.cf"), f"sends unix - - y - - {program}\n")
    assert [service.key for service in twins_services(staged)] == ["postlog/unix-dgram"]


def test_a_program_that_spawn_starts_for_the_live_postfix_is_asked_and_not_started_again(staged):
    live = write(os.path.join(staged.queue_dir, "private", "policy"), "")
    with running(staged) as second:
        copy = os.path.join(os.path.dirname(second.config_dir), "spool", "private", "policy")
        assert os.path.samefile(copy, live)
        assert "policy/unix" not in [service.key for service in read_state(second).services]
