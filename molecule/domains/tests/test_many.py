# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand domains in one file, as a large relay has them."""

import csv

import pytest
from mail import NODES
from on_node import begin_anew, sh
from sources import FLEET_CA
from tasks import results, succeed

testinfra_hosts = ["local://"]
NODE = "node1"
COUNT = 10_000
COLUMNS = ("name", "level", "match", "route", "incoming.level", "owner")


@pytest.fixture(scope="module", autouse=True)
def server_with_tls():
    begin_anew(NODE)
    task("smtp_tls_cert", name="fleet", provider="own_ca", own_ca=FLEET_CA, use=["server", "client"])
    task("smtp_tls_mode", profile="lenient_default", allow_weaker=True)
    yield
    begin_anew(NODE)


def rows(count):
    for number in range(count):
        domain = f"d{number}.example"
        level = ("may", "encrypt", "secure")[number % 3]
        match = f"mx.{domain} .{domain}" if level == "secure" else ""
        yield [
            domain,
            level,
            match,
            f"[mx.{domain}]:25" if number % 2 else "",
            "encrypt" if number % 5 == 0 else "",
            "us",
        ]


def write(path, table):
    with open(path, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([COLUMNS, *table])
    return str(path)


def test_ten_thousand_domains_are_applied_kept_and_forgotten_one_by_one(tmp_path):
    table = list(rows(COUNT))
    src = write(tmp_path / "domains.csv", table)
    assert task("smtp_domain_policy", src=src, exclusive=True)["changed"]
    assert asked("smtp_tls_policy_maps", "[mx.d5.example]:25") == "secure match=mx.d5.example match=.d5.example"
    assert asked("smtp_tls_policy_maps", "d8.example") == "secure match=mx.d8.example match=.d8.example"
    assert asked("transport_maps", "d9999.example") == "smtp:[mx.d9999.example]:25"
    assert asked("smtpd_sender_restrictions", "d5.example") == "smtp_hardening_encrypt"
    assert not task("smtp_domain_policy", src=src, exclusive=True)["changed"]
    src = write(tmp_path / "without-one.csv", [row for row in table if row[0] != "d5.example"])
    done = task("smtp_domain_policy", src=src, exclusive=True, allow_weaker=True)
    assert done["changed"] and len(done["after"]) == COUNT - 1
    assert asked("smtp_tls_policy_maps", "[mx.d5.example]:25") == ""
    assert asked("transport_maps", "d5.example") == ""
    assert asked("transport_maps", "d7.example") == "smtp:[mx.d7.example]:25"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("domains.csv", "domain,level\nx.example,may\n", "its first row has no column 'name'"),
        ("domains.csv", "name,level\nx.example,may,more\n", "line 2 has not as many cells as the first row"),
        ("domains.yml", "x.example: may\n", "does not hold a list of records"),
        ("domains.yml", "- {name: x.example, levle: may}\n", "Unsupported parameters"),
        ("domains.json", '[{"name": "x.example"}]', "says nothing about the domain"),
        ("domains.txt", "x.example may\n", "name it .yml, .yaml, .json or .csv"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_before_anything_is_written(name, content, sentence, tmp_path):
    (tmp_path / name).write_text(content)
    before = sh(NODE, "find /etc/postfix -type f | sort | xargs sha256sum")
    assert sentence in results(NODE, "smtp_domain_policy", {"src": str(tmp_path / name)})[NODE]["msg"]
    assert sh(NODE, "find /etc/postfix -type f | sort | xargs sha256sum") == before


def test_a_domain_below_a_local_one_is_local_only_where_that_is_said():
    task("smtp_settings", parameters={"smtpd_recipient_restrictions": ["reject_unauth_destination"]})  # nobody is asked
    apply = {"exclusive": True, "allow_weaker": True}
    task("smtp_domain_policy", domains=[{"name": "local.example", "local": True}], **apply)
    assert rcpt("a@local.example") == 250 and rcpt("a@below.local.example") == 554
    task("smtp_domain_policy", domains=[{"name": "local.example", "local": True, "subdomains": True}], **apply)
    assert rcpt("a@local.example") == 250 and rcpt("a@below.local.example") == 250


def rcpt(recipient):
    """The code of what node1 says to a client from outside (RFC 5321 section 4.2)."""
    talk = f"""
import smtplib
with smtplib.SMTP("{NODES[NODE]}", 25, timeout=20) as smtp:
    smtp.ehlo(); smtp.mail("a@elsewhere.example"); print(smtp.rcpt("{recipient}")[0])
"""
    return int(sh("node2", "python3 -", talk))


def asked(parameter, key):
    """What the table of ours, which stands first, answers."""
    table = sh(NODE, f"postconf -h {parameter} | grep -oE '[a-z]+:/[^ ,]+/domains/[0-9]+/[a-z_]+'").split()[0]
    return sh(NODE, f"postmap -q '{key}' {table}", check=False).strip()


def task(module, **options):
    return succeed(NODE, module, **options)
