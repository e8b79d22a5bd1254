# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How every command is started, by modules and by the node's own renewal program.

With a deadline, so that none hangs; with the umask that Postfix's programs expect, since a hardened
host's would leave tables that they cannot read; in the C locale; with bytes that need not be UTF-8.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from typing import IO, BinaryIO, Dict, Generator, List, Optional, Union

from ._bytes import to_bytes, to_text
from ._deadline import DeadlinePassed
from ._errors import PostfixError, present
from ._postfix.commands import Completed

SECONDS = 120.0
"""How long a command may take."""

TALKING = {"openssl": 20.0, "posttls-finger": 60.0}
"""The same of commands that others keep waiting."""

UMASK = 0o022
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
"""Where Postfix's commands lie; cron and some shells have no sbin in their PATH."""


def run(argv: List[str], stdin: Optional[str] = None, seconds: Optional[float] = None) -> Completed:
    """Run a command to its end, or to its deadline. Output goes to memory: a daemon that keeps it open holds nobody up,
    and a full disk does not matter."""
    with ExitStack() as memory:
        given, out, err = (memory.enter_context(_memory(name)) for name in ("stdin", "stdout", "stderr"))
        given.write(to_bytes(stdin or ""))
        given.seek(0)
        process = _start(argv, given, out, err)
        code = _wait(process, argv, _patience(argv) if seconds is None else seconds)
        return Completed(code, _content(out), _content(err))


def lines(argv: List[str]) -> Generator[bytes, None, None]:
    """What a command writes, line by line while it runs; what it complains of goes where our own complaints go. It is
    killed when nobody wants more, and nobody but who wants more knows how long that is."""
    with _start(argv, subprocess.DEVNULL, subprocess.PIPE, None) as process:
        try:
            yield from present(process.stdout)
        except BaseException:
            _kill(process)
            raise
    if process.returncode:
        raise PostfixError(f"{argv[0]} fails: exit status {process.returncode}.")


def _start(
    argv: List[str], stdin: Union[int, IO[bytes]], stdout: Union[int, IO[bytes]], stderr: Optional[IO[bytes]]
) -> subprocess.Popen[bytes]:
    try:
        # pylint: disable-next=ansible-bad-function
        return subprocess.Popen(  # noqa: S603 -- no shell; Ansible's run_command knows no deadline
            [to_bytes(word) for word in argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_environment(),
            umask=UMASK,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise PostfixError(
            f"{argv[0]} is missing on this node; install Postfix (role relay does) and openssl."
        ) from None


def _patience(argv: List[str]) -> float:
    return next((TALKING[word] for word in argv[:3] if word in TALKING), SECONDS)


def _wait(process: subprocess.Popen[bytes], argv: List[str], seconds: float) -> int:
    """The exit status. Nothing goes on behind the back of whoever has given up."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise DeadlinePassed(
            f"{' '.join(argv[:4])} has not ended after {seconds:.0f} seconds; look what it waits for, then run the task again."
        ) from None
    except BaseException:
        _kill(process)
        raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _environment() -> Dict[str, str]:
    found = [folder for folder in os.environ.get("PATH", "").split(":") if folder]
    path = ":".join([*found, *(folder for folder in _SYSTEM if folder not in found)])
    return {**os.environ, "LC_ALL": "C", "LANG": "C", "PATH": path}


def _memory(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "w+b")


def _content(handle: BinaryIO) -> str:
    handle.seek(0)
    return to_text(handle.read())
