# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run beside one another, each in a session of its own, so that it ends as a whole with all that it has started."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

PATIENCE = 60
"""Seconds between the request to end and the end."""

_running: set[int] = set()
_stopping = threading.Event()


class Ended(NamedTuple):
    well: bool
    seconds: float
    cpu: float
    """Seconds, with all that it had started and waited for."""


def run(
    command: Sequence[str],
    folder: pathlib.Path,
    environment: Mapping[str, str],
    write: Callable[[str], None],
    deadline: int,
    *,
    in_any_case: bool = False,
) -> Ended:
    """Give each line that the program says to C(write). One that does not end within the deadline is ended, and did not
    end well. After :func:`end_all`, only what is to happen in any case is begun."""
    if _stopping.is_set() and not in_any_case:
        return Ended(False, 0, 0)
    begin = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 -- what the project's own tools name
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running.add(process.pid)
    reader = threading.Thread(target=_pass_on, args=[process.stdout, write], daemon=True)
    reader.start()
    expired = threading.Event()
    timer = _later(deadline, lambda: _expire(expired, process.pid))
    try:
        _pid, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        _end(process.pid)
        _pid, status, usage = os.wait4(process.pid, 0)
        raise
    finally:
        timer.cancel()
        _running.discard(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(PATIENCE)  # something that it has left behind may hold its end of the pipe
    well = process.returncode == 0 and not expired.is_set()
    return Ended(well, time.monotonic() - begin, usage.ru_utime + usage.ru_stime)


def _pass_on(lines: Iterable[str] | None, write: Callable[[str], None]) -> None:
    for line in lines or ():
        write(line)


def _expire(expired: threading.Event, pid: int) -> None:
    expired.set()
    _end(pid)


def end_all() -> None:
    """End what other threads run, and begin nothing more."""
    _stopping.set()
    for pid in list(_running):
        _end(pid)


def _end(pid: int) -> None:
    _send(pid, signal.SIGTERM)
    _later(PATIENCE, lambda: _send(pid, signal.SIGKILL))


def _send(pid: int, what: signal.Signals) -> None:
    if pid in _running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, what)


def _later(seconds: float, what: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()
    return timer


@contextlib.contextmanager
def beside(commands: Sequence[Sequence[str]]) -> Iterator[None]:
    """While these programs run."""
    started = [subprocess.Popen(command) for command in commands]  # noqa: S603 -- as above
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
