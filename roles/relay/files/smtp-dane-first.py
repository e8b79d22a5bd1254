# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of TLS policies for Postfix: DANE where a domain has it (RFC 7672), else its MTA-STS policy (RFC 8461).

RFC 8461 section 2: an MTA-STS policy must not override a failing DANE validation. An MTA-STS resolver alone would, since
Postfix takes one level for a domain, the first that a map names. So this one is asked in its place, and asks it in turn.
Postfix then looks up the TLSA records itself, and waits where that fails or nothing matches.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from typing import Awaitable, Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.rdata
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.resolver

LISTEN = ("127.0.0.1", 8462)
MTA_STS = ("127.0.0.1", 8461)
SECONDS = 20
"""For each question that is asked elsewhere."""
ANSWER = 60
"""Seconds for a reply to Postfix, which waits for 100 (socketmap_table(5))."""
REQUEST = 30
"""Seconds for a request, from its wait to its last octet, and for a reply to be taken. Postfix leaves after 10 idle ones."""
CLIENTS = 500
"""Connections at a time. One more, and the one that has waited longest for a request goes."""
HOSTS = 20
"""Of a domain's mail servers, the most preferred. Postfix tries 5 addresses (postconf(5), smtp_mx_address_limit)."""
LONGEST = 100000
"""Octets of a netstring, as Postfix limits them (socketmap_table(5))."""
DOMAIN = re.compile(r"(?![\d.]+\Z)(?=.{1,253}\Z)[\w-]{1,63}(\.[\w-]{1,63})*\Z")
"""A key that is a domain. The next hops [host] and host:port are the operator's, C(.domain) is a domain's parent."""

NOTFOUND = "NOTFOUND "
ALL_BY_DANE, SOME_BY_DANE = "OK dane-only", "OK dane"
MTA_STS_REPLY = re.compile(r"OK secure( [ -~]*)?\Z|(NOTFOUND|TEMP|TIMEOUT|PERM) ")
"""What an MTA-STS resolver may answer: whoever answers in its place lowers no level."""

BROKEN = (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.TimeoutError)
"""What a peer that goes away, is late, or speaks something else comes to."""


class Failed(Exception):
    """No answer, or none that DNSSEC lets pass: SERVFAIL, or none in time."""


class Found(NamedTuple):
    """A response of DNS."""

    secure: bool
    name: str
    """What the name asked for is an alias of, or itself."""
    records: Sequence[dns.rdata.Rdata] = ()


LookUp = Callable[[str, str], Awaitable[Found]]
"""Of a name, the records of one type."""
Ask = Callable[[str], Awaitable[str]]
"""Of a domain, the reply to Postfix."""


async def lookup(name: str, kind: str) -> Found:
    """Ask the resolver that Postfix asks. RFC 6840 section 5.7: the AD bit in a query asks for it in the response."""
    try:
        resolver = dns.asyncresolver.Resolver()
        resolver.lifetime = SECONDS
        resolver.set_flags(dns.flags.RD | dns.flags.AD)
        answer = await resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return Found(False, name)
    except dns.exception.DNSException as problem:
        raise Failed(f"{kind} {name}: {type(problem).__name__}") from problem
    secure = bool(answer.response.flags & dns.flags.AD)
    return Found(secure, answer.canonical_name.to_text(omit_final_dot=True), tuple(answer.rrset or ()))


async def mail_servers(domain: str, ask: LookUp) -> Tuple[str, ...]:
    """The domain's hosts as far as DNSSEC vouches for them: none where it does not (RFC 7672 section 2.2.1)."""
    found = await ask(domain, "MX")
    if not found.secure:
        return ()
    records = [record for record in found.records if isinstance(record, dns.rdtypes.ANY.MX.MX)]
    preferred = sorted(records, key=lambda record: record.preference)[:HOSTS]
    names = [record.exchange.to_text(omit_final_dot=True) for record in preferred] or [domain]
    return tuple(name for name in names if name != ".")  # RFC 7505: no mail at all


async def has_dane(host: str, ask: LookUp) -> bool:
    """Whether a host must show what TLSA records say (RFC 7672 section 2.2.2), or may have to: where a lookup fails,
    Postfix, whose own will fail too, leaves the host alone, if only the level is DANE."""
    try:
        address = await ask(host, "A")
        if not address.secure:
            return False
        for name in dict.fromkeys([address.name, host]):
            tlsa = await ask(f"_25._tcp.{name}", "TLSA")
            if tlsa.secure and any(map(is_usable, tlsa.records)):
                return True
    except Failed:
        return True
    return False


def is_usable(tlsa: dns.rdata.Rdata) -> bool:
    """RFC 7672 section 3.1: DANE-TA(2) and DANE-EE(3); with any other usage a record authenticates nobody."""
    if not isinstance(tlsa, dns.rdtypes.ANY.TLSA.TLSA):
        return False
    return tlsa.usage in (2, 3) and tlsa.selector in (0, 1) and tlsa.mtype in (0, 1, 2)


async def policy(key: str, ask: LookUp, ask_mta_sts: Ask) -> str:
    """The reply to Postfix (socketmap_table(5)) about one next hop.

    Where only some hosts have TLSA records and an MTA-STS policy protects the others, no level of Postfix does both: mail
    goes to those with TLSA records alone.
    """
    domain = key.lower()
    if not DOMAIN.match(domain):
        return NOTFOUND
    try:
        hosts = await mail_servers(domain, ask)
    except Failed as problem:
        return f"TEMP {problem}"
    dane = await asyncio.gather(*[has_dane(host, ask) for host in hosts])
    if dane and all(dane):
        return ALL_BY_DANE
    by_mta_sts = await ask_mta_sts(domain)
    if any(dane) and by_mta_sts == NOTFOUND:
        return SOME_BY_DANE
    return ALL_BY_DANE if any(dane) and by_mta_sts.startswith("OK ") else by_mta_sts


async def ask_mta_sts(domain: str, address: Tuple[str, int] = MTA_STS) -> str:
    """The reply of the MTA-STS resolver."""
    try:
        reply = await asyncio.wait_for(_exchange(address, f"postfix {domain}"), SECONDS)
    except BROKEN as problem:
        return f"TEMP MTA-STS resolver: {type(problem).__name__}"
    return reply if MTA_STS_REPLY.match(reply) else "TEMP MTA-STS resolver: no answer that it may give"


async def _exchange(address: Tuple[str, int], request: str) -> str:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(netstring(request))
        return await read_netstring(reader)
    finally:
        writer.close()


def netstring(text: str) -> bytes:
    content = text.encode()
    return b"%d:%b," % (len(content), content)


async def read_netstring(reader: asyncio.StreamReader) -> str:
    """One netstring (https://cr.yp.to/proto/netstrings.txt). What is none is a ValueError, the end an EOFError."""
    length = (await reader.readuntil(b":"))[:-1]
    if not re.match(rb"(0|[1-9]\d{0,5})\Z", length) or int(length) > LONGEST:
        raise ValueError(f"no length of a netstring: {length!r}")
    content = await reader.readexactly(int(length) + 1)
    if content[-1:] != b",":
        raise ValueError("a netstring without its comma")
    return content[:-1].decode()


class Waiting:
    """The connections that wait for a request, the longest first."""

    def __init__(self) -> None:
        self.tasks: Dict[asyncio.Task[None], None] = {}
        self.connections = 0

    @contextlib.contextmanager
    def connection(self) -> Iterator[None]:
        self.connections += 1
        if self.connections > CLIENTS and self.tasks:
            longest = next(iter(self.tasks))  # pylint: disable=stop-iteration-return
            del self.tasks[longest]
            longest.cancel()
        try:
            yield
        finally:
            self.connections -= 1

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        task = asyncio.current_task()
        if task:
            self.tasks[task] = None
        try:
            yield
        finally:
            if task:
                self.tasks.pop(task, None)


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Ask, waiting: Optional[Waiting] = None
) -> None:
    """Answer the requests of one connection, C(name key) each, until the client goes away, is too slow or no socketmap client."""
    waiting = waiting or Waiting()
    try:
        with waiting.connection():
            while True:
                with waiting.request():
                    request = await asyncio.wait_for(read_netstring(reader), REQUEST)
                writer.write(netstring(await in_time(answer, request.partition(" ")[2])))
                await asyncio.wait_for(writer.drain(), REQUEST)
    except (asyncio.TimeoutError, asyncio.CancelledError):
        writer.transport.abort()
    except BROKEN:
        pass
    finally:
        writer.close()


async def in_time(answer: Ask, key: str) -> str:
    """The reply, or that there is none yet: mail waits."""
    try:
        return await asyncio.wait_for(answer(key), ANSWER)
    except asyncio.TimeoutError:
        return "TEMP DNS is late"
    except Exception as problem:
        print(f"no reply: {type(problem).__name__}", file=sys.stderr)
        return f"TEMP {type(problem).__name__}"


async def main() -> None:
    async def answer(key: str) -> str:
        return await policy(key, lookup, ask_mta_sts)

    waiting = Waiting()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # a reply that nobody takes is waited for, not kept
        await converse(reader, writer, answer, waiting)

    server = await asyncio.start_server(serve, *LISTEN)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
