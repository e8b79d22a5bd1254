# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a level rises, the next hops that the configuration names are asked."""

import socket
import threading

import pytest
from conftest import refuse, run, sh, succeed

MODE = "smtp_tls_mode"
FILTER = "smtp-amavis/unix=smtp-amavis unix - - n - 2 smtp"


@pytest.fixture
def plain():
    """A program behind a loopback address that knows no TLS, as a content filter is."""
    server = socket.create_server(("127.0.0.1", 10024))

    def answer():
        while True:
            try:
                peer, _address = server.accept()
            except OSError:
                return
            with peer, peer.makefile("rw", newline="\r\n") as lines:
                lines.write("220 filter ESMTP\r\n")
                lines.flush()
                for line in lines:
                    lines.write("221 bye\r\n" if line.upper().startswith("QUIT") else "250 filter\r\n")
                    lines.flush()

    threading.Thread(target=answer, daemon=True).start()
    yield "[127.0.0.1]:10024"
    server.close()


def test_a_content_filter_that_would_be_cut_off_is_refused_by_its_service_with_the_exception(plain):
    sh("postconf", "-Me", FILTER)
    sh("postconf", "-e", f"content_filter=smtp-amavis:{plain}")
    sh("postfix", "reload")
    said = refuse(MODE, client={"level": "encrypt"})
    assert "smtp-amavis/unix" in said and "content_filter" in said and "level: may" in said
    exception = [{"name": "smtp-amavis/unix", "level": "may"}]
    done = succeed(MODE, client={"level": "encrypt"}, services=exception)
    assert done["changed"] and sh("postconf", "-h", "smtp_tls_security_level") == "encrypt\n"


def test_a_smarthost_that_would_be_cut_off_is_told_before_anything_changes():
    sh("postconf", "-e", "relayhost=[192.0.2.25]:25")
    sh("postfix", "reload")
    foreseen = run(MODE, {"client": {"level": "encrypt"}}, check_mode=True).data
    done = succeed(MODE, client={"level": "encrypt"})
    for result in (foreseen, done):
        found = {hop["next_hop"]: (hop["by"], hop["delivered"]) for hop in result["next_hops"]}
        assert found["[192.0.2.25]:25"] == ("relayhost", False)
    assert any("[192.0.2.25]:25" in str(warning) for warning in done["warnings"])
    assert succeed(MODE, client={"level": "encrypt"})["next_hops"] == []
