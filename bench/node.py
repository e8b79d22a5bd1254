# SPDX-License-Identifier: GPL-3.0-or-later
"""What bench.py has a node do: reads one JSON list [command, arguments ...] a line, answers with one JSON value a line."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Callable, Dict, List, Optional, Tuple, Union

SPOOL = pathlib.Path("/var/spool/postfix")
BATCHES = pathlib.Path("/run/batches")
VARIANTS = pathlib.Path("/root/variants")
SINK_LOG = pathlib.Path("/root/sink.count")
# Of master.cf, as postconf -F has them.
FIELDS = ("private", "unprivileged", "chroot", "wakeup", "process_limit", "command")
background: List[Union[subprocess.Popen[bytes], subprocess.Popen[str]]] = []
watches: List[Watch] = []


def run(*argv: str, timeout: Optional[int] = 300) -> str:
    return subprocess.run(  # noqa: S603 -- no shell; on a node that is made for this
        argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
    ).stdout


def start(*argv: str, output: Union[int, IO[bytes]] = subprocess.DEVNULL) -> None:
    process = subprocess.Popen(  # noqa: S603 -- as above
        argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    background.append(process)


def switch(variant: str, settings: Dict[str, str]) -> None:
    """Run Postfix with the variant's configuration, and these values of main.cf or of one service of master.cf."""
    run("systemctl", "stop", "postfix")
    run("rsync", "--archive", "--delete", f"{VARIANTS / variant}/postfix/", "/etc/postfix/")
    units = pathlib.Path("/etc/systemd/system")
    for folder in units.glob("postfix*.service.d"):
        shutil.rmtree(folder)
    for folder in (VARIANTS / variant / "units").iterdir():
        shutil.copytree(folder, units / folder.name)
    run("systemctl", "daemon-reload")
    for name, value in settings.items():
        service, _slash, last = name.rpartition("/")
        option = "-e" if not service else "-F" if last in FIELDS else "-P"
        run("postconf", option, f"{name}={value}")
    run("postsuper", "-d", "ALL")
    # A main.cf that was changed less than a second ago makes each process wait for it.
    run("touch", "-d", "1 hour ago", "/etc/postfix/main.cf", "/etc/postfix/master.cf")
    restart()


def restart() -> None:
    """Run Postfix anew, without the connections that it had."""
    # Debian's own unit may be started only five times in ten seconds.
    run("systemctl", "reset-failed", "postfix")
    run("systemctl", "restart", "postfix")


def route(network: str, via: str) -> None:
    run("ip", "route", "replace", network, "via", via)


def netem(milliseconds: int) -> bool:
    """Whether this kernel could be told to delay what this node sends."""
    delay = ["root", "netem", "delay", f"{milliseconds}ms", "limit", "100000"]
    argv = ["tc", "qdisc", "replace", "dev", "eth0", *delay]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0  # noqa: S603 -- as above


def no_netem() -> None:
    argv = ["tc", "qdisc", "del", "dev", "eth0", "root"]
    subprocess.run(argv, capture_output=True, check=False)  # noqa: S603 -- as above


def proxy(milliseconds: int, *routes: str) -> None:
    process = subprocess.Popen(  # noqa: S603 -- as above
        [sys.executable, "/root/delay.py", str(milliseconds), *routes], stdout=subprocess.PIPE, text=True
    )
    background.append(process)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise RuntimeError("delay.py does not start")


def sink() -> None:
    """Take mail and throw it away."""
    start("smtp-sink", "-c", "-u", "nobody", "127.0.0.1:10025", "1000", output=SINK_LOG.open("wb"))


def sunk() -> int:
    """Messages that the sink has taken since it started."""
    counts = re.findall(rb"mesgs=(\d+)|(\d+) *\r", SINK_LOG.read_bytes()[-400:])
    return int(next(filter(None, counts[-1]))) if counts else 0


def make_batch(name: str, count: int, size: int, destinations: int) -> None:
    """Keep queue files of messages that Postfix has taken and holds, to be put into the queue again and again."""
    listener = "127.0.0.1:2500/inet"
    run("postconf", "-M", f"{listener}=127.0.0.1:2500 inet n - y - - smtpd")
    run("postconf", "-P", f"{listener}/smtpd_data_restrictions=check_client_access,static:HOLD")
    run("postfix", "reload")
    time.sleep(3)
    for number in range(1, destinations + 1):
        address = f"load@d{number}.load.test"
        messages = ["-m", str(count // destinations), "-l", str(size)]
        run("smtp-source", "-s", "4", *messages, "-f", "from@load.test", "-t", address, "127.0.0.1:2500")
    shutil.rmtree(BATCHES / name, ignore_errors=True)
    BATCHES.mkdir(exist_ok=True)
    run("cp", "--archive", str(SPOOL / "hold"), str(BATCHES / name))
    run("postsuper", "-d", "ALL")


def put(batch: str) -> None:
    run("cp", "--archive", f"{BATCHES / batch}/.", str(SPOOL / "hold"))


def release() -> float:
    """Let the messages go; the moment in which the first of them could."""
    run("postsuper", "-H", "ALL")
    begin = time.time()
    run("postqueue", "-f")
    return begin


def queued() -> bool:
    return any(path.is_file() for folder in ("incoming", "active", "deferred") for path in (SPOOL / folder).rglob("*"))


def wait(seconds: int) -> float:
    """The moment in which no message is queued any more."""
    end = time.time() + seconds
    while queued():
        if time.time() > end:
            raise TimeoutError(run("sh", "-c", "mailq | head -20; journalctl --no-pager --lines 20"))
        time.sleep(0.03)
    return time.time()


def group() -> pathlib.Path:
    """The control group in which Postfix runs."""
    master = (SPOOL / "pid/master.pid").read_text().strip()
    line = next(
        line for line in pathlib.Path(f"/proc/{master}/cgroup").read_text().splitlines() if line.startswith("0::")
    )
    return pathlib.Path("/sys/fs/cgroup") / line[len("0::/") :]


def seconds_used(folder: pathlib.Path) -> float:
    """CPU of all processes that are or were in a control group (cgroup-v2: cpu.stat)."""
    lines = (folder / "cpu.stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("usage_usec ")) / 1e6


def cpu() -> Dict[str, float]:
    journal = pathlib.Path("/sys/fs/cgroup/system.slice/systemd-journald.service")
    return {"postfix": seconds_used(group()), "journal": seconds_used(journal)}


class Watch(threading.Thread):
    """Follows Postfix's processes, of which some end before anybody asks what they used up."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.begin = {pid: used for pid, (_name, used) in self._look().items()}
        self.last: Dict[str, Tuple[str, float]] = {}
        self.finished = threading.Event()

    def run(self) -> None:
        while not self.finished.wait(0.2):
            self.last.update(self._look())

    def by_name(self) -> Dict[str, float]:
        self.finished.set()
        self.join()
        self.last.update(self._look())
        totals: Dict[str, float] = collections.defaultdict(float)
        for pid, (name, used) in self.last.items():
            totals[name] += used - self.begin.get(pid, 0)
        return dict(totals)

    @staticmethod
    def _look() -> Dict[str, Tuple[str, float]]:
        seen = {}
        for pid in (group() / "cgroup.procs").read_text().split():
            try:
                used = int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
                seen[pid] = pathlib.Path(f"/proc/{pid}/comm").read_text().strip(), used
            except (OSError, IndexError):
                pass  # it ended just now
        return seen


def watch() -> None:
    watches.append(Watch())
    watches[-1].start()


def watched() -> Dict[str, float]:
    """CPU seconds by kind of process since watch()."""
    return watches.pop().by_name()


def trace() -> None:
    """Count system calls until traced() asks for them."""
    pids = (group() / "cgroup.procs").read_text().split()
    start("strace", "-f", "-c", "-o", "/root/strace.txt", *(f"-p{pid}" for pid in pids))
    time.sleep(2)


def traced() -> Dict[str, int]:
    """The calls of each system call since trace()."""
    tracer = background.pop()
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    rows = [line.split() for line in pathlib.Path("/root/strace.txt").read_text().splitlines()]
    return {row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}


def about() -> Dict[str, str]:
    """What the figures hold for."""
    version = run("postconf", "-dhx", "mail_version").strip()
    return {"postfix": version, "queue": "memory" if SPOOL.is_symlink() else "disk"}


COMMANDS = (
    *(switch, restart, route, netem, no_netem, proxy, sink, sunk, make_batch, put, release, wait),
    *(cpu, watch, watched, trace, traced, about),
)


def main() -> None:
    # Which function, and with what, each line of JSON says.
    commands: Dict[str, Callable[..., object]] = {f.__name__: f for f in COMMANDS}  # type: ignore[explicit-any]
    try:
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            try:
                answer: Dict[str, object] = {"result": commands[name](*arguments)}
            except subprocess.CalledProcessError as error:
                answer = {"error": f"{error}: {error.stdout}"}
            except Exception as error:  # whatever it is, the controller shall say it
                answer = {"error": repr(error)}
            print(json.dumps(answer), flush=True)
    finally:
        for process in background:
            process.terminate()


if __name__ == "__main__":
    main()
