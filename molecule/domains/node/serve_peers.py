# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the node that is all peers: an address for each, and a second instance of Postfix that listens there.

Its argument is a file with JSON. The node's own instance listens on the node's own address and on loopback from then on, or
nobody else could have port 25 on another.
"""

import json
import pathlib
import shutil
import subprocess
import sys

CONFIGURATION = pathlib.Path("/etc/postfix-peers")
QUEUE = pathlib.Path("/var/spool/postfix-peers")
DATA = pathlib.Path("/var/lib/postfix-peers")
LOG = pathlib.Path("/var/log/peers.log")
UNIT = "postfix-peers"


def run(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout.strip()


def serve(own_address, settings, peers, programs, *, services, silent=()):
    """``services`` is what master.cf has beside the listeners; ``silent`` are addresses at which nobody answers."""
    stop([*peers, *programs, *silent])
    narrow(own_address)
    for peer in [*peers, *programs, *silent]:
        run("ip", "address", "replace", in_network(peer["address"]), "dev", "eth0", *nodad(peer["address"]))
    configure(services, settings, peers)
    start = ["postfix", "-c", str(CONFIGURATION), "start"]
    run("systemd-run", f"--unit={UNIT}", "--collect", "--service-type=forking", *start)
    for program in programs:
        script = CONFIGURATION / f"{program['name']}.py"
        script.write_text(program["source"])
        files = [CONFIGURATION / "tls" / f"{program['name']}.{number}" for number in range(len(program["files"]))]
        for file, content in zip(files, program["files"]):
            file.write_text(content)
        argv = ["python3", str(script), program["address"], *program["arguments"], *map(str, files)]
        run("systemd-run", f"--unit={UNIT}-{program['name']}", "--collect", *argv)


def stop(peers):
    """As before :func:`serve`, except that the node's own instance keeps to its address: others may need the rest."""
    units = run("systemctl", "list-units", "--plain", "--no-legend", f"{UNIT}*").splitlines()
    run("systemctl", "stop", *[line.split()[0] for line in units], f"{UNIT}.service", check=False)
    for peer in peers:
        run("ip", "address", "delete", in_network(peer["address"]), "dev", "eth0", check=False)
    for folder in (CONFIGURATION, QUEUE, DATA):
        shutil.rmtree(folder, ignore_errors=True)


def in_network(address):
    return f"{address}/{64 if ':' in address else 24}"


def nodad(address):
    """An IPv6 address is of use at once where nobody is asked first whether it is taken (ip-address(8))."""
    return ["nodad"] if ":" in address else []


def narrow(own_address):
    wanted = f"{own_address}, 127.0.0.1"
    if run("postconf", "-h", "inet_interfaces") != wanted:
        run("postconf", f"inet_interfaces = {wanted}")
        run("systemctl", "restart", "postfix")


def configure(services, settings, peers):
    tls = CONFIGURATION / "tls"
    tls.mkdir(parents=True)
    tls.chmod(0o700)
    entries = [services]
    for peer in peers:
        chain = tls / f"{peer['name']}.pem"
        chain.write_text(peer["chain"])
        options = {"syslog_name": f"peers/{peer['name']}", "smtpd_tls_chain_files": str(chain), **peer["options"]}
        overrides = "".join(f"  -o {{ {name} = {value} }}\n" for name, value in options.items())
        entries.append(f"[{peer['address']}]:25 inet n - n - - smtpd\n{overrides}")
    LOG.write_text("")
    places = {"queue_directory": QUEUE, "data_directory": DATA, "maillog_file": LOG}
    QUEUE.mkdir()
    lines = [f"{name} = {value}\n" for name, value in {**settings, **places}.items()]
    (CONFIGURATION / "main.cf").write_text("".join(lines))
    (CONFIGURATION / "master.cf").write_text("".join(entries))


if __name__ == "__main__":
    request = json.loads(pathlib.Path(sys.argv[1]).read_text())
    {"serve": serve, "stop": stop}[request.pop("action")](**request)
