# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix that handles mail today is taken over as it is: warnings, chains, caches, proxies and listeners as people have them."""

import contextlib
import os
import shutil
import smtplib

import pytest
from conftest import CONFIG, MODULES, answers, leftovers, picture, put_back, refuse, run, sh, start, succeed
from pems import HOST, Authority, key

FILES = "/etc/taken_over"
PORT = "127.0.0.1:2525"
SERVICE = f"{PORT}/inet"


@pytest.fixture(autouse=True)
def files():
    """A folder of somebody's, as certbot or a person would have it."""
    os.makedirs(FILES, exist_ok=True)
    yield FILES
    shutil.rmtree(FILES)


def put(name, content, folder=FILES):
    path = os.path.join(folder, name)
    with open(path, "w") as handle:
        handle.write(content)
    return path


def append(text):
    with open(f"{CONFIG}/main.cf", "a") as handle:
        handle.write(text)


def configure(**values):
    sh("postconf", "-e", *(f"{name}={value}" for name, value in values.items()))


def listener(*overrides, command="smtpd", limit="-"):
    """One more listener of the live Postfix."""
    words = " ".join(f"-o {override}" for override in overrides)
    sh("postconf", "-Me", f"{SERVICE}={PORT} inet n - y - {limit} {command} {words}")


def reloaded():
    sh("postfix", "reload")
    assert answers()


def changes(**parameters):
    """A change that is proven."""
    return succeed("smtp_settings", parameters=parameters or {"smtpd_banner": f"{HOST} ESMTP taken over"})


def of_listener(result):
    return next(fact for fact in result["proof"] if fact["service"] == SERVICE)


# What Postfix warned of before.


def test_what_postfix_warned_of_before_refuses_no_change():
    """Its warnings name paths, lines and values, which differ in every copy."""
    put("memcache.cf", "memcache = inet:localhost:11211\nstray_key = 1\n", CONFIG)
    append(
        "config_directory = /etc/postfix\n"
        "virtual_mailbox_limit_maps = hash:/etc/postfix/quota\n"
        "soft_bounce = no\n"
        "smtp_generic_maps = memcache:/etc/postfix/memcache.cf\n"
        "header_size_limit = 102400\nheader_size_limit = 102401\n"
    )
    reloaded()
    assert changes(soft_bounce=None, smtpd_banner=f"{HOST} ESMTP")["changed"]
    assert changes(header_size_limit="102402", virtual_mailbox_limit_maps="hash:/etc/postfix/quotas")["changed"]
    assert "unused parameter: no_such_parameter" in refuse("smtp_settings", parameters={"no_such_parameter": "1"})
    succeed("smtp_rollback")


# Chains as people write them.


def pair(authority, name, kind="ec"):
    """A key and its chain in files of their own."""
    private = key(kind)
    return put(f"{name}.key", private), put(f"{name}.crt", authority.issue(private) + authority.certificate)


def dsa(name):
    """Of a key that no peer takes any more, and that stayed where it was."""
    files = [os.path.join(FILES, f"{name}.{suffix}") for suffix in ("param", "key", "crt")]
    sh("openssl", "dsaparam", "-out", files[0], "2048")
    sh("openssl", "gendsa", "-out", files[1], files[0])
    sh("openssl", "req", "-x509", "-new", "-key", files[1], "-subj", f"/CN={HOST}", "-days", "30", "-out", files[2])
    return files[1:]


def legacy(side, word, certificate, private):
    return {f"{side}_tls_{word}cert_file": certificate, f"{side}_tls_{word}key_file": private}


def chains(authority):
    """By habit: the parameters that name certificates."""
    (key_1, crt_1), (key_2, crt_2) = pair(authority, "one"), pair(authority, "two", "rsa")
    with open(key_1) as private, open(crt_1) as chain:
        both = put("both.pem", private.read() + chain.read())
    dsa_key, dsa_crt = dsa("dsa")
    separate = {f"{side}_tls_chain_files": f"{key_1}, {crt_1}" for side in ("smtpd", "smtp")}
    return {
        "key and chain in files of their own": separate,
        "two pairs of files": {"smtpd_tls_chain_files": f"{key_1} {crt_1}, {key_2} {crt_2}"},
        "a file that holds both": {"smtpd_tls_cert_file": both, "smtpd_tls_key_file": "$smtpd_tls_cert_file"},
        "DSA left over": {**legacy("smtpd", "", crt_2, key_2), **legacy("smtpd", "d", dsa_crt, dsa_key)},
        "a client's key of its own": {**legacy("smtpd", "", crt_1, key_1), **legacy("smtp", "", crt_2, key_2)},
    }


def test_chains_are_taken_as_people_write_them(tmp_path):
    """One state after the other is proven as it is, and understood."""
    authority = Authority(tmp_path)
    shutil.copy(authority.path, f"{FILES}/ca.pem")
    for habit, values in chains(authority).items():
        sh("postconf", "-X", "smtpd_tls_chain_files")
        configure(**values, smtpd_tls_CAfile=f"{FILES}/ca.pem")
        reloaded()
        shown = any(name.startswith("smtp_") for name in values)
        demands = {"level": "encrypt", "client_certificates": "require", "ca_file": f"{FILES}/ca.pem"}
        result = succeed("smtp_tls_mode", server=demands if shown else {"minimum_protocol": "TLSv1.3"})
        assert [fact["with_own_certificate"] for fact in result["proof"]] == [True if shown else None], habit
        told = succeed("smtp_tls_info")
        named = {word.strip(",") for value in values.values() for word in value.split()}
        assert told["findings"] == [] and {one["file"] for one in told["active"]["server"]} <= named, habit
        put_back()


# Caches with paths of their own.


def test_a_twin_fights_for_no_cache_of_the_live_postfix():
    kinds = sh("postconf", "-m").split()
    kind = "btree" if "btree" in kinds else "lmdb"
    cache = f"{kind}:/var/lib/postfix/taken_over"
    configure(
        smtpd_tls_session_cache_database=f"{cache}_smtpd",
        smtp_tls_session_cache_database=f"{cache}_smtp",
        postscreen_cache_map=f"{cache}_screen",
        address_verify_map=f"{cache}_verify",
        smtpd_recipient_restrictions="reject_unverified_recipient",
        tls_random_exchange_name="/var/lib/postfix/taken_over_prng",
    )
    listener("smtpd_service_name=screened", command="postscreen", limit="1")
    sh("postconf", "-Me", "screened/pass=screened pass - - y - - smtpd")
    start()
    with smtp(2525) as screened, smtp(25) as direct:
        direct.docmd("MAIL", "FROM:<>")
        direct.docmd("RCPT", f"TO:<nobody@{HOST}>")
        result = changes()
        assert result["changed"] and of_listener(result)["starttls"], screened
    for path in [entry for entry in os.listdir("/var/lib/postfix") if entry.startswith("taken_over")]:
        os.unlink(f"/var/lib/postfix/{path}")


@contextlib.contextmanager
def smtp(port):
    """A client that stays as long as a test needs it."""
    connection = smtplib.SMTP("127.0.0.1", port, timeout=30)
    try:
        connection.ehlo("x.example")
        yield connection
    finally:
        connection.close()


# Behind a proxy.


@pytest.mark.parametrize("command", ["smtpd", "postscreen"])
def test_a_listener_behind_a_proxy_is_proven_with_its_header(command):
    listener(
        f"{command}_upstream_proxy_protocol=haproxy",
        "smtpd_service_name=screened",
        command=command,
        limit="1" if command == "postscreen" else "-",
    )
    sh("postconf", "-Me", "screened/pass=screened pass - - y - - smtpd")
    reloaded()
    fact = of_listener(succeed("smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"}))
    assert fact["proxy_protocol"] == {"v1": "accepted", "v2": "accepted"}
    assert (fact["starttls"], fact["protocol"], fact["client_certificate"]) == (True, "TLSv1.3", "ignore")
    probed = [seen for seen in succeed("smtp_tls_probe")["observations"] if seen["listener"] == PORT]
    assert [(seen["starttls"], seen["error"]) for seen in probed] == [(True, None)]
    for version in (1, 2):
        target = {"address": "127.0.0.1", "port": 2525, "name": HOST, "proxy_protocol": version}
        (seen,) = succeed("smtp_tls_probe", targets=[target])["observations"]
        assert seen["starttls"] and seen["error"] is None
    assert up(SERVICE)


def up(service):
    """Whether the metrics say that a listener greets."""
    code = (
        f"from {MODULES.rpartition('.')[0]}.module_utils._metrics import instance, listeners\n"
        f"print(listeners.check_listeners(instance.read_instance('{CONFIG}'), True)['{service}'])"
    )
    return sh("python3", "-B", "-c", code).strip() == "True"


def test_all_listeners_behind_a_proxy_by_main_cf():
    configure(smtpd_upstream_proxy_protocol="haproxy")
    sh("postfix", "reload")
    try:
        result = changes()
        assert {fact["service"]: fact["proxy_protocol"].get("v2") for fact in result["proof"]} == {
            "smtp/inet": "accepted"
        }
    finally:
        sh("postconf", "-X", "smtpd_upstream_proxy_protocol")


# Listeners that treat this host otherwise than their clients.


LOOPBACK = "127.0.0.0/8"


def test_a_listener_that_refuses_loopback_is_proven_from_another_address():
    table = put("local.cidr", f"{LOOPBACK} REJECT\n")
    listener("smtpd_delay_reject=no", f"smtpd_client_restrictions=check_client_access,cidr:{table}")
    reloaded()
    fact = of_listener(changes())
    assert fact["source"] and fact["source"] != LOOPBACK and fact["unproven"] is None
    assert up(SERVICE)


def test_a_listener_that_hides_starttls_from_loopback_is_proven_from_another_address():
    table = put("hide.cidr", f"{LOOPBACK} starttls\n")
    listener(f"smtpd_discard_ehlo_keyword_address_maps=cidr:{table}")
    reloaded()
    fact = of_listener(succeed("smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"}))
    assert fact["starttls"] and fact["source"] not in (None, LOOPBACK)


def test_a_listener_that_counts_connections_is_proven_and_clients_on_the_host_do_not_pay_for_it():
    limits = ("connection", "new_tls_session", "message")
    listener(*(f"smtpd_client_{name}_rate_limit=2" for name in limits), "smtpd_client_event_limit_exceptions=")
    reloaded()
    fact = of_listener(succeed("smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"}))
    assert fact["source"] == LOOPBACK
    with smtp(2525) as first:
        assert first.docmd("MAIL", "FROM:<>")[0] == 250


def test_a_listener_that_turns_the_whole_host_away_goes_unproven_by_name_alone_and_that_stays_visible():
    listener("smtpd_delay_reject=no", "smtpd_client_restrictions=reject")
    reloaded()
    before = picture()
    sentence = refuse("smtp_settings", parameters={"smtpd_banner": f"{HOST} ESMTP"})
    assert f"{SERVICE} at 127.0.0.1:" in sentence and "turns this host away: 554 5.7.1 " in sentence
    assert f"let it go unproven by name, unproven: [{SERVICE}]" in sentence
    assert picture() == before and not leftovers() and answers()
    result = succeed("smtp_settings", parameters={"smtpd_banner": f"{HOST} ESMTP"}, unproven=[PORT])
    later = [changes(header_size_limit="51200"), succeed("smtp_settings", parameters={"header_size_limit": "51200"})]
    assert [one["changed"] for one in later] == [True, False]
    for one in [result, *later, succeed("smtp_tls_info")]:
        assert [left["service"] for left in one["unproven"]] == [SERVICE]
        assert one["unproven"][0]["problem"].startswith("turns this host away: 554 5.7.1 ")
    assert f"{SERVICE} is not proven" in str(later[1]["warnings"])
    assert up(SERVICE)
    assert (
        "turns this host away"
        in run("smtp_settings", {"parameters": {"header_size_limit": "51201"}, "unproven": []}).data["msg"]
    )
