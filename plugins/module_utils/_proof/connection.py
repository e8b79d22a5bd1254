# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A connection to a listener as its clients make one: from this address or that, and after the words of a proxy where it has one."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import select
import socket
import threading
from dataclasses import dataclass
from typing import Iterator, NamedTuple, Optional

TIMEOUT = 10.0
"""Seconds to wait for one reply."""

TEXT, BINARY = 1, 2
"""The versions of the PROXY protocol (haproxy's doc/proxy-protocol.txt, sections 2.1 and 2.2). Postfix takes both since 3.5."""

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXIED = 0x21
"""Version 2, command PROXY."""
_OVER_TCP = {4: 0x11, 6: 0x21}


@dataclass(frozen=True)
class Target:
    """A listener: where it is, the name its certificate should carry, and whether TLS comes first."""

    address: str
    port: int
    name: str
    implicit_tls: bool = False
    proxy_protocol: Optional[int] = None
    """The version in which a proxy tells it about its clients; ``None`` where it talks to them itself."""
    source: Optional[str] = None
    """The client's address, or a network in which each connection comes from another one; ``None`` where the kernel chooses."""

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


class Endpoint(NamedTuple):
    address: str
    port: int


def connect(target: Target, timeout: float = TIMEOUT) -> socket.socket:
    """A connection on which the listener may speak."""
    client = _client(target)
    bound = None if client is None or target.proxy_protocol else (client, 0)
    sock = socket.create_connection((target.address, target.port), timeout, bound)
    try:
        if target.proxy_protocol:
            own, peer = (Endpoint(*name[:2]) for name in (sock.getsockname(), sock.getpeername()))
            sock.sendall(proxy_header(target.proxy_protocol, own._replace(address=client or own.address), peer))
    except BaseException:
        sock.close()
        raise
    return sock


def proxy_header(version: int, client: Endpoint, server: Endpoint) -> bytes:
    """What a proxy says before anything else: whose connection this is, and to whom."""
    addresses = [ipaddress.ip_address(end.address.partition("%")[0]) for end in (client, server)]
    family = addresses[1].version
    if version == TEXT:
        return f"PROXY TCP{family} {addresses[0]} {addresses[1]} {client.port} {server.port}\r\n".encode()
    ends = b"".join(a.packed for a in addresses) + b"".join(end.port.to_bytes(2, "big") for end in (client, server))
    return _SIGNATURE + bytes([_PROXIED, _OVER_TCP[family]]) + len(ends).to_bytes(2, "big") + ends


@contextlib.contextmanager
def forwarded(target: Target) -> Iterator[str]:
    """Where a program that knows no proxies and chooses no address reaches ``target``, once: through here, as a proxy."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        server.settimeout(TIMEOUT)
        worker = threading.Thread(target=_pass_on, args=(server, target), daemon=True)
        worker.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # who still waits for the program waits no more
            worker.join(TIMEOUT)


def _pass_on(server: socket.socket, target: Target) -> None:
    """What either end says, until one has nothing more to say."""
    with contextlib.suppress(OSError):
        client, _address = server.accept()
        with client, connect(target) as sock:
            other = {client: sock, sock: client}
            while True:
                speaking, _writing, _broken = select.select(list(other), [], [], TIMEOUT)
                said = [(end, end.recv(65536)) for end in speaking]
                for end, data in said:
                    other[end].sendall(data)
                if not all(data for _end, data in said) or not said:
                    return


def _client(target: Target) -> Optional[str]:
    """An address out of the target's network; the first and the last of a network are nobody's."""
    if target.source is None:
        return None
    network = ipaddress.ip_network(target.source)
    size = network.num_addresses
    return str(network[secrets.randbelow(size - 2) + 1 if size > 2 else 0])
