# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node: an HTTPS server for the policies of MTA-STS domains (RFC 8461 section 3.3).

Its arguments are an address, a file with key and certificate, and a JSON file with the policies by host name.
"""

import http.server
import json
import pathlib
import ssl
import sys

POLICIES = {}


class PolicyHost(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = POLICIES.get(self.headers["Host"]) if self.path == "/.well-known/mta-sts.txt" else None
        content = (found or "").encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(address, chain, policies):
    POLICIES.update(json.loads(pathlib.Path(policies).read_text()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = http.server.ThreadingHTTPServer((address, 443), PolicyHost)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
