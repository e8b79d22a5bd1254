# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever else is on the host: accounts that own a folder of the queue, or may write to the configuration, or edit it meanwhile."""

import grp
import os
import pwd
import re
import shutil
import stat
import subprocess
import threading
import time

import attacker
import pytest
from changes import CHANGES
from conftest import CONFIG, HERE, STORE, answers, configuration, leftovers, put_back, run, succeed

pytestmark = pytest.mark.sampled("attacks")

TRIES = int(os.environ.get("TRIES", "25"))
LOG = "/var/log/mail.log"


@pytest.fixture
def targets():
    """Files and folders of root's, which nobody else may touch."""
    folder = "/root/targets"
    os.makedirs(folder)
    paths = []
    for number in range(4):
        paths += [f"{folder}/file{number}", f"{folder}/folder{number}"]
        with open(paths[-2], "w") as handle:
            handle.write("root's")
        os.mkdir(paths[-1])
    for path in paths:
        os.chmod(path, 0o640)
    before = {path: attributes(path) for path in paths}
    yield paths
    assert {path: attributes(path) for path in paths} == before
    assert not [os.listdir(path) for path in paths if os.path.isdir(path) and os.listdir(path)]
    shutil.rmtree(folder)
    attacker.clean()


def attributes(path):
    found = os.lstat(path)
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_nlink


BUILD = """
import sys
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _command, _files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._folder import open_folder
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import STORE, read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import twin

postfix = Postfix(_command.run, "/etc/postfix")
state = read_state(postfix)
queue_dir = state.effective["queue_directory"]
for _try in range(int(sys.argv[1])):
    with open_folder(queue_dir) as queue, queue.make(STORE) as here:
        twin._make_folders(state, queue, here)
    _files.remove(twin.folder(queue_dir))
"""
"""Only the step that copies folders of others, as often as it takes to hit a moment."""


def test_who_owns_a_folder_of_the_queue_gets_nothing_of_roots_by_links(targets):
    with attacker.Attacker(targets, attacker.swap_copies) as other:
        wait_for_folders()
        done = subprocess.run(
            ["/usr/bin/python3", "-B", "-c", BUILD, str(TRIES)],
            check=False,
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        for module, options in CHANGES.values():
            succeed(module, **options)
            put_back()
    print(f"{TRIES} copies and {len(CHANGES)} changes tried, in which links were put {other.swapped} times")
    assert other.swapped, "the account never came to put a link"
    assert not [path for path in targets if os.lstat(path).st_uid]


def wait_for_folders():
    deadline = time.monotonic() + 30
    while len([n for n in os.listdir(attacker.LIVE) if n.startswith("attack")]) < attacker.FOLDERS:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nobody_else_can_hold_the_lock(unchanged):
    holder = subprocess.Popen(["flock", "--exclusive", CONFIG, "sleep", "60"], user="nobody", start_new_session=True)
    try:
        assert run("smtp_tls_info", {}).data.get("failed") is None
    finally:
        os.killpg(holder.pid, 9)
        holder.wait()
    for path in ("/run/smtp_hardening", "/var/lib/smtp_hardening"):
        done = subprocess.run(["ls", path], user="nobody", check=False, capture_output=True)
        assert done.returncode != 0


def edit(number, in_place):
    """As an editor may do it, or by a new file as most tools do."""
    line = f"# edit {number}\n"
    if in_place:
        with open(f"{CONFIG}/main.cf", "a") as handle:
            handle.write(line)
        return
    with open(f"{CONFIG}/main.cf") as handle:
        content = handle.read()
    with open(f"{CONFIG}/.edited", "w") as handle:
        handle.write(content + line)
    os.rename(f"{CONFIG}/.edited", f"{CONFIG}/main.cf")


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "by a new file"])
def test_no_edit_of_main_cf_is_lost_without_a_word(in_place):
    """One edit a run, at a later moment each time. More than one every other second, and no Postfix program starts at all
    (dict_load_file_xt in dict.c)."""
    rounds, said = 8, []
    for number in range(rounds):
        timer = threading.Timer(0.2 * number, edit, [number, in_place])
        timer.start()
        said.append(run("smtp_settings", {"parameters": {"mail_name": f"Postfix {number}"}}).data)
        timer.join()
    with open(f"{CONFIG}/main.cf") as handle:
        lost = set(range(rounds)) - set(map(int, re.findall(r"^# edit (\d+)$", handle.read(), re.M)))
    told = [answer["msg"] for answer in said if answer.get("failed")]
    print(f"{rounds} edits tried, {len(told)} of them were noticed by a run that then gave way")
    assert not lost or all("main.cf.edited" in answer.get("msg", "") for answer in map(said.__getitem__, lost)), told
    assert all("main.cf" in sentence for sentence in told), told
    assert answers()
    assert not leftovers()


@pytest.mark.sampled
@pytest.mark.parametrize(("name", "umask"), [*((name, 0o077) for name in CHANGES), ("domains", 0o027)])
def test_a_hardened_hosts_umask_is_in_nobodys_way(name, umask):
    module, options = CHANGES[name]
    before = os.umask(umask)
    try:
        succeed(module, **options)
        assert answers()
    finally:
        os.umask(before)


def test_bytes_that_are_no_utf_8_survive_every_change():
    odd = b"# gr\xfc\xdfe\nsmtpd_reject_footer = gr\xfc\xdf Gott\n"
    with open(f"{CONFIG}/main.cf", "ab") as handle:
        handle.write(odd)
    for module, options in CHANGES.values():
        succeed(module, **options)
        with open(f"{CONFIG}/main.cf", "rb") as handle:
            assert odd in handle.read()
    assert run("smtp_tls_info", {}).data.get("failed") is None
    succeed("smtp_rollback", allow_weaker=True)
    with open(f"{CONFIG}/main.cf", "rb") as handle:
        assert odd in handle.read()


def test_who_may_write_to_the_configuration_cannot_lead_root_elsewhere(targets):
    """As with /etc/postfix of group mail."""
    os.chown(CONFIG, 0, grp.getgrnam("mail").gr_gid)
    os.chmod(CONFIG, 0o2775)
    module, options = CHANGES["certificate"]
    succeed(module, **options)
    put_back()
    os.chown(CONFIG, 0, grp.getgrnam("mail").gr_gid)
    os.chmod(CONFIG, 0o2775)
    folder = next(path for path in targets if "folder" in path)
    shutil.move(STORE, f"{CONFIG}/away")
    os.symlink(folder, STORE)
    refused = run(module, options).data
    assert refused["failed"] and "symbolic link" in refused["msg"], refused
    os.unlink(STORE)
    os.mkdir(STORE)
    os.chown(STORE, pwd.getpwnam("nobody").pw_uid, -1)
    refused = run(module, options).data
    assert refused["failed"] and "does not belong to root alone" in refused["msg"], refused
    assert os.listdir(STORE) == []


def test_a_run_that_is_killed_while_deliveries_are_let_end_is_undone_at_once():
    certificate = CHANGES["certificate"][1]
    succeed("smtp_tls_mode", client={"level": "may", "connection_reuse": True})
    succeed("smtp_tls_cert", **{**certificate, "use": ["client"]})
    before = configuration()
    options = {**certificate, "use": ["client"], "renew_now": True}
    kill = threading.Thread(target=kill_between_the_configurations)
    kill.start()
    result = run("smtp_tls_cert", options)
    kill.join()
    assert result.rc < 0, result
    deadline = time.monotonic() + 30
    while leftovers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (configuration(), leftovers(), answers()) == (before, [], True)
    assert succeed("smtp_tls_cert", **options)["interrupted"] is None


def kill_between_the_configurations():
    """While main.cf is neither the old nor the new one: without reuse."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with open(f"{CONFIG}/main.cf") as handle:
            if "smtp_tls_connection_reuse = no" in handle.read():
                subprocess.run(["pkill", "-KILL", "--oldest", "-f", "modules.smtp_tls_cert"], check=True)
                return
        time.sleep(0.005)


def test_a_change_does_not_fill_the_log_with_warnings():
    size = os.path.getsize(LOG)
    for module, options in CHANGES.values():
        succeed(module, **options)
    with open(LOG) as handle:
        handle.seek(size)
        warnings = [line for line in handle if "writable" in line or "not owned" in line]
    assert warnings == []


RUNS = {
    **CHANGES,
    "settings": ("smtp_settings", {"parameters": {"mail_name": "Postfix there"}}),
    "rollback": ("smtp_rollback", {}),
    "info": ("smtp_tls_info", {}),
    "probe": ("smtp_tls_probe", {}),
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", RUNS)
def test_root_follows_no_path_through_a_folder_of_others(name):
    module, options = RUNS[name]
    if name == "rollback":
        succeed("smtp_settings", parameters={"mail_name": "Postfix then"})
    log = "/root/calls"
    result = run(module, options, before=["strace", "--quiet=all", f"-o{log}", "-y", "--trace=%file"])
    assert result.data and not result.data.get("failed"), result
    with open(log) as handle:
        calls = handle.read().splitlines()
    assert len(calls) > 1000
    assert sorted(filter(None, map(through_others, calls))) == []


def through_others(call):
    """The path of a call that leads by name through a folder to which others than root may write."""
    found = re.match(r'\w+\((?:AT_FDCWD(?:<[^>]*>)?, )?"(/[^"]*)"', call)
    if not found or found[1].startswith(("/proc/", "/run/arguments.json", "/dev/")):
        return None
    path = os.path.dirname(found[1])
    while path != "/":
        if os.path.isdir(path) and not alone(path):
            return call
        path = os.path.dirname(path)
    return None


def alone(path):
    found = os.stat(path)
    return found.st_uid == 0 and not found.st_mode & 0o022
