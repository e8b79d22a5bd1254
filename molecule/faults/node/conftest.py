# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share that run on a node: modules without a controller, faults, and what must hold afterwards."""

import collections
import json
import os
import shutil
import smtplib
import subprocess
import sys
import time

import pytest
import sampled

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = "/etc/postfix"
STORE = f"{CONFIG}/smtp_hardening"
TWIN = "/var/spool/postfix/smtp_hardening"
OLD = "/root/old"
MODULES = "ansible_collections.mailfleet.smtp_hardening.plugins.modules"
sys.path.insert(0, HERE)

Result = collections.namedtuple("Result", "rc data stderr")
RETURNED = collections.deque(maxlen=3)
"""What modules have said, the last of them."""


def sh(*argv, check=True):
    """A command's output."""
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def run(module, options, check_mode=False, before=(), **environment):
    """What a module answers, run as Ansible runs it; ``before`` are the words of a command that starts it."""
    arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check_mode, "_ansible_diff": True}}
    path = "/run/arguments.json"
    with open(path, "w") as handle:
        json.dump(arguments, handle)
    done = subprocess.run(
        [*before, "/usr/bin/python3", "-B", "-m", f"{MODULES}.{module}", path],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE,
        timeout=180,
        env={**os.environ, **environment},
    )
    RETURNED.append(f"{module}: {done.stdout}{done.stderr}"[:6000])
    try:
        return Result(done.returncode, json.loads(done.stdout), done.stderr)
    except ValueError:
        return Result(done.returncode, None, done.stderr)


def succeed(module, **options):
    """The result of a module that must not fail."""
    result = run(module, options)
    assert result.data and not result.data.get("failed"), (result.data or {}).get("msg", result.stderr)
    return result.data


def refuse(module, **options):
    """The sentence with which a module fails."""
    result = run(module, options)
    assert result.data and result.data.get("failed"), result
    return result.data["msg"]


def picture(folder=CONFIG):
    """Every file with contents, mode, owner, time of change and extended attributes."""
    seen = {}
    for path, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            full = os.path.join(path, name)
            stat = os.lstat(full)
            what = (stat.st_mode, stat.st_uid, stat.st_gid)
            if os.path.islink(full):
                what += (os.readlink(full),)
            elif os.path.isfile(full):
                with open(full, "rb") as handle:
                    what += (handle.read(), stat.st_mtime_ns, tuple(os.listxattr(full)))
            seen[full] = what
    return seen


def configuration():
    """What Postfix runs with: parameters set in main.cf, and master.cf."""
    return sh("postconf", "-n"), sh("postconf", "-M")


def answers():
    """Whether Postfix answers on port 25."""
    with smtplib.SMTP("127.0.0.1", 25, timeout=10) as smtp:
        return smtp.ehlo()[0] == 250


def leftovers():
    """What a change leaves on disk, or running, only while it is under way."""
    found = [path for path in (f"{STORE}/transaction", TWIN) if os.path.lexists(path)]
    for path, _folders, names in os.walk(CONFIG):
        found += [os.path.join(path, name) for name in names if name.startswith(".smtp_hardening.")]
    return found + sh("pgrep", "-f", f"{TWIN}/config", check=False).split()


def start():
    """Postfix, started and answering; systemd does not count how often the tests have done that."""
    sh("systemctl", "reset-failed", "postfix", check=False)
    sh("systemctl", "restart", "postfix")
    deadline = time.monotonic() + 30
    while not is_running():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running():
    return subprocess.run(["postfix", "status"], check=False, capture_output=True).returncode == 0


def put_back(folder=OLD):
    """The configuration as it was when the test began; whatever a killed run left is gone."""
    sh("pkill", "-KILL", "-f", f"{TWIN}/config", check=False)
    shutil.rmtree(TWIN, ignore_errors=True)
    sh("rsync", "--archive", "--xattrs", "--delete", f"{folder}/", f"{CONFIG}/")
    if not is_running():
        start()
    sh("postfix", "reload")


def pytest_configure(config):
    config.pluginmanager.register(sampled)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure explains itself, in the report too."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        said = sh("sh", os.path.join(HERE, "explain.sh"), check=False)
        report.sections += [
            ("Captured stdout: modules returned", "\n".join(RETURNED)),
            ("Captured stdout: the node says", said),
        ]


@pytest.fixture(autouse=True)
def old():
    """Each test begins with, and leaves, the node as the scenario made it."""
    if not os.path.isdir(OLD):
        sh("rsync", "--archive", "--xattrs", f"{CONFIG}/", f"{OLD}/")
    yield
    put_back()


@pytest.fixture
def unchanged():
    """Whatever the test does, nothing in the configuration directory may change, and Postfix answers."""
    before = picture()
    yield before
    assert picture() == before
    assert not leftovers()
    assert answers()
