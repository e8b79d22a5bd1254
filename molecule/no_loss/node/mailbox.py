# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a mailbox: for each message its number, and how many hops brought it here over SMTP, verified both ways.

A Received header is what the server of a hop says of it; "verified OK" is its word on the client's certificate.
"""

import email
import json
import pathlib
import re
import sys


def messages(folder):
    for path in pathlib.Path(folder).iterdir():
        message = email.message_from_bytes(path.read_bytes())
        number = re.fullmatch(r"<(\d+)@load\.test>", message["Message-ID"] or "")
        if number:
            hops = [hop for hop in message.get_all("Received", ()) if re.search(r"\bwith\s+E?SMTP", hop)]
            yield int(number[1]), len(hops), sum("verified OK" in hop for hop in hops)


print(json.dumps(list(messages(sys.argv[1]))))
