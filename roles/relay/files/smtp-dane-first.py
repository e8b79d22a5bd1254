# SPDX-License-Identifier: GPL-3.0-or-later
"""A source of TLS policies for Postfix: DANE where a domain has it (RFC 7672), else its MTA-STS policy (RFC 8461).

RFC 8461 section 2: an MTA-STS policy must not override a failing DANE validation. An MTA-STS resolver alone would, since
Postfix takes one level for a domain, the first that a map names. So this one is asked in its place, and asks it in turn.
Postfix then looks up the TLSA records itself, and waits where that fails or nothing matches.

Whoever is between this host and its resolver could forge all of that. So DANE is answered only by --dane, by which who has
proven the resolver says so, and only while that proof holds; when it does not, mail waits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import enum
import os
import re
import socket
import sys
import time
from typing import Awaitable, Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Set, Tuple

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.rdata
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.resolver
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof import validator
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

MTA_STS = "/var/lib/mta-sts/policies.sock"
"""In a folder where its user alone can make one, so that nobody answers in its place."""
SECONDS = 20
"""For each question that is asked elsewhere."""
TRY = 5
"""Of these, until a name server is asked once more, as Postfix waits (resolv.conf(5), timeout)."""
ANSWER = 60
"""Seconds for a reply to Postfix, which waits for 100 (socketmap_table(5))."""
REQUEST = 30
"""Seconds for a request, from its wait to its last octet, and for a reply to be taken. Postfix leaves after 10 idle ones."""
FIRST_PASSED = 3
"""The descriptor of the first socket that systemd passes (sd_listen_fds(3))."""
CLIENTS = 500
"""Connections at a time. One more, and the one that has waited longest for a request goes."""
HOSTS = 20
"""Of a domain's mail servers, the most preferred. Postfix tries 5 addresses (postconf(5), smtp_mx_address_limit)."""
LONGEST = 100000
"""Octets of a netstring, as Postfix limits them (socketmap_table(5))."""
DIGESTS = {1: 32, 2: 64}
"""Octets by matching type: SHA-256 and SHA-512 (RFC 6698 section 2.1.3), as tls_dane_digests has them by default."""
# dnspython 2.9 refuses a whole response for one digest of another length; older versions know no such table.
dns.rdtypes.ANY.TLSA.TLSA._cert_length_by_mtype = {}  # pylint: disable=protected-access
COPIES = "/etc/smtp-dane-first"
"""A folder with a link for each instance of Postfix to the resolv.conf below its queue directory, which its clients read."""
PROVEN, DOUBTED = 60, 5
"""Seconds until resolvers are asked again whether they validate."""
DOMAIN = re.compile(r"(?![\d.]+\Z)(?=.{1,253}\Z)[\w-]{1,63}(\.[\w-]{1,63})*\Z")
"""A key that is a domain. The next hops [host] and host:port are the operator's, C(.domain) is a domain's parent."""

NOTFOUND = "NOTFOUND "
ALL_BY_DANE, SOME_BY_DANE = "OK dane-only", "OK dane"
BY_MTA_STS = "OK secure"
OPPORTUNISTIC = ("may", "dane")
"""The levels beside which a policy in testing can be reported, since it demands nothing."""
DEMANDING = ("encrypt", "dane-only", "fingerprint", "verify", "secure")
"""The levels that would fall if a domain had C(dane) instead, at those of its hosts that have no TLSA records."""
MTA_STS_REPLY = re.compile(r"OK secure( [ -~]*)?\Z|(NOTFOUND|TEMP|TIMEOUT|PERM) ")
"""What an MTA-STS resolver may answer: whoever answers in its place lowers no level."""
TESTING = "{ policy_string = mode: testing }"
REPORTED = re.compile(
    r"(?<!\S)(?:policy_type=sts|policy_domain=[\w.-]+|mx_host_pattern=[\w.*-]+|\{ policy_string = [^{}]+ \})(?!\S)",
    re.ASCII,
)
"""Attributes that tell Postfix for which policy it counts a session (TLSRPT_README)."""

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


class Resolvers:
    """Those that this host and each Postfix on it ask, while all of them are proven to validate."""

    def __init__(self, names: validator.Names) -> None:
        self.names = names
        self.lock = asyncio.Lock()
        self.asked: Dict[str, str] = {}
        self.doubt: Optional[str] = None
        self.until = 0.0

    async def proven(self) -> Sequence[str]:
        """Their addresses. Files are read each time, and resolvers asked again where a file has changed, or from time to time."""
        async with self.lock:
            found = named()
            if found != self.asked or time.monotonic() >= self.until:
                self._tell(await asyncio.get_running_loop().run_in_executor(None, self._doubt, found))
                self.asked = found
                self.until = time.monotonic() + (DOUBTED if self.doubt else PROVEN)
            if self.doubt:
                raise Failed(f"DANE was promised here, and {self.doubt}")
            return list(found)

    def _doubt(self, found: Dict[str, str]) -> Optional[str]:
        for address, path in found.items():
            try:
                reason = validator.why_not([address], self.names)
            except HardeningError as problem:  # a name that cannot be asked for
                reason = str(problem)
            if reason:
                return f"{reason} ({path})"
        return None

    def _tell(self, doubt: Optional[str]) -> None:
        if doubt != self.doubt:
            print(f"mail waits: {doubt}" if doubt else "the resolver validates again", file=sys.stderr, flush=True)
        self.doubt = doubt


def named() -> Dict[str, str]:
    """The addresses that this host and each Postfix on it ask, and the file that names each."""
    try:
        found = dict.fromkeys(validator.of_host(validator.RESOLV_CONF), validator.RESOLV_CONF)
        for link in os.scandir(COPIES) if os.path.isdir(COPIES) else ():
            with contextlib.suppress(FileNotFoundError):  # no Postfix has started yet, or none asks from a chroot
                for address in validator.nameservers(link.path):
                    found.setdefault(address, os.path.realpath(link.path))
    except OSError as problem:
        raise Failed(f"{problem.filename}: {problem.strerror}") from problem
    return found


LookUp = Callable[[str, str], Awaitable[Found]]
"""Of a name, the records of one type."""
Ask = Callable[[str], Awaitable[str]]
"""Of a domain, the reply to Postfix."""


async def lookup(addresses: Sequence[str], name: str, kind: str) -> Found:
    """Ask resolvers in the words of their proof. By RFC 6840 section 5.7 the bit AD in a query asks for it in the response; older
    resolvers say it to clients that understand DNSSEC alone (DO), as Postfix's is."""
    try:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = list(addresses)
        resolver.timeout, resolver.lifetime = TRY, SECONDS
        resolver.set_flags(dns.flags.RD | dns.flags.AD)
        resolver.use_edns(0, dns.flags.DO, validator.PAYLOAD)
        answer = await resolver.resolve(f"{name}.", kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return Found(False, name)
    except dns.exception.DNSException as problem:
        raise Failed(f"{kind} {name}: {type(problem).__name__}") from problem
    secure = bool(answer.response.flags & dns.flags.AD)
    return Found(secure, answer.canonical_name.to_text(omit_final_dot=True), tuple(answer.rrset or ()))


class Dane(enum.Enum):
    """What DNSSEC vouches for at one mail server (RFC 7672 section 2.2)."""

    NONE = "no TLSA records: TLS where it is offered"
    UNUSABLE = "TLSA records that authenticate nobody: TLS, with whatever certificate"
    USABLE = "TLSA records that must match"


async def mail_servers(domain: str, ask: LookUp) -> Tuple[str, ...]:
    """The domain's hosts as far as DNSSEC vouches for them: none where it does not (RFC 7672 section 2.2.1). A domain
    without MX records is its own host (section 2.2.2), and what is asked about that tells whether DNSSEC does."""
    found = await ask(domain, "MX")
    if found.records and not found.secure:
        return ()
    records = [record for record in found.records if isinstance(record, dns.rdtypes.ANY.MX.MX)]
    preferred = sorted(records, key=lambda record: record.preference)[:HOSTS]
    names = [record.exchange.to_text(omit_final_dot=True) for record in preferred] or [domain]
    return tuple(name for name in names if name != ".")  # RFC 7505: no mail at all


async def dane(host: str, ask: LookUp) -> Optional[Dane]:
    """What a host must show (RFC 7672 section 2.2.2), or may have to: where a lookup fails, Postfix, whose own will fail
    too, leaves the host alone, if only the level is DANE. C(None) for a host without an address, which nobody asks."""
    try:
        bases = await tlsa_bases(host, ask)
        for name in bases or ():
            tlsa = await ask(f"_25._tcp.{name}", "TLSA")
            if tlsa.secure and tlsa.records:
                return Dane.USABLE if any(map(is_usable, tlsa.records)) else Dane.UNUSABLE
    except Failed:
        return Dane.USABLE
    return None if bases is None else Dane.NONE


async def tlsa_bases(host: str, ask: LookUp) -> Optional[Sequence[str]]:
    """The names below which TLSA records count, the first that has some decides: where an alias leads, then the alias.

    The AD bit is about all of a response. Where an alias leads to an unsigned zone, the alias itself may be signed, and
    what stands below it counts, as it does for Postfix (tls_dane_resolve in tls_dane.c), whatever that zone says of addresses: anybody
    may have forged it.
    """
    address = await ask(host, "A")
    if not address.records:
        address = await ask(host, "AAAA")
    if address.secure:
        return tuple(dict.fromkeys([address.name.lower(), host.lower()])) if address.records else None
    if address.records and address.name.lower() == host.lower():
        return ()
    alias = await ask(host, "CNAME")
    if alias.records:
        return (host,) if alias.secure else ()
    if address.records:
        raise Failed(f"CNAME {host}: no alias any more")
    return None


def is_usable(tlsa: dns.rdata.Rdata) -> bool:
    """RFC 7672 section 3.1: DANE-TA(2) and DANE-EE(3); with any other usage a record authenticates nobody. Nor does one whose
    data cannot be what it says, which OpenSSL skips (SSL_dane_tlsa_add(3))."""
    if not isinstance(tlsa, dns.rdtypes.ANY.TLSA.TLSA) or tlsa.usage not in (2, 3) or tlsa.selector not in (0, 1):
        return False
    if tlsa.mtype in DIGESTS:
        return len(tlsa.cert) == DIGESTS[tlsa.mtype]
    return tlsa.mtype == 0 and _is_readable(tlsa.cert, is_key=tlsa.selector == 1)


def _is_readable(der: bytes, is_key: bool) -> bool:
    """Whether it is a certificate or a public key, as far as anybody here can tell."""
    try:
        if is_key:
            load_der_public_key(der)
        else:
            x509.load_der_x509_certificate(der).public_key()
    except ValueError:
        return False
    except UnsupportedAlgorithm:
        return True
    return True


async def policy(key: str, ask: LookUp, ask_mta_sts: Ask) -> str:
    """The reply to Postfix (socketmap_table(5)) about one next hop."""
    domain = key.lower()
    if not DOMAIN.match(domain):
        return NOTFOUND
    try:
        hosts = await mail_servers(domain, ask)
    except Failed as problem:
        return f"TEMP {problem}"
    found = {each for each in await asyncio.gather(*[dane(host, ask) for host in hosts]) if each}
    return ALL_BY_DANE if found == {Dane.USABLE} else await weigh(found, await ask_mta_sts(domain))


async def weigh(found: Set[Dane], by_mta_sts: str) -> str:
    """The reply where not all hosts must show what TLSA records say.

    Where only some do and an MTA-STS policy protects the others, no level of Postfix does both: mail goes to those with TLSA
    records alone. Where none does, nothing of DANE can fail, and a policy asks for more than the TLS that unusable records ask for.
    """
    if by_mta_sts.startswith(BY_MTA_STS):
        return ALL_BY_DANE if Dane.USABLE in found else by_mta_sts
    if found <= {Dane.NONE} or not by_mta_sts.startswith((NOTFOUND, "OK ")):
        return by_mta_sts
    if await own_level() in DEMANDING:
        return ALL_BY_DANE if Dane.USABLE in found else by_mta_sts
    return " ".join([SOME_BY_DANE, *REPORTED.findall(by_mta_sts)])


async def ask_mta_sts(domain: str, path: str = MTA_STS) -> str:
    """The reply of the MTA-STS resolver, whose zone C(reported) tells policies in testing too (mta-sts-daemon.yml(5))."""
    try:
        reply = await asyncio.wait_for(_exchange(path, f"reported {domain}"), SECONDS)
    except BROKEN as problem:
        return f"TEMP MTA-STS resolver: {type(problem).__name__}"
    if TESTING in reply:
        return reported(reply, await own_level())
    return reply if MTA_STS_REPLY.match(reply) else "TEMP MTA-STS resolver: no answer that it may give"


def reported(reply: str, level: str) -> str:
    """RFC 8461 section 5: a policy in testing holds nothing back, and what fails is reported as its failure. The level that
    holds without it is named, for Postfix takes no attribute without one."""
    return " ".join(["OK", level, *REPORTED.findall(reply)]) if level in OPPORTUNISTIC else NOTFOUND


async def own_level() -> str:
    """The level at which Postfix sends where no map says another. None where its instances or clients differ in it, or where
    C(postconf) cannot tell: this program lowers no level."""
    found: Set[str] = set()
    try:
        (others,) = await _postconf("-hx", "multi_instance_directories")
        for directory in ["", *re.findall(r"[^\s,]+", others)]:
            where = ["-c", directory] if directory else []
            found.update(await _postconf(*where, "-hx", "smtp_tls_security_level"))
            found.update(await _postconf(*where, "-Phx", "*/unix/smtp_tls_security_level"))
    except BROKEN:
        return ""
    return found.pop().lower() if len(found) == 1 else ""


async def _postconf(*words: str) -> Sequence[str]:
    """The lines that C(postconf) prints; a ValueError where it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("postconf", *words, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    try:
        printed, _errors = await asyncio.wait_for(process.communicate(), SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        raise
    if process.returncode:
        raise ValueError(f"postconf ended with {process.returncode}")
    return printed.decode().splitlines()


async def _exchange(path: str, request: str) -> str:
    reader, writer = await asyncio.open_unix_connection(path)
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


async def vouched(key: str, resolvers: Resolvers) -> str:
    """The reply, while the resolvers are proven: still so at its end, or what was heard meanwhile counts for nothing."""

    async def ask(name: str, kind: str) -> Found:
        addresses = await resolvers.proven()
        try:
            return await lookup(addresses, name, kind)
        except Failed:
            resolvers.until = 0.0  # the next question asks first whether they are still there
            raise

    try:
        reply = await policy(key, ask, ask_mta_sts)
        if reply.startswith("OK "):
            await resolvers.proven()
    except Failed as problem:
        return f"TEMP {problem}"
    return reply


async def without_dane(key: str) -> str:
    """The reply where no resolver was ever proven: MTA-STS decides, and nothing that DNS says is believed."""

    async def ask(name: str, _kind: str) -> Found:
        return Found(False, name)

    return await policy(key, ask, ask_mta_sts)


class Options(argparse.Namespace):
    dane: bool
    signed: str
    bogus: str


def options(argv: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--dane", action="store_true", help="the resolver was proven to validate: mail waits when it does not"
    )
    parser.add_argument("--signed", default=validator.Names().signed, help="a name in a signed zone")
    parser.add_argument("--bogus", default=validator.Names().bogus, help="a name whose signatures are wrong")
    return parser.parse_args(argv, Options())


def listening() -> socket.socket:
    """Where Postfix asks: a socket that systemd holds (sd_listen_fds(3)), or any account could listen there while this program starts
    anew, and answer."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit("no socket of systemd's: start smtp-dane-first.socket")
    return socket.socket(fileno=FIRST_PASSED)


async def main(given: Options) -> None:
    resolvers = Resolvers(validator.Names(given.signed, given.bogus))

    async def answer(key: str) -> str:
        return await (vouched(key, resolvers) if given.dane else without_dane(key))

    waiting = Waiting()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # a reply that nobody takes is waited for, not kept
        await converse(reader, writer, answer, waiting)

    server = await asyncio.start_server(serve, sock=listening())
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(options(sys.argv[1:])))
