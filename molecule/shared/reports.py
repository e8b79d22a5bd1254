# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix tells a collector of reports on TLS (RFC 8460)."""

import json

from on_node import run_program

SOCKET = "run/tlsrpt/tlsrpt.sock"
"""Below the queue directory."""


def session(node, recipient, resolver=None):
    """What is told of the session in which a message to this recipient is tried; ``resolver`` answers meanwhile, if it is given."""
    return json.loads(run_program(node, RECEIVE, {"socket": SOCKET, "recipient": recipient, "resolver": resolver}))


RECEIVE = """
# The collector's end of the socket, which gets a datagram for each session (libtlsrpt); and a message to report on.
import json, os, pathlib, socket, subprocess, sys
wanted = json.loads(pathlib.Path(sys.argv[1]).read_text())
root = pathlib.Path(subprocess.check_output(["postconf", "-hx", "queue_directory"], text=True).strip())
resolvers = [pathlib.Path("/etc/resolv.conf"), root / "etc/resolv.conf"] if wanted["resolver"] else []
before = [path.read_text() for path in resolvers]
path = root / wanted["socket"]
path.parent.mkdir(parents=True, exist_ok=True)
path.unlink(missing_ok=True)
try:
    for resolver in resolvers:
        resolver.write_text(f"nameserver {wanted['resolver']}\\n")
    collector = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    collector.bind(str(path))
    os.chmod(path, 0o777)
    collector.settimeout(30)
    subprocess.run(["/usr/sbin/sendmail", "-f", "probe@localhost", wanted["recipient"]], input=b"test", check=True)
    print(collector.recv(65536).decode())
finally:
    for resolver, text in zip(resolvers, before):
        resolver.write_text(text)
    path.unlink()
"""
