# SPDX-License-Identifier: GPL-3.0-or-later
"""SMTP smuggling (CVE-2023-51764).

What a server before this one took for text, this one must not take for the end of it.
"""

import pytest
from wire import Client, codes, message
from witnesses import RELAY as NODE

testinfra_hosts = ["local://"]
ENDS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "CR.LF": b"\r.\n",
    "LF.CR": b"\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "LF, NUL, .CRLF": b"\n\0.\r\n",
    "CR, NUL, LF.CRLF": b"\r\0\n.\r\n",
    "CRLF., NUL, CRLF": b"\r\n.\0\r\n",
    "vertical tab": b"\x0b.\x0b",
    "next line": b"\r\n\x85.\x85\r\n",
}
TABLE = [pytest.param(end, id=name) for name, end in ENDS.items()]


def smuggle(client, end, mark):
    """The replies to a message that has another inside, behind what may pass for the end of the first."""
    client.ask(*client.envelope(), b"DATA")
    inner = [*client.envelope(), b"DATA", message(f"inner {mark}"), b"."]
    client.send(message(f"outer {mark}") + end + b"\r\n".join(inner) + b"\r\nQUIT\r\n")
    return codes(client.replies())


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
@pytest.mark.parametrize("end", TABLE)
def test_a_message_within_a_message_does_not_become_one_of_its_own(relay, mark, end, tls):
    """A message with a NUL in it is refused as a whole."""
    with Client(NODE) as client:
        if tls:
            assert client.start_tls()
            client.ask(b"EHLO client.elsewhere.test")
        assert smuggle(client, end, mark) == ["550" if b"\0" in end else "250", "221"]
    assert relay.stored() == ([] if b"\0" in end else [f"outer {mark}"])


def test_a_message_behind_a_true_end_has_to_wait_for_its_turn(relay, mark):
    """CR CRLF.CRLF holds CRLF.CRLF, the end in RFC 5321 section 4.1.1.4; DATA ends a group of commands (RFC 2920)."""
    with Client(NODE) as client:
        assert smuggle(client, b"\r\r\n.\r\n", mark) == ["250", "250", "250", "554"]
    assert relay.stored() == [f"outer {mark}"]


@pytest.mark.parametrize("end", [*TABLE, pytest.param(b"\r\n.\r\n", id="CRLF.CRLF")])
def test_a_chunk_is_as_long_as_it_says_whatever_is_in_it(relay, mark, end):
    """RFC 3030. Another chunk and QUIT follow at once, as they may."""
    with Client(NODE) as client:
        client.ask(*client.envelope())
        first = message(f"outer {mark}") + end[:2]
        last = end[2:] + b"MAIL FROM:<inner@elsewhere.test>\r\n"
        client.send(b"BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n" % (len(first), first, len(last), last))
        assert codes(client.replies()) == ["250", "550" if b"\0" in end else "250", "221"]
    assert relay.stored() == ([] if b"\0" in end else [f"outer {mark}"])


@pytest.mark.parametrize("count", [b"", b" -1 LAST", b" 0x10 LAST", b" 18446744073709551616 LAST", b" 1 LAST LAST"])
def test_a_chunk_of_unclear_length_ends_the_session(relay, count):
    with Client(NODE) as client:
        client.ask(*client.envelope())
        client.send(b"BDAT" + count + b"\r\nMAIL FROM:<inner@elsewhere.test>\r\n")
        assert codes(client.replies()) in (["521"], ["501"], ["552"])
