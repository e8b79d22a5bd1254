# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the node that is all hosts of a provider: a second instance of Postfix, which asks Dovecot for passwords, and Exim.

Its argument is a file with JSON. The node's own instance listens on its own address from then on.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

CONFIGURATION = pathlib.Path("/etc/postfix-hosts")
QUEUE = pathlib.Path("/var/spool/postfix-hosts")
DATA = pathlib.Path("/var/lib/postfix-hosts")
LOG = pathlib.Path("/var/log/hosts.log")
EXIM = pathlib.Path("/root/exim")
EXIM_CONFIGURATION = pathlib.Path("/etc/exim4/exim4.conf")
UNITS = ("postfix-hosts", "exim-hosts")
SETTINGS = f"""\
compatibility_level = 2
queue_directory = {QUEUE}
data_directory = {DATA}
maillog_file = {LOG}
myhostname = hosts.test
inet_protocols = ipv4
inet_interfaces = loopback-only
mydestination =
default_transport = discard:
local_recipient_maps =
smtpd_client_connection_count_limit = 0
smtpd_sasl_type = dovecot
smtpd_sasl_path = /var/spool/postfix/private/auth
smtpd_tls_loglevel = 1
"""


def run(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout.strip()


def serve(own_address, services, hosts, exim):
    """``services`` is what master.cf has beside the listeners."""
    stop(hosts, exim)
    run("postconf", f"inet_interfaces = {own_address}, 127.0.0.1")
    run("systemctl", "restart", "postfix")
    for host in [*hosts, exim]:
        run("ip", "address", "replace", f"{host['address']}/24", "dev", "eth0")
    tls = CONFIGURATION / "tls"
    tls.mkdir(parents=True)
    QUEUE.mkdir()
    LOG.write_text("")
    entries = [services, *(_entry(host, service, tls) for host in hosts for service in host["services"])]
    (CONFIGURATION / "main.cf").write_text(SETTINGS)
    (CONFIGURATION / "master.cf").write_text("".join(entries))
    start = ["postfix", "-c", str(CONFIGURATION), "start"]
    run("systemd-run", f"--unit={UNITS[0]}", "--collect", "--service-type=forking", *start)
    serve_exim(exim)


def _entry(host, service, tls):
    chain = tls / f"{host['name']}.pem"
    chain.write_text(host["chain"])
    options = {"syslog_name": f"hosts/{host['name']}", "smtpd_tls_chain_files": str(chain), **service["options"]}
    if host["by_name"]:
        table = tls / f"{host['name']}.names"
        table.write_text("".join(f"{name} {_written(tls, name, pem)}\n" for name, pem in host["by_name"].items()))
        run("postmap", "-F", f"hash:{table}")
        options["tls_server_sni_maps"] = f"hash:{table}"
    overrides = "".join(f"  -o {{ {name} = {value} }}\n" for name, value in options.items())
    return f"[{host['address']}]:{service['port']} inet n - n - - smtpd\n{overrides}"


def _written(tls, name, pem):
    path = tls / f"{name}.pem"
    path.write_text(pem)
    return path


def serve_exim(host):
    """Beside Postfix, which Debian's package would remove: unpacked, with the libraries that it needs."""
    if not EXIM.exists():
        EXIM.mkdir()
        run("apt-get", "--quiet", "update")
        subprocess.run(
            ["apt-get", "--quiet", "download", "exim4-daemon-light"], cwd=EXIM, check=True, capture_output=True
        )
        (package,) = EXIM.glob("*.deb")
        needed = re.findall(r"\b(lib[\w.+-]+)", run("dpkg", "-f", str(package), "Depends"))
        run("apt-get", "--quiet", "--yes", "install", "--no-install-recommends", *needed)
        run("dpkg", "-x", str(package), str(EXIM))
    run("useradd", "--system", "--home-dir", "/var/spool/exim4", "--create-home", "Debian-exim", check=False)
    EXIM_CONFIGURATION.parent.mkdir(exist_ok=True)
    chain = EXIM_CONFIGURATION.with_name("chain.pem")
    chain.write_text(host["chain"])
    EXIM_CONFIGURATION.write_text(host["configuration"].replace("CHAIN", str(chain)))
    for path in ("/var/spool/exim4", "/var/log/exim4"):
        pathlib.Path(path).mkdir(exist_ok=True)
        shutil.chown(path, "Debian-exim", "Debian-exim")
    run("systemd-run", f"--unit={UNITS[1]}", "--collect", str(EXIM / "usr/sbin/exim4"), "-bdf")


def stop(hosts, exim):
    run("systemctl", "stop", *UNITS, check=False)
    for host in [*hosts, exim]:
        run("ip", "address", "delete", f"{host['address']}/24", "dev", "eth0", check=False)
    for folder in (CONFIGURATION, QUEUE, DATA):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    request = json.loads(pathlib.Path(sys.argv[1]).read_text())
    {"serve": serve, "stop": stop}[request.pop("action")](**request)
