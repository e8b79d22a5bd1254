# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node: tries configurations, several at a time, and tells of each what the collection reads from it, where
trivial-rewrite sends mail, and what crosses the wire.

Standard input is a line of JSON with the surroundings and one for each job; each job is answered with a line.
"""

import json
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

from instance import Instance, wait_for
from listeners import listen
from names import Resolver
from servers import Servers, context
from view import View

PKI = pathlib.Path("/var/lib/posture-pki")
SYSTEM = pathlib.Path("/etc/ssl/certs")
KEPT = {path: pathlib.Path(path).read_text() for path in ("/etc/hosts", "/etc/resolv.conf")}
FIRST_PORT = 2600
SPEAKING = threading.Lock()
"""A worker at a time: print() ends a line in a second step."""
MODULE = "ansible_collections.mailfleet.smtp_hardening.plugins.modules.smtp_domain_policy"


def main():
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_signal: sys.exit(1))
    around = json.loads(sys.stdin.readline())
    jobs = queue.SimpleQueue()
    for line in sys.stdin:
        jobs.put(json.loads(line))
    try:
        words = prepare(around)
        contexts = {(how, host): context(PKI / file, most) for how, host, file, most in around["chains"]}
        workers = [
            threading.Thread(target=work, args=[number, jobs, around, contexts, words], daemon=True)
            for number in range(around["workers"])
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        clean()


def prepare(around):
    """Addresses, names, certificates and CAs of the node."""
    run("ip", "route", "replace", "local", around["network"], "dev", "lo")
    lines = "".join(f"{address} {name}\n" for name, address in around["hosts"].items())
    write("/etc/hosts", KEPT["/etc/hosts"] + lines)
    write("/etc/resolv.conf", f"nameserver {around['resolver']}\n")
    Resolver(around["resolver"], around["records"], around["signed"])
    shutil.rmtree(PKI, ignore_errors=True)
    for name, content in around["files"].items():
        path = PKI / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    run("openssl", "rehash", str(PKI / "folder"))
    shutil.copy(PKI / "system.pem", SYSTEM / system_link())
    return {**around["words"], "pki": str(PKI)}


def system_link():
    """Under which name OpenSSL looks for this CA."""
    return run("openssl", "x509", "-noout", "-subject_hash", "-in", str(PKI / "system.pem")).strip() + ".0"


def clean():
    for path, content in KEPT.items():
        write(path, content)
    (SYSTEM / system_link()).unlink(missing_ok=True)
    shutil.rmtree(PKI)


def write(path, content):
    """In place: in a container another file cannot take its place."""
    with open(path, "r+") as handle:
        handle.write(content)
        handle.truncate()


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def work(number, jobs, around, contexts, words):
    port = FIRST_PORT + number
    servers = Servers(port, around["hosts"], contexts)
    words = {**words, "port": port, "listen": f"{around['resolver']}:{port + 100}"}
    instance = Instance(number, run("postconf", "-h", "default_database_type").strip(), words)
    try:
        while not jobs.empty():
            try:
                job = jobs.get_nowait()
            except queue.Empty:
                break
            begin = time.monotonic()
            answer = {"id": job["id"], **attempt(instance, servers, job)}
            line = json.dumps({**answer, "seconds": time.monotonic() - begin})
            with SPEAKING:
                print(line, flush=True)
    finally:
        instance.remove()


def attempt(instance, servers, job):
    try:
        return {"found": JOBS[job["kind"]](instance, servers, job)}
    except Exception:  # whoever waits for the answer is told
        return {"error": traceback.format_exc()}


def mail(instance, servers, row):
    return observe(instance, servers, row)[1]


def pair(instance, servers, job):
    """Two configurations, and what the second protects less than the first."""
    (before, first), (after, second) = (observe(instance, servers, row) for row in (job["before"], job["after"]))
    weaker = after.posture.weaker_than(before.posture)
    return {"before": first, "after": second, "weaker": [str(item) for item in weaker]}


def observe(instance, servers, row):
    main_cf = {"smtp_tcp_port": "%port%", **row.get("main", {})}
    instance.configure({**row, "main": main_cf})
    instance.start()
    try:
        if "records" in row:
            keep(instance, instance.filled(row["records"]))
            instance.edit("-e", row.get("then", {}))
            instance.stop()
            instance.start()
        view = View(instance.folder)
        found = view.told([recipient for _sender, recipient in row["mail"]])
        found["resolved"] = [instance.resolve(*addresses) for addresses in row["mail"]]
        found["wire"] = wire(instance, servers, row)
    finally:
        instance.stop()
    return view, found


def keep(instance, records):
    """Have smtp_domain_policy keep records, as Ansible runs it."""
    options = {"config_dir": instance.folder, "domains": records, "allow_weaker": True}
    path = pathlib.Path(instance.folder, "arguments.json")
    path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
    argv = [sys.executable, "-B", "-m", MODULE, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout or "{}")
    assert answer.get("changed"), answer.get("msg") or done.stderr


def wire(instance, servers, row):
    """What becomes of the row's first message at servers of each kind, tried twice where it stays."""
    seen, kept = {}, {}
    for behaviour in row["peers"]:
        servers.behave(behaviour)
        fate = instance.send(*row["mail"][0], row.get("header", ""))
        seen[behaviour] = _seen(servers, fate)
        if fate[2] != "sent":
            kept[behaviour] = (fate[0], int(time.time()) + 2)  # Postfix counts whole seconds
    for behaviour, (queue_id, again) in kept.items():
        servers.behave(behaviour)
        wait_for(lambda again=again: time.time() >= again, instance)
        seen[behaviour] = _seen(servers, instance.send_again(queue_id))
    return seen


def _seen(servers, fate):
    _queue_id, relay, status, reason = fate
    received = [list(message) for message in servers.received]
    return {"received": received, "relay": relay, "status": status, "reason": reason}


JOBS = {"mail": mail, "pair": pair, "server": listen}

if __name__ == "__main__":
    main()
