# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the node that is all of the MTA-STS domains' servers: policy hosts, and an instance of Postfix that discards.

Its argument is JSON. The node's own instance listens on the node's own address and on loopback from then on, or
nobody else could have port 25 on another.
"""

import json
import pathlib
import shutil
import subprocess
import sys

CONFIGURATION = pathlib.Path("/etc/postfix-sts")
QUEUE = pathlib.Path("/var/spool/postfix-sts")
DATA = pathlib.Path("/var/lib/postfix-sts")
UNIT = "sts"
SERVICES = """\
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
proxymap  unix  - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
"""


def run(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout.strip()


def serve(*, own_address, addresses, servers, policies, chains, program):
    """``servers``: the level of each by its address; ``chains``: key and certificates by address, of policy hosts too."""
    stop(addresses)
    narrow(own_address)
    for address in addresses:
        run("ip", "address", "replace", f"{address}/24", "dev", "eth0")
    for folder in (CONFIGURATION, QUEUE):
        folder.mkdir()
    CONFIGURATION.chmod(0o700)
    for address, chain in chains.items():
        (CONFIGURATION / f"{address}.pem").write_text(chain)
    configure(servers)
    start("mail", "postfix", "-c", str(CONFIGURATION), "start", kind="forking")
    (CONFIGURATION / "policies.json").write_text(json.dumps(policies))
    (CONFIGURATION / "policy_host.py").write_text(program)
    for address in sorted(set(chains) - set(servers)):
        files = [CONFIGURATION / name for name in ("policy_host.py", f"{address}.pem", "policies.json")]
        start(address, "python3", str(files[0]), address, *map(str, files[1:]))


def stop(addresses):
    units = run("systemctl", "list-units", "--plain", "--no-legend", f"{UNIT}-*").splitlines()
    run("systemctl", "stop", *[line.split()[0] for line in units], check=False)
    for address in addresses:
        run("ip", "address", "delete", f"{address}/24", "dev", "eth0", check=False)
    for folder in (CONFIGURATION, QUEUE, DATA):
        shutil.rmtree(folder, ignore_errors=True)


def start(name, *argv, kind="exec"):
    run("systemd-run", f"--unit={UNIT}-{name}", "--collect", f"--service-type={kind}", *argv)


def narrow(own_address):
    wanted = f"{own_address}, 127.0.0.1"
    if run("postconf", "-h", "inet_interfaces") != wanted:
        run("postconf", f"inet_interfaces = {wanted}")
        run("systemctl", "restart", "postfix")


def configure(servers):
    settings = {
        "compatibility_level": "3.6",
        "myhostname": "sts.fleet.test",
        "inet_protocols": "ipv4",
        "inet_interfaces": "loopback-only",  # the services name their addresses
        "mydestination": "",
        "relay_domains": "sts.test, dane.test",
        "relay_transport": "discard:",
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "queue_directory": QUEUE,
        "data_directory": DATA,
        "maillog_file": "/var/log/sts.log",
    }
    entries = [SERVICES]
    for address, level in servers.items():
        options = f"  -o smtpd_tls_security_level={level} -o smtpd_tls_chain_files={CONFIGURATION}/{address}.pem\n"
        entries.append(f"{address}:25 inet n - n - - smtpd\n{options}")
    (CONFIGURATION / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    (CONFIGURATION / "master.cf").write_text("".join(entries))


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    globals()[request.pop("action")](**request)
