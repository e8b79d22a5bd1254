# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix tells and promises about TLS: reports of sessions (RFC 8460), and REQUIRETLS (RFC 8689)."""

import json
import smtplib
import ssl

import pytest
import reports
from mail import NODES, fqdn
from on_node import begin_anew, sh
from sources import FLEET_CA
from tasks import playbook, results, succeed
from zones import ADDRESS, Zone, serve

testinfra_hosts = ["local://"]
NODE, PEER = "node1", "node2"
REPORTED = Zone(
    "reports.test", ("@ MX 10 mx", f"mx A {NODES[PEER]}", '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@reports.test"')
)


@pytest.fixture(scope="module", autouse=True)
def peer_with_tls():
    for node in (NODE, PEER):
        begin_anew(node)
        succeed(node, "smtp_tls_cert", name="fleet", provider="own_ca", own_ca=FLEET_CA, use=["server", "client"])
        succeed(node, "smtp_tls_mode", profile="lenient_default", allow_weaker=True)
    yield
    for node in (NODE, PEER):
        begin_anew(node)


def test_a_domain_that_asks_for_reports_gets_each_tls_session_counted():
    if "libtlsrpt" not in sh(NODE, "ldd $(postconf -hx daemon_directory)/smtp"):
        pytest.skip("this Postfix was built without libtlsrpt")
    serve("reports", [REPORTED])
    settings = {"smtp_tlsrpt_enable": True, "smtp_tlsrpt_socket_name": reports.SOCKET, "smtp_host_lookup": "dns"}
    succeed(NODE, "smtp_settings", parameters=settings)
    report = reports.session(NODE, "probe@reports.test", ADDRESS)
    assert report["d"] == "reports.test" and "rua=mailto:tls@reports.test" in report["pr"]
    assert [policy["f"] for policy in report["policies"]] == [0], "no session failed"


def test_a_domains_word_on_requiretls_is_what_postfix_looks_up_and_older_versions_refuse_it():
    record = {"name": "agency.example", "route": f"[{fqdn(PEER)}]:25", "requiretls": "enforce"}
    found = results(NODE, "smtp_domain_policy", {"domains": [record]})[NODE]
    if version() < (3, 11):
        assert "which Postfix" in found["msg"] and "does not know" in found["msg"]
        return
    table = sh(NODE, "postconf -h smtp_requiretls_policy").partition(",")[0]
    assert sh(NODE, f"postmap -q {fqdn(PEER)} {table}").strip() == "enforce"
    with smtplib.SMTP(NODES[NODE], 25, timeout=20) as smtp:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        smtp.starttls(context=context)
        smtp.ehlo()
        assert smtp.has_extn("requiretls")
    succeed(NODE, "smtp_domain_policy", domains=[], exclusive=True, allow_weaker=True)
    assert "smtp_requiretls_policy" not in sh(NODE, "postconf -n")


def test_what_is_to_be_published_is_what_dns_then_answers_until_a_key_changes(tmp_path):
    serve("fleet", [Zone("fleet.test", ())])
    before = records(tmp_path)
    assert {difference["problem"] for difference in before["differences"]} == {"missing"}
    exchanges = tuple(f"@ 5 MX 10 {fqdn(node)}." for node in NODES)
    lines = tuple(before["zone"].splitlines()) + exchanges
    serve("fleet", [Zone("fleet.test", lines, signed=False)])
    assert {difference["problem"] for difference in records(tmp_path)["differences"]} == {"unauthenticated"}
    serve("fleet", [Zone("fleet.test", lines)])
    published = records(tmp_path)
    assert not published["differences"] and all(record["published"] for record in published["records"])
    assert any("vouches for nothing" in warning for warning in published["warnings"])
    key = succeed(NODE, "smtp_tls_cert", name="fleet", provider="own_ca", own_ca=FLEET_CA, renew_now=True)[
        "certificate"
    ]
    after = records(tmp_path)
    problems = {(difference["problem"], difference["name"]) for difference in after["differences"]}
    name = f"_25._tcp.{fqdn(NODE)}."
    assert problems == {("missing", name), ("stale", name)}
    assert key["tlsa"][0] in [record["value"] for record in after["records"] if record["published"] is False]
    serve("fleet", [])


def records(folder):
    """What the filter returns for the fleet."""
    said = {"publish_to": str(folder / "records.json"), "publish_resolver": ADDRESS}
    playbook("../molecule/domains/publish", "-e", json.dumps(said))
    return json.loads((folder / "records.json").read_text())


def version():
    return tuple(map(int, sh(NODE, "postconf -h mail_version").split(".")[:2]))
