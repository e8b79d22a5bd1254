# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a listener shows to a client that knows nothing of its configuration."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import warnings
from dataclasses import asdict, dataclass, field, replace
from typing import Dict, Iterable, Iterator, Optional, Tuple

from .._certificates.describe import CertificateFacts, certificate_fingerprint, describe
from .._certificates.validity import utc_now
from .._deadline import DeadlinePassed, within
from .._errors import present
from .._model.levels import ClientCertificates, Protocol
from .._postfix.commands import Run
from .connection import BINARY, TEXT, Target, forwarded
from .conversation import Conversation, unverified, verifying

try:
    from cryptography import x509
    from cryptography.hazmat.backends import default_backend
except ImportError:  # pragma: no cover - library.MISSING says so before a function here is called
    pass

_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
_SIGNATURES = {"ecdsa": "ECDSA+SHA256:ECDSA+SHA384", "rsa": "RSA-PSS+SHA256:RSA+SHA256"}
"""What a client that knows one type of key alone offers to verify."""

LOOK = 90.0
"""Seconds for all conversations with one listener. One that sends an octet a second keeps no single reply's deadline."""

TLS_FAILURES = (ssl.SSLError, OSError, smtplib.SMTPException)


@dataclass
class Observation:
    """What was seen at one listener; ``None`` where it could not be seen."""

    listener: str
    implicit_tls: bool
    starttls: bool = False
    plaintext: Optional[str] = None
    """C(accepted) or C(refused): MAIL FROM without TLS."""
    plaintext_reply: Optional[str] = None
    protocols: Dict[str, str] = field(default_factory=dict)
    """Each TLS version: C(accepted), C(refused), or C(untested) where this OpenSSL does not speak it."""
    protocol: Optional[str] = None
    cipher: Optional[str] = None
    certificate: Optional[CertificateFacts] = None
    verified: Optional[bool] = None
    """Whether the CA file given vouches for the name; ``None`` where no CA file was given."""
    verify_error: Optional[str] = None
    by_key_type: Dict[str, Optional[str]] = field(default_factory=dict)
    """SHA-256 of the certificate shown to clients that know C(ecdsa), or C(rsa), alone."""
    by_name: Dict[str, Optional[str]] = field(default_factory=dict)
    """SHA-256 of the certificate shown to clients that ask for a host by name (SNI)."""
    client_certificate: Optional[str] = None
    """C(ignore), C(request) or C(require)."""
    with_own_certificate: Optional[bool] = None
    """Whether the node's own client certificate gets in where one is required."""
    source: Optional[str] = None
    """From which address of the node, or network of such, that was seen; ``None`` for the one that the kernel chooses."""
    proxy_protocol: Dict[str, str] = field(default_factory=dict)
    """Whether the header of a proxy is accepted, by version, where the listener has a proxy before it."""
    error: Optional[str] = None
    recipient_reply: Optional[str] = None
    """What a listener said to a recipient, where it was asked."""

    def as_facts(self) -> Dict[str, object]:
        """As modules return it."""
        return {name: value for name, value in asdict(self).items() if name != "recipient_reply"}


def observe(
    run: Run,
    target: Target,
    *,
    ca_file: Optional[str] = None,
    own_pem: Optional[bytes] = None,
    key_types: Iterable[str] = (),
    names: Iterable[str] = (),
) -> Observation:
    """Talk to ``target`` as several kinds of client and write down what happened.

    Among them clients that know one of ``key_types`` alone, and that ask for one of ``names``.
    """
    seen = Observation(str(target), target.implicit_tls, source=target.source)
    try:
        with within(LOOK, f"{target} has not answered everything within {LOOK:.0f} seconds."):
            if not target.implicit_tls:
                _look_at_plaintext(target, seen)
            if target.proxy_protocol:
                _look_at_proxy_protocol(target, seen)
            if seen.starttls or target.implicit_tls:
                _look_at_tls(target, seen)
                _look_at_protocols(target, seen)
                for kind in key_types:
                    seen.by_key_type[kind] = _shown(run, target, "-sigalgs", _SIGNATURES[kind])
                for name in names:
                    seen.by_name[name] = _shown(run, replace(target, name=name))
                _look_at_client_certificates(run, target, seen, own_pem)
                if ca_file is not None:
                    seen.verified, seen.verify_error = _verify(target, ca_file)
    except (*TLS_FAILURES, DeadlinePassed) as problem:
        seen.error = _sentence(problem)
    return seen


def answer_to_recipient(target: Target, own_pem: Optional[bytes]) -> Optional[str]:
    """What a listener says to a recipient, encrypted where it can be; ``None`` where it does not come to that.

    Not the postmaster, whom smtpd lets through whatever its rules and tables say (smtpd_check.c).
    """
    try:
        context = unverified(own_pem=own_pem)
        with within(LOOK, ""), Conversation(target, context) as conversation:
            if conversation.offers_starttls:
                conversation.starttls(context)
                conversation.ehlo()
            return conversation.recipient(f"proof@{target.name}")
    except (*TLS_FAILURES, DeadlinePassed):
        return None


def _look_at_plaintext(target: Target, seen: Observation) -> None:
    with Conversation(target) as plain:
        seen.starttls = plain.offers_starttls
        code, text = plain.mail_from()
    seen.plaintext = "accepted" if code == 250 else "refused"
    seen.plaintext_reply = f"{code} {text}"


def _look_at_proxy_protocol(target: Target, seen: Observation) -> None:
    for version in (TEXT, BINARY):
        try:
            with Conversation(replace(target, proxy_protocol=version)):
                seen.proxy_protocol[f"v{version}"] = "accepted"
        except TLS_FAILURES:
            seen.proxy_protocol[f"v{version}"] = "refused"


def _look_at_tls(target: Target, seen: Observation) -> None:
    context = unverified()
    with _handshake(target, context) as (_conversation, sock):
        seen.protocol = sock.version()
        used = sock.cipher()
        seen.cipher = used[0] if used else None
        der = sock.getpeercert(binary_form=True)
    seen.certificate = describe([x509.load_der_x509_certificate(der, default_backend())], utc_now()) if der else None


def _look_at_protocols(target: Target, seen: Observation) -> None:
    for protocol in Protocol:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context = unverified(protocol)
        except (ValueError, ssl.SSLError):
            seen.protocols[protocol.value] = "untested"
            continue
        try:
            with _handshake(target, context):
                seen.protocols[protocol.value] = "accepted"
        except smtplib.SMTPResponseException:  # before it comes to a handshake, this is no matter of protocols
            raise
        except TLS_FAILURES:
            seen.protocols[protocol.value] = "refused"


def _look_at_client_certificates(run: Run, target: Target, seen: Observation, own_pem: Optional[bytes]) -> None:
    if not _is_asked_for_certificate(run, target):
        seen.client_certificate = ClientCertificates.IGNORE.value
    elif _gets_in(target, None):
        seen.client_certificate = ClientCertificates.REQUEST.value
    else:
        seen.client_certificate = ClientCertificates.REQUIRE.value
        if own_pem is not None:
            seen.with_own_certificate = _gets_in(target, own_pem)


def _is_asked_for_certificate(run: Run, target: Target) -> bool:
    """Python's ssl does not tell whether the server sent a CertificateRequest; OpenSSL's client does."""
    said = _s_client(run, target)
    return "Requested Signature Algorithms" in said or "Client Certificate Types" in said


def _shown(run: Run, target: Target, *options: str) -> Optional[str]:
    """SHA-256 of the certificate that OpenSSL's client is shown; ``None`` where there is no handshake."""
    pem = _PEM.search(_s_client(run, target, *options))
    if pem is None:
        return None
    return certificate_fingerprint(x509.load_pem_x509_certificate(pem.group().encode(), default_backend()))


def _s_client(run: Run, target: Target, *options: str) -> str:
    starttls = [] if target.implicit_tls else ["-starttls", "smtp"]
    plain = target.source is None and target.proxy_protocol is None
    with contextlib.nullcontext(str(target)) if plain else forwarded(target) as place:
        argv = ["openssl", "s_client", *starttls, "-connect", place, "-servername", target.name, *options]
        return run(argv, stdin="QUIT\r\n").stdout


def _gets_in(target: Target, own_pem: Optional[bytes]) -> bool:
    """Whether a mail transaction may begin after the handshake with (or without) a certificate."""
    began = False
    try:
        with _handshake(target, unverified(own_pem=own_pem)) as (conversation, _sock):
            began = True
            conversation.ehlo()
            return conversation.mail_from()[0] == 250
    except smtplib.SMTPResponseException:
        if began:
            return False
        raise  # who is turned away before the handshake was not asked for a certificate
    except TLS_FAILURES:
        return False


def _verify(target: Target, ca_file: str) -> Tuple[bool, Optional[str]]:
    try:
        with _handshake(target, verifying(ca_file)):
            return True, None
    except ssl.SSLCertVerificationError as problem:
        return False, problem.verify_message
    except TLS_FAILURES as problem:
        return False, _sentence(problem)


@contextlib.contextmanager
def _handshake(target: Target, context: ssl.SSLContext) -> Iterator[Tuple[Conversation, ssl.SSLSocket]]:
    """A conversation in which TLS has just begun."""
    with Conversation(target, context) as conversation:
        yield conversation, present(conversation.tls) if target.implicit_tls else conversation.starttls(context)


def _sentence(problem: BaseException) -> str:
    if isinstance(problem, smtplib.SMTPResponseException):
        text = (
            problem.smtp_error.decode("ascii", "replace")
            if isinstance(problem.smtp_error, bytes)
            else problem.smtp_error
        )
        return f"{problem.smtp_code} {text}"
    return str(problem) or type(problem).__name__
