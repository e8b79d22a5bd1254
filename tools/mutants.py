# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the code in one small way after the other, and asks the unit tests whether they notice.

Usage: mutants [FILE OR FOLDER ...], from the checkout's top; what decides about mail unless told. Takes MUTANTS_SECONDS
from when the tests have passed without a change. SEED repeats a sample. What mutants look like is mutmut's and ours;
mutmut's own runner looks for modules by the paths of their files, where Ansible's are not.
"""

from __future__ import annotations

import collections
import difflib
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

ROOMS = [
    f"plugins/module_utils/{room}" for room in ("_model", "_postfix", "_providers", "_transaction", "_certificates")
]
TOP = Path.cwd()
COPIES = [TOP / ".cache/mutants" / name for name in ("1", "2")]
COLLECTION = Path(".cache/collections/ansible_collections/mailfleet/smtp_hardening")
OUTCOMES = ("caught", "survived", "timed out")
# The code removes files and ends processes: changed at random, whichever.
SANDBOX = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--ro-bind", "/", "/"]
SANDBOX += ["--dev", "/dev", "--proc", "/proc", "--size", str(1 << 30), "--tmpfs", "/tmp"]  # noqa: S108 -- one of its own
SANDBOX += ["--ro-bind", str(TOP), str(TOP)]
SANDBOX += ["--cap-add", "ALL"] if os.geteuid() == 0 else []  # root's tests give files away


def negated(node: cst.If | cst.CompIf) -> list[cst.CSTNode]:
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return [node.with_changes(test=cst.UnaryOperation(cst.Not(), test))]


def no_value(node: cst.Return) -> list[cst.CSTNode]:
    nothing = node.value is None or getattr(node.value, "value", "") in ("None", "False")
    return [] if nothing else [node.with_changes(value=None)]


def other_text(node: cst.SimpleString) -> list[cst.CSTNode]:
    """Whether anybody reads a sentence at all; of a word, whether it is this one. Documentation is left alone."""
    if '"""' in node.value:
        return []
    return [node.with_changes(value=f'{node.prefix}"XXXX"')] if " " in node.value else list(operator_string(node))


OPERATORS: list[tuple[type | tuple[type, ...], Callable[..., Iterable[cst.CSTNode]]]] = [
    *(item for item in mutation_operators if item[1] is not operator_string),
    (cst.SimpleString, other_text),
    (cst.FormattedStringText, lambda node: [node.with_changes(value="XXXX")] if node.value.strip() else []),
    ((cst.If, cst.CompIf), negated),
    (cst.Return, no_value),
    (cst.Expr, lambda node: [cst.Pass()] if isinstance(node.value, cst.Call) else []),
]


class Mutant(NamedTuple):
    path: Path
    line: int
    module: cst.Module
    node: cst.CSTNode
    instead: cst.CSTNode

    def code(self) -> str:
        changed = self.module.deep_replace(self.node, self.instead)
        assert isinstance(changed, cst.Module)  # noqa: S101 -- what replaces a node stands where that stood
        return changed.code

    def __str__(self) -> str:
        lines = difflib.unified_diff(self.module.code.splitlines(), self.code().splitlines(), lineterm="", n=0)
        return "\n    ".join([f"{self.path}:{self.line}", *list(lines)[3:]])


def mutants_of(path: Path) -> Iterator[Mutant]:
    wrapper = MetadataWrapper(cst.parse_module(path.read_text()))
    positions = wrapper.resolve(PositionProvider)

    def below(node: cst.CSTNode, line: int) -> Iterator[Mutant]:
        if isinstance(node, (cst.Annotation, cst.Decorator)):
            return
        line = positions[node].start.line if node in positions else line
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                yield from (Mutant(path, line, wrapper.module, node, instead) for instead in operator(node))
        for child in node.children:
            yield from below(child, line)

    return below(wrapper.module, 1)


def sample(files: list[Path], seed: int) -> list[Mutant]:
    """In random order, each line once before any line twice. The first is the last."""
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    random.Random(seed).shuffle(mutants)  # noqa: S311 -- to be the same again
    lines: dict[tuple[Path, int], list[Mutant]] = collections.defaultdict(list)
    for mutant in mutants:
        lines[mutant.path, mutant.line].append(mutant)
    turns = {id(mutant): turn for several in lines.values() for turn, mutant in enumerate(several)}
    return sorted(mutants, key=lambda mutant: turns[id(mutant)])[::-1]


def make_copy(copy: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listed, text=True)  # noqa: S603 -- no shell
    for name in filter(os.path.isfile, names.split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, copy / name, follow_symlinks=False)
    (copy / COLLECTION).parent.mkdir(parents=True)
    (copy / COLLECTION).symlink_to("../../../..")


def pytest(copy: Path, tests: list[str], deadline: float | None = None) -> subprocess.CompletedProcess[str]:
    command = [
        *SANDBOX,
        "--bind",
        str(copy),
        str(copy),
        "--chdir",
        str(copy),
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
    ]
    # Without a deadline is the first run, whose bytecode saves the others half of their time.
    keep = {"PYTHONDONTWRITEBYTECODE": "1" if deadline else ""}
    environment = {**os.environ, **keep, "PYTHONPATH": str(copy / COLLECTION.parents[2]), "HOME": "/tmp"}  # noqa: S108 -- of the sandbox
    command += ["-p", "no:cacheprovider", *tests]
    return subprocess.run(  # noqa: S603 -- in the sandbox
        command, check=False, capture_output=True, text=True, env=environment, timeout=deadline
    )


def stages(path: Path) -> Iterator[list[str]]:
    """The tests of this file, the rest of its room's, all others."""
    room = Path("tests/unit") / path.parent
    mirror = [str(test) for test in sorted(room.rglob(f"test_*{path.stem.lstrip('_')}*.py"))]
    yield from [mirror] if mirror else []
    yield [str(room), *(f"--ignore={test}" for test in mirror)]
    yield ["tests/unit", f"--ignore={room}"]


def outcome_of(mutant: Mutant, code: str, copy: Path, deadline: float) -> str:
    changed = copy / mutant.path
    before = changed.stat()
    changed.write_text(code)
    try:
        # 0: passed; 5: there are none. Everything else is noticed.
        noticed = any(pytest(copy, tests, deadline).returncode not in (0, 5) for tests in stages(mutant.path))
        return "caught" if noticed else "survived"
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        changed.write_text(mutant.module.code)
        os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # its bytecode holds again


def main() -> int:
    seconds, seed = int(os.environ.get("MUTANTS_SECONDS") or 600), int(os.environ.get("SEED") or time.time())
    given = [Path(name) for name in sys.argv[1:] or ROOMS]
    files = [file for path in given for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    queue = sample(files, seed)
    print(f"==> {len(queue)} mutants of {len(files)} files, {seconds} s, SEED={seed}", flush=True)

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, -1))  # a loop without end fills no memory
    shutil.rmtree(COPIES[0].parent, ignore_errors=True)
    make_copy(COPIES[0])
    begin = time.monotonic()
    unchanged = pytest(COPIES[0], ["tests/unit"])
    if unchanged.returncode:
        print(f"{unchanged.stdout}{unchanged.stderr}==> nothing was changed, and the tests fail", file=sys.stderr)
        return 1
    shutil.copytree(COPIES[0], COPIES[1], symlinks=True)

    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    end = time.monotonic() + seconds
    deadline = 3 * (time.monotonic() - begin)

    def work(copy: Path) -> None:
        while queue and time.monotonic() < end:
            mutant = queue.pop()
            code = mutant.code()
            try:
                compile(code, mutant.path, "exec")
            except SyntaxError:
                continue
            outcome = outcome_of(mutant, code, copy, deadline)
            counts[mutant.path.parent.name, outcome] += 1
            if outcome != "caught":
                print(f"{outcome}: {mutant}", flush=True)

    with ThreadPoolExecutor(len(COPIES)) as pool:
        try:
            list(pool.map(work, COPIES))
        finally:
            queue.clear()  # where one fails or somebody interrupts, the other one ends, too
    print("".join(f"{title:>15}" for title in ("room", "made", *OUTCOMES)))
    for room in sorted({room for room, _outcome in counts}):
        row = [counts[room, outcome] for outcome in OUTCOMES]
        print("".join(f"{cell:>15}" for cell in (room, sum(row), *row)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
