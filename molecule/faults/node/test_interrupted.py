# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed, or that the kernel refuses something, at any file-changing system call.

The faults come from strace; the code knows nothing of them. openat is left out: most of its calls only
read, and what stands between the creation of a file and its first write is met by killing that write.
"""

import os
import re
from binascii import crc32

import pytest
from changes import CHANGES
from conftest import answers, configuration, leftovers, picture, put_back, run, succeed

FILE_CHANGING = (
    "chmod,chown,copy_file_range,fchmod,fchmodat,fchown,fchownat,fdatasync,fsetxattr,fsync,ftruncate,lchown,link,"
    "linkat,lsetxattr,mkdir,mkdirat,mknod,mknodat,pwrite64,rename,renameat,renameat2,rmdir,sendfile,setxattr,symlink,"
    "symlinkat,truncate,unlink,unlinkat,utimensat,write,writev"
)
# Without a suffix, only the module's own process; with it, every command that it starts too.
FOLLOWING = {"": [], " and its commands": ["--follow-forks"]}
STRIDE = int(os.environ.get("STRIDE", "1"))
"""Try every so manyth point: all of them take an hour (make faults), and not every test run has one."""


def strace(*options):
    return ["strace", "--quiet=all", "-o/dev/null", *options]


def used(module, options):
    """The file-changing system calls that the change makes at all."""
    log = "/run/calls"
    run(
        module, options, before=["strace", "--follow-forks", f"-o{log}", f"-etrace=?{FILE_CHANGING.replace(',', ',?')}"]
    )
    put_back()
    with open(log) as handle:
        return sorted(set(re.findall(r"^\d+ +(\w+)\(", handle.read(), re.M)))


@pytest.fixture(params=CHANGES)
def change(request):
    """(module, options, the configuration before it, the configuration after it)."""
    module, options = CHANGES[request.param]
    before = configuration()
    succeed(module, **options)
    after = configuration()
    put_back()
    assert before != after
    return module, options, before, after


@pytest.mark.parametrize("following", FOLLOWING)
def test_a_run_that_is_killed_leaves_old_or_new_and_the_next_one_ends_in_new(change, following, record_property):
    module, options, before, after = change
    points = undone = 0
    for call in used(module, options):
        for number in range(1 + crc32(call.encode()) % STRIDE, 1000, STRIDE):
            fault = strace(*FOLLOWING[following], f"-etrace={call}", f"-einject={call}:signal=KILL:when={number}")
            result = run(module, options, before=fault)
            if result.rc == 0:
                break
            points += 1
            assert answers(), (call, number)
            assert configuration()[0] in (before[0], after[0]), (call, number)
            healed = succeed(module, **options)
            undone += healed["interrupted"] is not None
            assert configuration() == after, (call, number)
            assert not leftovers(), (call, number)
            assert answers(), (call, number)
            put_back()
        put_back()
    print(f"killed{following}: {module}: {points} points, {undone} of them left a change that the next run undid")
    assert points >= 100 // STRIDE


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EACCES", "EIO"])
def test_a_call_that_fails_is_a_sentence_and_nothing_changed(change, error):
    module, options, before, after = change
    old = picture()
    points = 0
    for call in used(module, options):
        if call in ("write", "fsync") and error in ("EROFS", "EACCES"):
            continue  # the kernel has said so when the file was opened
        for number in range(1 + crc32(call.encode()) % STRIDE, 1000, STRIDE):
            fault = strace(f"-etrace={call}", f"-einject={call}:error={error}:when={number}")
            result = run(module, options, before=fault)
            if result.data is None:  # the answer itself could not be written
                assert configuration() in (before, after), (call, number)
            elif result.data.get("failed"):
                points += 1
                assert re.search(
                    r"[.;] (Everything is as it was before\.|nothing was changed\.)$|fails: ", result.data["msg"]
                ), result.data
                assert picture() == old, (call, number)
            else:
                assert configuration() == after, (call, number)
            assert answers(), (call, number)
            assert not leftovers() or result.data is None or not result.data.get("failed"), (call, number)
            put_back()
            if number > sum_of_calls(module, options, call):
                break
    print(f"{error}: {module}: {points} points")
    assert points >= 50 // STRIDE


def sum_of_calls(module, options, call):
    """How often the undisturbed change makes a call (counted once)."""
    key = (module, call)
    if key not in _COUNTED:
        log = "/run/calls"
        run(module, options, before=["strace", f"-o{log}", f"-etrace={call}"])
        put_back()
        with open(log) as handle:
            _COUNTED[key] = len(re.findall(rf"^{call}\(", handle.read(), re.M))
    return _COUNTED[key]


_COUNTED = {}
