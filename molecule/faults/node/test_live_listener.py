# SPDX-License-Identifier: GPL-3.0-or-later
"""A bad configuration never reaches the listener that clients talk to."""

import os
import signal
import smtplib
import socket
import ssl
import threading
import time

from conftest import answers, picture, run, sh, start, succeed
from pems import HOST, Authority, key
from sampled import ROWS, some

# Values that Postfix takes at first sight, and that break it, its TLS, or its answers to clients.
BROKEN_SETTINGS = [
    {"tls_config_file": "/none"},
    {"smtpd_timeout": "0"},
    {"smtpd_recipient_restrictions": "check_recipient_access hash:/none"},
    {"smtpd_recipient_restrictions": "bogus"},
    {"smtpd_sender_restrictions": "check_sender_access cdb:/none"},
    {"smtpd_client_restrictions": "check_client_access regexp:/none"},
    {"smtpd_helo_restrictions": "permit_nothing_at_all"},
    {"smtpd_relay_restrictions": "permit", "smtpd_recipient_restrictions": None},
    {"smtpd_relay_restrictions": "", "smtpd_recipient_restrictions": None},
    {"message_size_limit": "many"},
    {"line_length_limit": "-1"},
    {"default_process_limit": "x"},
    {"inet_protocols": "ipv5"},
    {"inet_interfaces": "192.0.2.1"},
    {"mydestination": "$no_such_parameter"},
    {"no_such_parameter": "1"},
    {"mail_owner": "nobody-here"},
    {"queue_directory": "/none"},
    {"data_directory": "/none"},
    {"daemon_directory": "/none"},
    {"smtpd_banner": ""},
    {"compatibility_level": "nine"},
    {"alias_maps": "nosuchtype:/x", "local_recipient_maps": "$alias_maps"},
    {"virtual_alias_maps": "hash:/none"},
    {"virtual_alias_domains": "pgsql:/none"},
    {"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "nosuch"},
    {"smtpd_milters": "inet:127.0.0.1:1", "milter_default_action": "tempfail"},
    {"smtpd_error_sleep_time": "fast"},
    {"smtputf8_enable": "perhaps"},
    {"smtpd_tls_session_cache_database": "bogus:/x"},
    {"smtpd_helo_required": "perhaps"},
]


class Client(threading.Thread):
    """Begins TLS on port 25 again and again, and writes down whatever is not as at first."""

    def __init__(self):
        super().__init__()
        self.ended, self.seen, self.trouble = threading.Event(), 0, []
        self.first = self.handshake()

    def handshake(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", 25, timeout=20) as smtp:
            smtp.starttls(context=context)
            return smtp.sock.getpeercert(binary_form=True), smtp.sock.version(), smtp.ehlo()[0], smtp.mail("")[0]

    def run(self):
        while not self.ended.is_set():
            try:
                seen = self.handshake()
                self.trouble += [seen] if seen != self.first else []
            except (OSError, smtplib.SMTPException) as problem:
                self.trouble.append(repr(problem))
            self.seen += 1


def broken_certificates(authority):
    """Certificates with which no handshake, or none that counts, would come about."""
    good = key()
    pem = {"private_key": good, "certificate": authority.issue(good)}
    return [
        {**pem, "private_key": key()},
        {**pem, "certificate": authority.issue(key())},
        {**pem, "certificate": authority.issue(good, when="40 days ago")},
        {**pem, "certificate": authority.issue(good, names=(), usage="")},
    ]


def test_while_bad_changes_are_tried_a_client_sees_no_failure_and_no_change(tmp_path):
    start()  # or a process of an earlier test may answer once more
    before = picture()
    client = Client()
    client.start()
    tried = 0
    try:
        attempts = [("smtp_settings", {"parameters": setting}) for setting in BROKEN_SETTINGS]
        attempts += [
            ("smtp_tls_cert", {"name": "bad", "provider": "pem", "pem": pem, "use": ["server"]})
            for pem in broken_certificates(Authority(tmp_path))
        ]
        for module, options in some("bad changes", attempts, 4 * ROWS):
            result = run(module, options)
            assert result.data and result.data.get("failed"), (options, result)
            assert picture() == before, options
            tried += 1
    finally:
        client.ended.set()
        client.join()
    print(f"{tried} bad changes tried, {client.seen} handshakes meanwhile, {len(client.trouble)} of them disturbed")
    assert client.trouble == []
    assert client.seen > tried


def test_a_good_change_stands_when_the_reload_has_left_a_listener_silent():
    """An smtpd that takes a client while master(8) handles the reload stays counted as free: until its session ends,
    nobody is asked to take the next one (_proof/prove.py)."""
    succeed("smtp_settings", parameters={"smtpd_timeout": "12s"})
    start()
    assert answers(), "one process is there, and free"
    with open("/var/spool/postfix/pid/master.pid") as handle:
        master = int(handle.read())
    results = []
    change = threading.Thread(
        target=lambda: results.append(run("smtp_settings", {"parameters": {"smtpd_banner": f"{HOST} ESMTP new"}}))
    )
    os.kill(master, signal.SIGSTOP)
    try:
        silent = socket.create_connection(("127.0.0.1", 25))
        assert silent.recv(100).startswith(b"220 ")
        change.start()
        wait_for(lambda: signal.SIGHUP in pending(master))
    finally:
        os.kill(master, signal.SIGCONT)
    begin = time.monotonic()
    change.join()
    silent.close()
    print(f"the listener was silent for {time.monotonic() - begin:.0f} s after the reload")
    assert results[0].data and results[0].data.get("changed"), results
    assert sh("postconf", "-h", "smtpd_banner") == f"{HOST} ESMTP new\n" and answers()


def pending(pid):
    """Signals that wait for a process (proc_pid_status(5))."""
    with open(f"/proc/{pid}/status") as handle:
        mask = next(int(line.split()[1], 16) for line in handle if line.startswith("ShdPnd:"))
    return {number for number in range(1, 32) if mask >> number - 1 & 1}


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_good_change_after_all_that_goes_through():
    assert succeed("smtp_settings", parameters={"smtpd_banner": f"{HOST} ESMTP"})["changed"]


def test_whoever_asks_for_the_nodes_own_name_is_shown_the_active_certificate_also_beside_an_entry_for_its_domain():
    def bring(name, **over):
        made = {"key_type": "ecdsa", "names": [HOST]}
        return succeed("smtp_tls_cert", name=name, provider="self_signed", self_signed=made, **over)

    domain = HOST.partition(".")[2]
    bring("below", sni=[f".{domain}", HOST])
    for name in ("first", "second"):
        active = bring(name, use=["server"])
        table = sh("postconf", "-h", "tls_server_sni_maps").strip()
        shown = {host: sh("postmap", "-Fq", host, table) for host in (HOST, f".{domain}")}
        with open(active["chain_file"]) as handle:
            assert shown[HOST].strip() == handle.read().strip() != shown[f".{domain}"].strip()
        assert not bring(name, use=["server"])["changed"] and not bring("below", sni=[f".{domain}", HOST])["changed"]
