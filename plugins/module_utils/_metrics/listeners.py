# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether Postfix runs, and whether its listeners greet."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket
import ssl
import time
from typing import Dict

from .._bytes import to_text
from .._errors import HardeningError
from .._postfix.processes import name_of
from .._postfix.state import Service, State
from .._proof.connection import Target, connect
from .._proof.conversation import unverified
from .._proof.listeners import listener_of
from .._proof.vantages import TURNED_AWAY, vantages
from .._transaction import history
from .instance import commands, enabled
from .policies import in_wrapper_mode, server_policy

SECONDS = 10.0
"""For a listener's greeting. postscreen keeps clients it does not know waiting for 6 (postscreen_greet_wait)."""
GREETING = 16384
"""Octets of it."""
AT_ONCE = 16


def master_runs(state: State) -> bool:
    """Whether the process that master.pid names is there. Testing the lock would keep a master from starting."""
    pid = commands(state.config_dir).master_pid(state.effective["queue_directory"])
    return pid > 0 and name_of(pid) == "master"


def check_listeners(state: State, runs: bool) -> Dict[str, bool]:
    """Each own listener, and whether it greets."""
    listeners = [service for service in enabled(state) if service.is_listener]
    if not runs:
        return {service.key: False for service in listeners}
    unproven = history.unproven(state.config_dir)
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        up = pool.map(lambda s: greets(state, s, answers_suffice=s.key in unproven), listeners)
        return dict(zip([s.key for s in listeners], up))


def greets(state: State, service: Service, answers_suffice: bool = False) -> bool:
    """Whether a listener says 220, or 421 where that is right, while there is time: to this client of the host or to that.
    Where that is known to be done for none of them (C(unproven)), any answer suffices."""
    expected = b"421" if turns_us_away(state, service) else b"220"
    end = time.monotonic() + SECONDS
    try:
        target = listener_of(state, service).target
        for client in vantages(target, state.found(service)):
            heard = _heard(client, end)
            if heard[:3] == expected or (answers_suffice and heard[:3].isdigit()):
                return True
            if not TURNED_AWAY.match(to_text(heard)):
                return False
    except (OSError, ValueError, HardeningError):
        pass
    return False


def _heard(target: Target, end: float) -> bytes:
    with connect(target, _left(end)) as sock:
        sock.settimeout(_left(end))
        with _any_tls().wrap_socket(sock) if target.implicit_tls else contextlib.nullcontext(sock) as spoken:
            return _says(spoken, end)


def turns_us_away(state: State, service: Service) -> bool:
    """In wrapper mode, a server that requires certificates does not greet who has none (smtpd(8))."""
    if service.command != "smtpd" or service.kind != "inet" or not in_wrapper_mode(state, service):
        return False
    return server_policy(state, service).client_certificates == "require"


def address_of(state: State, service: Service) -> str:
    """Where a listener is asked; nowhere, where this host does not know its port."""
    try:
        return listener_of(state, service).target.address
    except HardeningError:
        return ""


def _left(end: float) -> float:
    """Seconds until then; TimeoutError where there are none."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _says(sock: socket.socket, end: float) -> bytes:
    """The greeting, or its first line. Leaving without QUIT would be logged as a lost connection."""
    heard = _hear(sock, b"", end)
    while heard[3:4] == b"-":  # postscreen's teaser: who answers now speaks too early
        heard = _hear(sock, heard.partition(b"\n")[2], end)
    if heard:
        with contextlib.suppress(OSError):
            sock.sendall(b"QUIT\r\n")
            _hear(sock, b"", end)
    return heard


def _hear(sock: socket.socket, heard: bytes, end: float) -> bytes:
    """What is said until a line ends, or the connection, after what was heard before."""
    while b"\n" not in heard:
        if len(heard) > GREETING:
            raise ValueError("no line of SMTP")
        sock.settimeout(_left(end))
        said = sock.recv(2048)
        if not said:
            break
        heard += said
    return heard


def _any_tls() -> ssl.SSLContext:
    """TLS with whomever: what a certificate is worth is seen in the files."""
    context = unverified()
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
