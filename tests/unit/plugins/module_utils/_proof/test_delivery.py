# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._proof.delivery import Delivery, follow

LOG = """\
Nov 24 10:00:00 mx1 postfix/pickup[10]: AAAA: uid=0 from=<probe>
Nov 24 10:00:00 mx1 postfix/cleanup[11]: AAAA: message-id=<one@mx1>
Nov 24 10:00:00 mx1 postfix/cleanup[11]: BBBB: message-id=<two@mx1>
Nov 24 10:00:00 mx1 postfix/smtp[20]: Verified TLS connection established to mx2[192.0.2.2]:25: TLSv1.3 with cipher X
Nov 24 10:00:00 mx1 postfix/smtp[20]: AAAA: to=<a@mx2>, relay=mx2[192.0.2.2]:25, delay=1, dsn=2.0.0, status=sent (250 Ok)
Nov 24 10:00:01 mx1 postfix/smtp[21]: BBBB: to=<b@mx3>, relay=mx3[192.0.2.3]:25, delay=1, dsn=4.7.5, status=deferred (Server certificate not verified)
""".splitlines()


def test_a_message_is_followed_to_its_end_with_its_tls_line():
    one, two = Delivery("a@mx2", "one@mx1"), Delivery("b@mx3", "two@mx1")
    follow([one, two], LOG)
    assert (one.queue_id, one.status, one.tls) == ("AAAA", "sent", "Verified")
    assert (two.queue_id, two.status, two.tls) == ("BBBB", "deferred", None)
    assert two.reply == "Server certificate not verified"


def test_a_message_without_an_end_has_no_status():
    lost = Delivery("a@mx2", "one@mx1")
    follow([lost], LOG[:3])
    assert (lost.queue_id, lost.status) == ("AAAA", None)
