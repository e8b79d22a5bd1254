# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys
import time

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _command
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._deadline import DeadlinePassed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError

SAYS = "import os, sys; sys.stdout.write({})"


def python(script, stdin=None):
    return _command.run([sys.executable, "-c", script], stdin)


def test_a_command_answers_with_its_exit_status_and_both_outputs():
    script = "import sys; print(sys.stdin.read()); print('no', file=sys.stderr); sys.exit(3)"
    assert python(script, "in") == (3, "in\n", "no\n")


@pytest.mark.parametrize(("name", "value"), [("LC_ALL", "C"), ("LANG", "C")])
def test_a_command_speaks_plain_english(monkeypatch, name, value):
    monkeypatch.setenv(name, "de_DE.ISO-8859-1")
    assert python(SAYS.format(f"os.environ[{name!r}]")).stdout == value


def test_postfixs_commands_are_found_though_the_path_has_no_sbin(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = python(SAYS.format("os.environ['PATH']")).stdout.split(":")
    assert found[:2] == ["/usr/bin", "/bin"]
    assert {"/usr/sbin", "/sbin"} <= set(found)


@pytest.mark.parametrize("path", ["", "/nowhere", None])
@pytest.mark.parametrize("name", ["openssl", "postconf", "postfix", "postmap", "postqueue"])
def test_a_program_is_found_where_systems_keep_it_whatever_the_path_says(tmp_path, monkeypatch, name, path):
    (tmp_path / name).write_text(f"#!/bin/sh\necho this {name}\n")
    (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(_command, "_SYSTEM", (str(tmp_path), *_command._SYSTEM))
    monkeypatch.delenv("PATH") if path is None else monkeypatch.setenv("PATH", path)
    assert _command.run([name]).stdout == f"this {name}\n"
    assert b"".join(_command.lines([name])) == f"this {name}\n".encode()


@pytest.mark.parametrize("umask", [0o077, 0o027, 0])
def test_what_a_command_writes_can_be_read_by_postfix_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        python(f"open({str(tmp_path / 'table.db')!r}, 'w').close()")
    finally:
        os.umask(before)
    assert (tmp_path / "table.db").stat().st_mode & 0o777 == 0o644


def test_bytes_that_are_no_utf_8_pass_in_both_directions():
    script = (
        "import sys; sys.stdout.buffer.write(sys.argv[1].encode('utf-8', 'surrogateescape') + sys.stdin.buffer.read())"
    )
    done = _command.run([sys.executable, "-c", script, "gr\udcfc\udcdf"], "\udcff")
    assert done.stdout == "gr\udcfc\udcdf\udcff"


@pytest.mark.parametrize("program", ["openssl", "postconf"])
def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(tmp_path, monkeypatch, program):
    monkeypatch.setattr(_command, "SECONDS", 0.3)
    monkeypatch.setattr(_command, "TALKING", {"openssl": 0.3})
    path = tmp_path / program
    path.write_text("#!/bin/sh\nsleep 60 &\necho $! >&2\necho $! > " + str(tmp_path / "pid") + "\nwait\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DeadlinePassed, match=f"^{program} -c /p has not ended after 0 seconds; look what it waits for"):
        _command.run([program, "-c", "/p"])
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and "Z" not in state(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{pid}") or "Z" in state(pid)


def state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as handle:
            return handle.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_nobody_waits_for_a_daemon_that_keeps_the_output_open():
    began = time.monotonic()
    assert python("import subprocess; subprocess.Popen(['sleep', '5']); print('up')").stdout == "up\n"
    assert time.monotonic() - began < 4


def test_a_command_that_answers_before_it_has_read_everything_is_not_waited_for_in_vain():
    script = "import sys\nfor line in sys.stdin: sys.stdout.write(line.strip() + 'x' * 200 + '\\n'); sys.stdout.flush()"
    keys = "".join(f"{key:05}.partner.example\n" for key in range(5000))
    assert python(script, keys).stdout.count("\n") == 5000


def test_a_command_that_is_missing_is_named_with_what_to_install():
    with pytest.raises(
        PostfixError, match=r"^postconf7 is missing on this node; install Postfix \(role relay does\) and openssl.$"
    ):
        _command.run(["postconf7"])


def test_a_command_may_be_given_less_time_than_others(tmp_path):
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match="has not ended after 0 seconds"):
        _command.run(["sleep", "60"], seconds=0.2)
    assert time.monotonic() - began < 20


def test_output_is_read_line_by_line_while_a_command_runs():
    script = (
        "import sys, time; print(sys.stdin.read(), 'a', flush=True); time.sleep(0.1); print('b'); print('c', end='')"
    )
    assert list(_command.lines([sys.executable, "-c", script])) == [b" a\n", b"b\n", b"c"]


def test_a_command_is_killed_when_nobody_wants_more_of_it(tmp_path):
    script = f"echo $$ >{tmp_path}/pid; while :; do echo x; done"
    found = _command.lines(["sh", "-c", script])
    assert next(found) == b"x\n"
    found.close()
    assert state(int((tmp_path / "pid").read_text())) == "Z"


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["false"], "false fails: exit status 1."), (["postconf7"], "postconf7 is missing on this node;")],
)
def test_a_command_that_fails_while_it_is_read_says_so(argv, said):
    with pytest.raises(PostfixError, match=said):
        list(_command.lines(argv))
