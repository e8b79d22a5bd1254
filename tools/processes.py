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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

_running: set[int] = set()


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
) -> Ended:
    """Give each line that the program says to C(write). One that does not end within the deadline is ended."""
    begin = time.monotonic()
    with subprocess.Popen(  # noqa: S603 -- what the project's own tools name
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        _running.add(process.pid)
        timer = threading.Timer(deadline, _end, [process.pid])
        timer.start()
        try:
            for line in process.stdout or ():
                write(line)
        except BaseException:
            _end(process.pid)
            raise
        finally:
            timer.cancel()
            _running.discard(process.pid)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(process.returncode == 0, time.monotonic() - begin, usage.ru_utime + usage.ru_stime)


def end_all() -> None:
    """End what other threads run."""
    for pid in list(_running):
        _end(pid)


def _end(pid: int, how: signal.Signals = signal.SIGTERM) -> None:
    """Whatever has not ended a minute later is killed."""
    if pid not in _running:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, how)
    if how is signal.SIGTERM:
        timer = threading.Timer(60, _end, [pid, signal.SIGKILL])
        timer.daemon = True
        timer.start()


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
