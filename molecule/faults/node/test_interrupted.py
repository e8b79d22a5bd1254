# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed, or that the kernel refuses something, at any file-changing system call.

The faults come from strace; the code knows nothing of them. openat is left out: most of its calls only
read, and what stands between the creation of a file and its first write is met by killing that write.
"""

import collections
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
"""Try every so manyth point: all of them take hours (make test-all)."""
SEED = int(os.environ.get("SEED", "0"))
"""Other points from run to run; the same ones with the same seed."""


def strace(*options):
    return ["strace", "--quiet=all", "-o/dev/null", *options]


def points(name, change, following=()):
    """Each file-changing system call of the undisturbed change, as (call, how manyth of its process)."""
    module, options = change
    log = "/run/calls"
    calls = f"-etrace=?{FILE_CHANGING.replace(',', ',?')}"
    run(module, options, before=["strace", *following, f"-o{log}", calls])
    put_back()
    with open(log) as handle:
        made = re.findall(r"^(\d+ +)?(\w+)\(", handle.read(), re.M)
    most = {}
    for (_process, call), count in collections.Counter(made).items():
        most[call] = max(count, most.get(call, 0))
    found = [(call, number) for call in sorted(most) for number in range(1, most[call] + 1)]
    return found[(crc32(name.encode()) + SEED) % STRIDE :: STRIDE]


def fault(point, what, following=()):
    """The words of a strace that does ``what`` at a point."""
    call, number = point
    return strace(*following, f"-etrace={call}", f"-einject={call}:{what}:when={number}")


@pytest.fixture(params=CHANGES)
def change(request):
    """((module, options), the configuration before it, the configuration after it)."""
    module, options = CHANGES[request.param]
    before = configuration()
    succeed(module, **options)
    after = configuration()
    put_back()
    assert before != after
    return (module, options), before, after


@pytest.mark.sampled
@pytest.mark.parametrize("following", FOLLOWING)
def test_a_run_that_is_killed_leaves_old_or_new_and_the_next_one_ends_in_new(change, following):
    (module, options), before, after = change
    undone, tried = 0, points(module + following, change[0], FOLLOWING[following])
    for point in tried:
        result = run(module, options, before=fault(point, "signal=KILL", FOLLOWING[following]))
        assert answers(), point
        assert configuration()[0] in (before[0], after[0]), point
        healed = succeed(module, **options)
        undone += healed["interrupted"] is not None
        assert configuration() == after, (point, result)
        assert not leftovers(), point
        assert answers(), point
        put_back()
    print(f"killed{following}: {module}: {len(tried)} points, {undone} of them left a change that the next run undid")
    assert len(tried) >= 100 // STRIDE


@pytest.mark.sampled
@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EACCES", "EIO"])
def test_a_call_that_fails_is_a_sentence_and_nothing_changed(change, error):
    (module, options), before, after = change
    old, failed = picture(), 0
    tried = points(module + error, change[0])
    for point in tried:
        result = run(module, options, before=fault(point, f"error={error}")).data
        assert answers(), point
        if result is None:  # the answer itself could not be written
            assert configuration() in (before, after), point
        elif result.get("failed"):
            failed += 1
            assert re.search(r"Everything is as it was before\.$|nothing was changed\.$|fails: ", result["msg"]), result
            assert picture() == old, (point, result)
            assert not leftovers(), point
        else:
            assert configuration() == after, point
        put_back()
    print(f"{error}: {module}: {len(tried)} points, {failed} of them failed with a sentence")
    assert len(tried) >= 100 // STRIDE
