# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix as somebody has it who is no user of the collection yet."""

import contextlib
import os
import smtplib

from conftest import answers, sh, succeed
from pems import HOST

FILES = "/etc/taken_over"
"""A folder of somebody's, as certbot or a person would have it."""
PORT = "127.0.0.1:2525"
SERVICE = f"{PORT}/inet"


def put(name, content, folder=FILES):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w") as handle:
        handle.write(content)
    return path


def configure(**values):
    sh("postconf", "-e", *(f"{name}={value}" for name, value in values.items()))


def listener(*overrides, command="smtpd", limit="-"):
    """One more listener of the live Postfix; a postscreen has an smtpd of its own behind it."""
    if command == "postscreen":
        overrides, limit = (*overrides, "smtpd_service_name=screened"), "1"
        sh("postconf", "-Me", "screened/pass=screened pass - - y - - smtpd")
    words = " ".join(f"-o {override}" for override in overrides)
    sh("postconf", "-Me", f"{SERVICE}={PORT} inet n - y - {limit} {command} {words}")


def reloaded():
    sh("postfix", "reload")
    assert answers()


def changes(**parameters):
    """A change that is proven."""
    return succeed("smtp_settings", parameters=parameters or {"smtpd_banner": f"{HOST} ESMTP taken over"})


def of_listener(result):
    """What the proof saw of it."""
    return next(fact for fact in result["proof"] if fact["service"] == SERVICE)


@contextlib.contextmanager
def smtp(port):
    """A client that stays as long as a test needs it."""
    connection = smtplib.SMTP("127.0.0.1", port, timeout=30)
    try:
        connection.ehlo("x.example")
        yield connection
    finally:
        connection.close()
