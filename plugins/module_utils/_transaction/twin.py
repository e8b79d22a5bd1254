# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second Postfix with the staged configuration, on loopback ports of its own.

What it refuses or gets wrong never reaches the live one. It has its own queue and data folders,
below the live queue so that sockets there (a milter's, an authentication server's) can be given
to it as hard links, also inside the chroot. It ends by itself if nobody ends it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import Dict, Iterator, List, Mapping

from .. import _files as files
from .._bytes import to_bytes, to_text
from .._errors import PostfixError
from .._folder import Folder, like, open_folder
from .._postfix.commands import Postfix
from .._postfix.state import STORE, Service, State
from .mirror import mirror_configuration, mirror_queue

LIFETIME = 120
"""Seconds after which the twin's master ends by itself (master(8), -e)."""

HELPERS = frozenset(
    "anvil bounce cleanup dnsblog postlogd proxymap spawn tlsmgr tlsproxy trivial-rewrite verify".split()
)
"""Programs that a listener asks. None of them delivers mail or listens to the network."""

FOREIGN = "spawn"
"""Starts a program of somebody else's, such as a policy server, which may bear no second one beside it (spawn(8)): where the
live Postfix has it, the twin asks that one."""

_CACHE = re.compile(r"\w+_cache_(?:database|map|name)\Z|address_verify_map\Z")
_IN_A_FILE = re.compile(r"(?:proxy:)?(?:btree|cdb|dbm|hash|lmdb|sdbm):")
"""Types of tables, as DATABASE_README names them."""

POSTLOG = Service("postlog", "unix-dgram", "n", "postlogd", {}, "postlog unix-dgram n - n - 1 postlogd")


def folder(queue_dir: str) -> str:
    return os.path.join(queue_dir, STORE)


@contextmanager
def running(postfix: Postfix, state: State, stage: str) -> Iterator[Postfix]:
    """The twin of ``stage``, which is gone afterwards whatever happens. ``state`` is the stage's, as it reads in its place."""
    queue_dir = state.effective["queue_directory"]
    try:
        twin = _build(postfix, state, queue_dir, stage)
        _start(twin, state)
        yield twin
    finally:
        remove(postfix, queue_dir)


def remove(postfix: Postfix, queue_dir: str) -> None:
    """Stop a twin, if there is one, and take its folders away."""
    here = folder(queue_dir)
    if not files.exists(here):
        return
    _stop(postfix, os.path.join(here, "config"), os.path.join(here, "spool"))
    _remove_patiently(here)


def _stop(postfix: Postfix, config: str, spool: str) -> None:
    """Kill the twin's processes, without a word to its log: nobody may be there to take it (postlogd(8))."""
    if not files.exists(os.path.join(config, "main.cf")):
        return
    master = os.path.join(postfix.at(config).postconf("-hx", "daemon_directory").strip(), "master")
    if postfix.run([master, "-c", config, "-t"]).rc == 0:  # its lock is free, so it does not run (master(8))
        return
    pid = postfix.master_pid(spool)
    try:
        if pid and _runs_with(pid, config):
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has just ended
        pass


def _runs_with(pid: int, config: str) -> bool:
    """Whether this is root's process for that configuration: others may have written the number."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return to_bytes(config) in handle.read().split(b"\0") and os.stat(f"/proc/{pid}").st_uid == os.geteuid()
    except OSError:  # gone, or no Linux
        return False


def _remove_patiently(path: str) -> None:
    """Daemons that are just ending may still write: try again for a moment."""
    for _attempt in range(40):
        try:
            return files.remove(path)
        except OSError:
            time.sleep(0.05)
    files.remove(path)


def complaints(queue_dir: str) -> str:
    """What the twin logged that explains a failure."""
    try:
        text = to_text(files.read(os.path.join(folder(queue_dir), "log")))
    except FileNotFoundError:
        return ""
    found = re.findall(r"(?:warning|error|fatal|panic): .*", text)
    return "; ".join(dict.fromkeys(line for line in found if not _OURS.search(line)))


_OURS = re.compile("lost connection|unsupported protocol")
"""What the proof itself provokes when it asks for old TLS versions."""


def _build(postfix: Postfix, state: State, queue_dir: str, stage: str) -> Postfix:
    remove(postfix, queue_dir)
    place = folder(queue_dir)
    draft, config, spool, data = (os.path.join(place, name) for name in ("draft", "config", "spool", "data"))
    with open_folder(queue_dir) as queue, queue.make(STORE) as here:
        _make_folders(state, queue, here)
        mirror_configuration(stage, draft)
        files.write(os.path.join(draft, "main.cf"), _main_cf(state), 0o600)
        services = _services(state)
        files.write(os.path.join(draft, "master.cf"), to_bytes("".join(f"{s.entry}\n" for s in services)), 0o600)
        files.write(os.path.join(place, "log"), b"", 0o600)
        postfix.at(draft).edit(
            {**_caches(state.effective, data), **_parameters(place, spool, data)},
            overrides={
                f"{service.key}/{k}": v for service in services for k, v in _caches(service.overrides, data).items()
            },
        )
        for name in ("main.cf", "master.cf"):
            files.age(os.path.join(draft, name))
        # Complete or not there: until its main.cf names its own queue, its lock would be the live one's.
        with here.folder("draft") as made:
            made.let_in(0o755)  # proxymap(8) opens tables there when it is root no more
        here.move("draft", here, "config")
        here.let_in(0o711)  # the last: until now, nobody else could look in
    return postfix.at(config)


def _make_folders(state: State, queue: Folder, here: Folder) -> None:
    here.make("draft").close()
    with here.make("spool") as spool, here.make("data") as data:
        mirror_queue(queue, spool, {service.name for service in state.services if not _is_shared(state, service)})
        spool.let_in(0o755)
        with open_folder(state.effective["data_directory"]) as live:
            like(data.descriptor, live.descriptor)


def _parameters(here: str, spool: str, data: str) -> Mapping[str, str]:
    return {
        "queue_directory": spool,
        "data_directory": data,
        "in_flow_delay": "0",  # no queue manager here to say that mail flows (cleanup(8))
        "maillog_file": os.path.join(here, "log"),
        "maillog_file_prefixes": here,
        "master_service_disable": "",
        "multi_instance_enable": "no",
        "notify_classes": "",
    }


def _caches(values: Mapping[str, str], data: str) -> Dict[str, str]:
    """Each cache, in a file of its own and of the same type: a program that has one open for writing lets no other in
    (dict_open(3), DICT_FLAG_OPEN_LOCK). What is no file is shared, as servers and the tables that ask them are."""
    found: Dict[str, str] = {}
    for name, value in values.items():
        in_a_file = _IN_A_FILE.match(value)
        if _CACHE.match(name) and in_a_file:
            found[name] = f"{in_a_file.group()}{os.path.join(data, name)}"
        elif name == "tls_random_exchange_name":
            found[name] = os.path.join(data, name)
    return found


def _main_cf(state: State) -> bytes:
    """What main.cf sets, each parameter once. Of a duplicate every process warns at its start, and postlogd,
    which takes these warnings, ends in a deadlock over ten of its own."""
    return to_bytes("".join(f"{name} = {value}\n" for name, value in state.explicit.items()))


def _services(state: State) -> List[Service]:
    """master.cf of the twin: each listener on a loopback port of its own, and what listeners ask."""
    found = [] if any(service.command == "postlogd" for service in state.services) else [POSTLOG]
    listeners = [service for service in state.services if service.is_listener]
    found += [service.at(address) for service, address in zip(listeners, _free_addresses(state, len(listeners)))]
    asked = (service for service in state.services if service.command in HELPERS or service.command == "smtpd")
    return [*found, *(s for s in asked if s.kind != "inet" and not _is_shared(state, s))]


def _is_shared(state: State, service: Service) -> bool:
    """Whether the twin talks to the live one, whose socket is given to it, rather than start another."""
    places = (os.path.join(state.effective["queue_directory"], place, service.name) for place in ("private", "public"))
    return service.command == FOREIGN and any(files.exists(path) for path in places)


def _free_addresses(state: State, count: int) -> List[str]:
    """A loopback address with ports that nobody listens to."""
    ipv6 = state.effective["inet_protocols"] == "ipv6"
    with ExitStack() as held:  # all at once, or one port might be found twice
        probes = [
            held.enter_context(socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)) for _each in range(count)
        ]
        for probe in probes:
            probe.bind(("::1" if ipv6 else "127.0.0.1", 0))
        return [f"{'[::1]' if ipv6 else '127.0.0.1'}:{probe.getsockname()[1]}" for probe in probes]


def _start(twin: Postfix, state: State) -> None:
    master = os.path.join(state.effective["daemon_directory"], "master")
    done = twin.run([master, "-c", twin.config_dir, "-w", "-e", str(LIFETIME)])
    if done.rc:
        reason = complaints(state.effective["queue_directory"]) or done.stderr.strip() or f"exit status {done.rc}"
        raise PostfixError(f"Postfix does not start with the new configuration: {reason}.")
