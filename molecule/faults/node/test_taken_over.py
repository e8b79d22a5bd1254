# SPDX-License-Identifier: GPL-3.0-or-later
"""A Postfix that handles mail today is taken over as it is: with its warnings, and with chains and caches as people write them."""

import os

import pytest
from as_found import FILES, changes, configure, listener, of_listener, put, reloaded, smtp
from conftest import CONFIG, put_back, refuse, sh, start, succeed
from pems import HOST, Authority, key

pytestmark = pytest.mark.sampled("taken_over")

# What Postfix warned of before.


def test_what_postfix_warned_of_before_refuses_no_change():
    """Its warnings name paths, lines and values, which differ in every copy; what else lies beside main.cf is nobody's matter."""
    put("memcache.cf", "memcache = inet:localhost:11211\nstray_key = 1\n", CONFIG)
    with open(f"{CONFIG}/main.cf", "a") as handle:
        handle.write(
            "config_directory = /etc/postfix\n"
            "virtual_mailbox_limit_maps = hash:/etc/postfix/quota\n"
            "soft_bounce = no\n"
            "smtp_generic_maps = memcache:/etc/postfix/memcache.cf\n"
            "header_size_limit = 102400\nheader_size_limit = 102401\n"
        )
    os.makedirs(f"{CONFIG}/{'deep/' * 20}")
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
    ca_file = put("ca.pem", authority.certificate)
    for habit, values in chains(authority).items():
        sh("postconf", "-X", "smtpd_tls_chain_files")
        configure(**values, smtpd_tls_CAfile=ca_file)
        reloaded()
        shown = any(name.startswith("smtp_") for name in values)
        demands = {"level": "encrypt", "client_certificates": "require", "ca_file": ca_file}
        result = succeed("smtp_tls_mode", server=demands if shown else {"minimum_protocol": "TLSv1.3"})
        assert [fact["with_own_certificate"] for fact in result["proof"]] == [True if shown else None], habit
        if shown:
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
    listener(command="postscreen")
    start()
    with smtp(2525) as screened, smtp(25) as direct:
        direct.docmd("MAIL", "FROM:<>")
        direct.docmd("RCPT", f"TO:<nobody@{HOST}>")
        result = changes()
        assert result["changed"] and of_listener(result)["starttls"], screened
    for path in [entry for entry in os.listdir("/var/lib/postfix") if entry.startswith("taken_over")]:
        os.unlink(f"/var/lib/postfix/{path}")
