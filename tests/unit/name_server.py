# SPDX-License-Identifier: GPL-3.0-or-later
"""A name server on loopback that says what a test wants to be said, and signs what it is told to sign."""

from __future__ import annotations

import socketserver
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

DAY = 86400


class Zone(socketserver.ThreadingUDPServer):
    """A name server of (name, type): values; a code in place of the values is answered as that."""

    daemon_threads = True

    def __init__(self, records, vouches=True, authoritative=False, signed=None, ttl=300):
        super().__init__(("127.0.0.1", 0), Question)
        self.records, self.vouches, self.authoritative, self.ttl = records, vouches, authoritative, ttl
        self.signed = signed
        """When signatures began and when they end, in seconds from now; none for an unsigned zone."""

    def answer(self, data):
        query = dns.message.from_wire(data)
        asked = query.question[0]
        reply = dns.message.make_response(query)
        found = self.records.get((str(asked.name), asked.rdtype.name), dns.rcode.NXDOMAIN)
        if isinstance(found, dns.rcode.Rcode):
            reply.set_rcode(found)
        elif found:
            texts = [f'"{one}"' if asked.rdtype.name == "TXT" else one for one in found]
            reply.answer.append(dns.rrset.from_text(asked.name, self.ttl, "IN", asked.rdtype, *texts))
            if self.signed:
                reply.answer.append(self.signature(asked))
        if self.vouches:
            reply.flags |= dns.flags.AD
        if self.authoritative:
            reply.flags |= dns.flags.AA
        return reply.to_wire()

    def signature(self, asked):
        begins, ends = (int(time.time()) + seconds for seconds in self.signed)
        return dns.rrset.from_text(
            asked.name,
            self.ttl,
            "IN",
            "RRSIG",
            f"{asked.rdtype.name} 13 2 {self.ttl} {ends} {begins} 1 example.com. AAAA",
        )


class Question(socketserver.BaseRequestHandler):
    def handle(self):
        data, server = self.request
        server.sendto(self.server.answer(data), self.client_address)
