# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever is slow, silent or never ends: the program does, and tells what it has."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import sys
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.metrics.samples import EFFECTIVE, MASTER, parse
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY


def silence(sock):
    sock.recv(1000)


def a_byte_now_and_then(sock):
    while True:
        sock.sendall(b"2")
        time.sleep(0.05)


def a_banner_without_end(sock):
    while True:
        sock.sendall(b"x" * 65536)


def teasers_without_end(sock):
    while True:
        sock.sendall(b"220-x\r\n" * 100)


def a_greeting_and_then_nothing(sock):
    sock.sendall(b"220 x\r\n")
    sock.recv(1000)
    sock.recv(1000)


@pytest.fixture
def listener(serving):
    def start(behaviour):
        class Dialogue(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    behaviour(self.request)
                except OSError:
                    pass

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dialogue)
        server.daemon_threads = True
        return serving(server).server_address[1]

    return start


@pytest.mark.parametrize("wrapped", ["no", "yes"], ids=["plain", "TLS"])
@pytest.mark.parametrize(
    ("behaviour", "up"),
    [
        (silence, False),
        (a_byte_now_and_then, False),
        (a_banner_without_end, False),
        (teasers_without_end, False),
        (a_greeting_and_then_nothing, True),
    ],
)
def test_a_listener_that_never_ends_is_left_in_time(
    program, instance, listener, monkeypatch, *, behaviour, up, wrapped
):
    monkeypatch.setattr(program, "SECONDS", 0.5)
    service = program.Service(f"127.0.0.1:{listener(behaviour)}", "inet", "smtpd", {})
    begun = time.monotonic()
    assert program.greets(service, instance({"smtpd_tls_wrappermode": wrapped})) is (up and wrapped == "no")
    assert time.monotonic() - begun < 3


def test_a_listener_that_accepts_nobody_is_left_in_time(program, instance, monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        for _connection in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(address)
        service = program.Service(f"127.0.0.1:{address[1]}", "inet", "smtpd", {})
        assert program.greets(service, instance()) is False
        for one in waiting:
            one.close()


# Commands, with the program as a process of its own


@pytest.fixture
def run(tmp_path):
    """Run the program beside a postconf and a journalctl of ours, with shorter deadlines; what it tells and how long it took."""

    def start(journalctl="exit 0", postconf="", deadline=5, extra=None):
        commands, answers = tmp_path / "bin", tmp_path / "answers"
        for folder in (commands, answers, tmp_path / "out"):
            folder.mkdir()
        effective = {**EFFECTIVE, "queue_directory": f"{tmp_path}/spool", "mail_owner": "root", **(extra or {})}
        texts = {"-M": MASTER, "-Px": "", "-n": "", "-x": "".join(f"{n} = {v}\n" for n, v in effective.items())}
        for option, text in texts.items():
            (answers / option).write_text(text)
        scripts = {"postconf": f'{postconf}\ncat "{answers}/$3"', "journalctl": journalctl}
        for name, text in scripts.items():
            (commands / name).write_text(f"#!/bin/sh\n{text}\n")
            (commands / name).chmod(0o755)
        launcher = (
            "import importlib.util, sys\n"
            f"found = importlib.util.spec_from_file_location('smtp_metrics', {str(RELAY / 'smtp-metrics.py')!r})\n"
            "program = importlib.util.module_from_spec(found)\nfound.loader.exec_module(program)\n"
            f"program.DEADLINE, program.COMMAND = {deadline}, {deadline / 5}\nsys.exit(program.main())\n"
        )
        output = tmp_path / "out" / "smtp.prom"
        options = ["--output", str(output), "--state", str(tmp_path / "state.json")]
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", launcher, *options],
            env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return parse(output.read_text()), done, time.monotonic() - begun

    return start


def check(parsed, name):
    return parsed["smtp_hardening_check_healthy"]["smtp_hardening_check_healthy", (("check", name),)]


@pytest.mark.parametrize("postconf", ["exec sleep 60", "while :; do echo x; sleep 1; done", "sleep 60 2>&- & wait"])
def test_a_postconf_that_hangs_is_a_complaint(run, postconf):
    parsed, done, seconds = run(postconf=postconf)
    assert (done.returncode, check(parsed, "configuration"), check(parsed, "run")) == (1, 0, 1)
    assert "TimeoutExpired" in done.stderr and "Traceback" not in done.stderr
    assert seconds < 20


@pytest.mark.parametrize("journalctl", ["exec sleep 60", "while :; do printf x; sleep 1; done"])
def test_a_journal_that_hangs_leaves_the_rest_told(run, journalctl):
    parsed, done, seconds = run(journalctl=journalctl)
    assert (done.returncode, check(parsed, "run"), check(parsed, "configuration")) == (1, 0, 1)
    assert "this took longer than 5 seconds" in done.stderr and "Traceback" not in done.stderr
    assert "smtp_hardening_server_policy_info" in parsed and seconds < 20


@pytest.mark.parametrize(
    "entry",
    [
        "{",
        "{}",
        "[]",
        "7",
        '{"__CURSOR": "c", "MESSAGE": ["a", "b"], "SYSLOG_IDENTIFIER": [1, 2], "_PID": null}',
        '{"__CURSOR": "c", "MESSAGE": null}',
    ],
)
def test_a_journal_with_entries_of_any_kind_is_no_traceback(run, entry):
    parsed, done, _seconds = run(journalctl=f"echo '{entry}'")
    assert "Traceback" not in done.stderr and "smtp_hardening_log_readable" in parsed


def test_a_journal_that_never_ends_is_read_on_by_the_next_run(program, instance, monkeypatch, tmp_path):
    monkeypatch.setattr(program, "COMMAND", 0.3)
    (tmp_path / "journalctl").write_text(
        '#!/bin/sh\nwhile :; do echo \'{"__CURSOR": "c", "MESSAGE": "x", "SYSLOG_IDENTIFIER": "postfix/smtpd"}\'; done\n'
    )
    (tmp_path / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    log = program.Journal(instance({"mail_owner": "root"}), "b")
    begun = time.monotonic()
    assert len(list(log.events())) > 1
    assert time.monotonic() - begun < 5 and log.position == "c"


def test_what_nobody_foresaw_is_a_complaint_without_what_it_quotes(program, tmp_path, monkeypatch, capsys):
    def fail(*_arguments):
        raise TypeError("-----BEGIN PRIVATE KEY-----")

    monkeypatch.setattr(program, "read_instance", fail)
    monkeypatch.setattr("sys.argv", ["smtp-metrics", "--output", f"{tmp_path}/x.prom", "--state", f"{tmp_path}/s"])
    assert program.main() == 1
    assert check(parse((tmp_path / "x.prom").read_text()), "run") == 0
    said = capsys.readouterr().err
    assert said.startswith("not everything is told: TypeError in line ") and "PRIVATE" not in said


def test_samples_of_another_instance_say_whose_they_are(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    told = {}
    for folder in ("/etc/postfix", "/etc/postfix-out"):
        monkeypatch.setattr(
            "sys.argv", ["x", "--config-dir", folder, "--output", f"{tmp_path}/x", "--state", f"{tmp_path}/s"]
        )
        program.main()
        parsed = parse((tmp_path / "x").read_text())
        told[folder] = {labels for family in parsed.values() for _name, labels in family}
    assert all(("config_dir", "/etc/postfix-out") in labels for labels in told["/etc/postfix-out"])
    assert not any("config_dir" in dict(labels) for labels in told["/etc/postfix"])
