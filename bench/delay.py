# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy that adds delay and limits nothing, where the kernel has no netem.

Like "tc netem delay" on the client's interface: what the client sends arrives later, answers come at once, so
that a round trip takes the delay longer; a connection is there after two crossings (SYN, ACK).

Usage: delay.py MILLISECONDS LISTEN-ADDRESS=TARGET-ADDRESS ...
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable

PORT = 25


class Server(asyncio.Protocol):
    """The connection to the target."""

    def __init__(self, client: asyncio.Transport) -> None:
        self.client = client

    def data_received(self, data: bytes) -> None:
        self.client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.close()


class Client(asyncio.Protocol):
    """A client's connection: each piece of data goes on, in order, after the delay."""

    def __init__(self, target: str, delay: float) -> None:
        self.target, self.delay = target, delay
        self.server: asyncio.Transport | None = None
        self.early: list[Callable[[asyncio.Transport], None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a TCP connection has a transport for both directions")
        self.loop, self.transport = asyncio.get_running_loop(), transport
        self.task = self.loop.create_task(self.connect())

    async def connect(self) -> None:
        await asyncio.sleep(2 * self.delay)
        try:
            self.server, _protocol = await self.loop.create_connection(
                lambda: Server(self.transport), self.target, PORT
            )
        except OSError:
            self.transport.close()
            return
        for action in self.early:
            action(self.server)

    def later(self, action: Callable[[asyncio.Transport], None]) -> None:
        self.loop.call_later(self.delay, self.act, action)

    def act(self, action: Callable[[asyncio.Transport], None]) -> None:
        if self.server is None:
            self.early.append(action)
        else:
            action(self.server)

    def data_received(self, data: bytes) -> None:
        self.later(lambda server: server.write(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.later(lambda server: server.close())


async def main(milliseconds: str, *routes: str) -> None:
    loop = asyncio.get_running_loop()
    for route in routes:
        address, target = route.split("=")
        await loop.create_server(functools.partial(Client, target, int(milliseconds) / 1000), address, PORT)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
