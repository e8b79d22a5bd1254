# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One SMTP conversation, with STARTTLS or implicit TLS (RFC 5321, RFC 3207, RFC 8314)."""

from __future__ import annotations

import smtplib
import socket
import ssl
from types import TracebackType
from typing import Optional, Tuple, Type

from .. import _given
from .._errors import present
from .._memory import lent
from .._model.levels import Protocol
from .connection import TIMEOUT, Target, connect

HELO = "proof.invalid"
"""How a proof introduces itself (RFC 2606): it never sends a message."""

_NAME_REFUSED = (450, 501, 504, 550, 554)

_VERSIONS = {
    Protocol.TLS_1_0: ssl.TLSVersion.TLSv1,
    Protocol.TLS_1_1: ssl.TLSVersion.TLSv1_1,
    Protocol.TLS_1_2: ssl.TLSVersion.TLSv1_2,
    Protocol.TLS_1_3: ssl.TLSVersion.TLSv1_3,
}


class Conversation:
    """A connection to ``target``: past greeting and EHLO, or with implicit TLS past the handshake."""

    def __init__(
        self, target: Target, context: Optional[ssl.SSLContext] = None, timeout: Optional[float] = None
    ) -> None:
        timeout = TIMEOUT if timeout is None else timeout
        self.target = target
        self.greeted = False
        self.tls: Optional[ssl.SSLSocket] = None
        self.smtp = smtplib.SMTP(timeout=timeout, local_hostname=HELO)
        sock = connect(target, timeout)
        try:
            if target.implicit_tls:
                sock = self.tls = (context or unverified()).wrap_socket(sock, server_hostname=target.name)
            self._speak_over(sock)
            if not target.implicit_tls:
                self.ehlo()
        except BaseException:
            sock.close()
            raise

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], problem: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Politely, unless something has gone wrong: the answer to QUIT may never come."""
        try:
            if kind is None:
                self.smtp.quit()
        except (OSError, smtplib.SMTPException):
            pass
        finally:
            self.smtp.close()

    @property
    def offers_starttls(self) -> bool:
        return self.smtp.has_extn("starttls")

    def starttls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Begin TLS; the state before it is forgotten (RFC 3207 section 4.2). No EHLO yet."""
        self._must(220, self.smtp.docmd("STARTTLS"))
        sock = context.wrap_socket(present(self.smtp.sock), server_hostname=self.target.name)
        self._speak_over(sock)
        self.smtp.ehlo_resp = self.smtp.helo_resp = None
        self.smtp.esmtp_features = {}
        return sock

    def ehlo(self) -> None:
        if not self.greeted:
            self._must(220, self.smtp.getreply())
            self.greeted = True
        for name in self._names():
            reply = self.smtp.ehlo(name)
            if reply[0] not in _NAME_REFUSED:
                break
        self._must(250, reply)

    def _names(self) -> Tuple[str, str, str]:
        """How this client may introduce itself. Some servers look names up, or want one that says something, before all else
        (postconf(5), smtpd_delay_reject)."""
        address = present(self.smtp.sock).getsockname()[0]
        literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        return HELO, literal, self.target.name

    def mail_from(self) -> Tuple[int, str]:
        """The answer to MAIL FROM:<>, taken back at once: no message is ever sent."""
        code, text = self.smtp.docmd("MAIL", "FROM:<>")
        self.smtp.rset()
        return code, text.decode("ascii", "replace")

    def recipient(self, address: str) -> str:
        """The answer to RCPT TO after MAIL FROM:<>, taken back at once."""
        self.smtp.docmd("MAIL", "FROM:<>")
        code, text = self.smtp.docmd("RCPT", f"TO:<{address}>")
        self.smtp.rset()
        return f"{code} {text.decode('ascii', 'replace')}"

    def _speak_over(self, sock: socket.socket) -> None:
        self.smtp.sock, self.smtp.file = sock, None

    @staticmethod
    def _must(code: int, reply: Tuple[int, bytes]) -> None:
        if reply[0] != code:
            raise smtplib.SMTPResponseException(*reply)


def unverified(protocol: Optional[Protocol] = None, own_pem: Optional[bytes] = None) -> ssl.SSLContext:
    """A context that takes any certificate and, to find out what is refused, any protocol and cipher. ``own_pem`` holds the
    client's own certificate, chain and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocol is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = _VERSIONS[protocol]
    if own_pem is not None:
        with lent(own_pem) as path:
            context.load_cert_chain(path)
    return context


def verifying(ca_file: str, ca_path: str = "") -> ssl.SSLContext:
    """A context that takes only certificates for the right name, issued by a CA in ``ca_file`` or in the folder ``ca_path``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        with _given.opened(ca_file) as path:
            context.load_verify_locations(path)
    if ca_path:
        context.load_verify_locations(capath=ca_path)
    return context
