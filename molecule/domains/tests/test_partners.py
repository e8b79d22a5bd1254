# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may send mail from which domain: what node1 answers to clients that show this or that certificate."""

import re
import smtplib
import ssl

import pytest
from mail import NODES, fqdn, wait_for
from on_node import begin_anew, sh
from pki import certify, ec_key
from sources import FLEET_CA
from tasks import ansible, results, succeed

testinfra_hosts = ["local://"]
NODE = "node1"

PLAINTEXT, NOTHING, FLEET, STRANGER, PINNED = "plaintext", "no certificate", "fleet", "stranger", "pinned"
SHOWN = (PLAINTEXT, NOTHING, FLEET, STRANGER, PINNED)
PERMITTED = "250 "
UNENCRYPTED = "450 4.7.1 .*Session encryption is required"
UNTRUSTED = "554 5.7.1 .*needs a client certificate of a CA that is trusted here"
UNPINNED = "554 5.7.1 .*needs a client certificate that is pinned here"
UNEXPECTED = "554 5.7.1 .*Mail from this domain is not expected here"

ANSWERS = {
    # sender: what each client of SHOWN is told
    "a@tls.example": (UNENCRYPTED, PERMITTED, PERMITTED, PERMITTED, PERMITTED),
    "a@agency.example": (UNENCRYPTED, UNTRUSTED, PERMITTED, UNTRUSTED, UNTRUSTED),
    "a@below.agency.example": (UNENCRYPTED, UNTRUSTED, PERMITTED, UNTRUSTED, UNTRUSTED),
    "a@partner.example": (UNENCRYPTED, UNPINNED, UNPINNED, UNPINNED, PERMITTED),
    "a@open.partner.example": (PERMITTED,) * 5,
    "a@trial.example": (PERMITTED,) * 5,
    "a@expired.example": (PERMITTED,) * 5,
    "a@elsewhere.example": (PERMITTED,) * 5,
    "": (PERMITTED,) * 5,
}
WHERE_OTHERS_ARE_REFUSED = {**ANSWERS, **dict.fromkeys(("a@expired.example", "a@elsewhere.example"), (UNEXPECTED,) * 5)}


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """What each client shows, as a file of key and chain; nothing of the collection is used to make them."""
    folder = tmp_path_factory.mktemp("clients")
    pinned = certify("partner.example", ec_key())
    for name, identity in ((STRANGER, certify("agency.example", ec_key())), (PINNED, pinned)):
        (folder / f"{name}.pem").write_text(identity.key_pem + identity.pem)
    chain = sh(NODE, "cat $(postconf -hx smtp_tls_chain_files)")
    (folder / f"{FLEET}.pem").write_text(chain)
    files = {name: str(folder / f"{name}.pem") for name in (FLEET, STRANGER, PINNED)}
    return {"files": files, "pin": pinned.sha256}


@pytest.fixture(scope="module", autouse=True)
def server():
    """A public server that asks for certificates and demands none."""
    begin_anew(NODE)
    task("smtp_tls_cert", name="fleet", provider="own_ca", own_ca=FLEET_CA, use=["server", "client"])
    task("smtp_tls_mode", profile="lenient_default", server={"client_certificates": "request"}, allow_weaker=True)
    yield
    begin_anew(NODE)


@pytest.fixture(scope="module")
def records(clients):
    return [
        {"name": "tls.example", "incoming": {"level": "encrypt"}},
        {"name": "agency.example", "incoming": {"client_certificates": "require"}, "level": "secure"},
        {"name": "partner.example", "incoming": {"pins": [clients["pin"]]}},
        {"name": "open.partner.example", "incoming": {"level": "may"}},
        {"name": "trial.example", "incoming": {"client_certificates": "require"}, "mode": "testing"},
        {"name": "expired.example", "incoming": {"client_certificates": "require"}, "expires": "2026-01-31"},
    ]


def test_a_sender_without_the_right_certificate_is_refused_for_that_domain_and_accepted_for_others(clients, records):
    done = apply(records)
    assert done["changed"] and done["expired"] == ["expired.example"]
    again = ansible(NODE, "smtp_domain_policy", {"domains": records})
    assert "SUCCESS" in again.stdout and "expired.example expired" in again.stderr
    assert_answers(clients, ANSWERS)


def test_what_enforcement_would_refuse_is_in_the_log_while_a_domain_is_in_testing(clients, records):
    apply(records)
    mark = rcpt(clients, "seen-in-testing@trial.example", STRANGER)
    assert re.match(PERMITTED, mark)
    warned = wait_for(lambda: re.search("reject_warning: .*from=<seen-in-testing@trial.example>.*", log()))
    assert "needs a client certificate of a CA that is trusted here" in warned.group()


def test_mail_from_unlisted_domains_is_refused_on_request_and_bounces_are_not(clients, records):
    assert apply(records, unlisted_senders="reject")["unlisted_senders"] == "reject"
    assert not apply(records)["changed"], "left out, it stays"
    assert_answers(clients, WHERE_OTHERS_ARE_REFUSED)
    apply(records, unlisted_senders="warn")
    assert_answers(clients, ANSWERS)
    rcpt(clients, "unlisted@elsewhere.example", FLEET)
    wait_for(lambda: re.search("reject_warning: .*not expected here.*from=<unlisted@elsewhere.example>", log()))
    apply(records, unlisted_senders="accept")


def test_agents_under_the_same_rules_refuse_unknown_senders_with_any_certificate(clients, records):
    task("smtp_tls_mode", profile="trusted_agents_strict")
    apply(records, unlisted_senders="reject")
    assert re.match(PERMITTED, rcpt(clients, "a@agency.example", FLEET))
    assert re.match(UNEXPECTED, rcpt(clients, "a@elsewhere.example", FLEET))
    task("smtp_tls_mode", profile="lenient_default", server={"client_certificates": "request"}, allow_weaker=True)
    apply(records, unlisted_senders="accept")


def test_an_operators_own_restrictions_stay_behind_ours_and_come_back_alone(clients, records):
    own = "check_sender_access inline:{nuisance.example=REJECT}"
    sh(NODE, f"postconf -e 'smtpd_sender_restrictions = {own}' && postfix reload")
    apply(records)
    assert re.match("554 5.7.1 ", rcpt(clients, "a@nuisance.example", FLEET))
    assert re.match(UNTRUSTED, rcpt(clients, "a@agency.example", STRANGER))
    apply([])
    assert sh(NODE, "postconf -h smtpd_sender_restrictions").strip() == own
    assert "smtp_hardening_" not in sh(NODE, "postconf -n")
    sh(NODE, "postconf -X smtpd_sender_restrictions && postfix reload")


def test_the_server_goes_on_asking_for_certificates_while_a_domain_demands_them(records):
    apply(records)
    said = results(NODE, "smtp_tls_mode", {"server": {"client_certificates": "ignore"}, "allow_weaker": True})[NODE]
    assert "would refuse all mail from domains whose records demand" in said["msg"]


def assert_answers(clients, expected):
    told = {sender: tuple(rcpt(clients, sender, shown) for shown in SHOWN) for sender in expected}
    wrong = [
        f"{sender or '<>'} with {shown}: {answer}"
        for sender, row in expected.items()
        for shown, pattern, answer in zip(SHOWN, row, told[sender])
        if not re.match(pattern, answer)
    ]
    assert not wrong


def rcpt(clients, sender, shown):
    """What the server says to a recipient, to a client that shows this."""
    with smtplib.SMTP(NODES[NODE], 25, timeout=20) as smtp:
        if shown != PLAINTEXT:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if shown in clients["files"]:
                context.load_cert_chain(clients["files"][shown])
            smtp.starttls(context=context)
        smtp.ehlo()
        smtp.mail(sender)
        code, text = smtp.rcpt(f"probe@{fqdn(NODE)}")
        return f"{code} {text.decode()}"


def apply(records, **options):
    return task("smtp_domain_policy", domains=records, exclusive=True, allow_weaker=True, **options)


def task(module, **options):
    return succeed(NODE, module, **options)


def log():
    return sh(NODE, "cat /var/log/mail.log")
