# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server of Postfix demands of those who send, as a client sees it."""

import smtplib
import ssl

from servers import PROTOCOLS
from view import View


def listen(instance, _servers, row):
    """What the posture says of the services of a row, and what a client meets at the one that listens."""
    instance.configure(row)
    found = View(instance.folder).told([])
    instance.start()
    try:
        found["wire"] = meet(*instance.words["listen"].split(":"), row.get("wrapped", False))
        found["service"] = f"{instance.words['listen']}/inet"
    finally:
        instance.stop()
    return found


def meet(address, port, wrapped):
    if wrapped:
        with smtplib.SMTP_SSL(address, int(port), timeout=20, context=context("TLSv1.3")) as smtp:
            return {"offers TLS": True, "takes plaintext": False, "protocols": [], "mail": smtp.mail("a@b.test")[0]}
    with smtplib.SMTP(address, int(port), timeout=20) as smtp:
        smtp.ehlo()
        offers = smtp.has_extn("starttls")
        plaintext = smtp.mail("somebody@client.test")[0] == 250
    taken = [name for name in PROTOCOLS if offers and shakes_hands(address, port, name)]
    return {"offers TLS": offers, "takes plaintext": plaintext, "protocols": taken}


def shakes_hands(address, port, protocol):
    try:
        with smtplib.SMTP(address, int(port), timeout=20) as smtp:
            return smtp.starttls(context=context(protocol))[0] == 220
    except (ssl.SSLError, OSError, smtplib.SMTPException):
        return False


def context(protocol):
    """A client's side of TLS in one version."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version = made.maximum_version = PROTOCOLS[protocol]
    return made
