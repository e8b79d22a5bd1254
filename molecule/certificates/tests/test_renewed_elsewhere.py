# SPDX-License-Identifier: GPL-3.0-or-later
"""What another tool renews on the node goes live without a run from the controller."""

import pytest
from mail import fqdn, wait_for
from on_node import sh
from pki import certify, ec_key
from seen import certificate_seen
from tasks import LAB, cert, refused, results

testinfra_hosts = ["local://"]
pytestmark = [pytest.mark.usefixtures("fleet"), pytest.mark.sampled("renewed_elsewhere")]
NAME = fqdn("node2")
LIVE = "/etc/letsencrypt/live/mx"


def renew(outside, folder, *, only=("chain.pem", "key.pem")):
    """A new pair where the tool keeps it, one file after the other; what is to be seen afterwards."""
    _root, intermediate = outside
    leaf = certify(NAME, ec_key(), intermediate, [NAME], end=60)
    contents = {"chain.pem": leaf.pem + intermediate.pem, "key.pem": leaf.key_pem}
    sh("node2", f"mkdir -p {folder}")
    for name in only:
        sh("node2", f"umask 077; cat > {folder}/.new && mv {folder}/.new {folder}/{name}", contents[name])
    return leaf.sha256, contents


def task(outside, tool, folder):
    return {
        "name": "renewed",
        "provider": "external",
        "external": {"tool": tool, "private_key": f"{folder}/key.pem", "certificate": f"{folder}/chain.pem"},
        "use": ["server"],
        "trust": {"authorities": [str(LAB / "fleet-ca.pem"), outside[0].pem]},
    }


@pytest.mark.parametrize("tool", ["lego", "step", "certmonger"])
def test_a_path_unit_brings_a_renewal_in(outside, tool):
    folder = f"/root/{tool}"
    first, _contents = renew(outside, folder)
    options = task(outside, tool, folder)
    promised = cert("node2", "--check", **options)
    assert promised["changed"] and certificate_seen("node2") != first
    assert cert("node2", **options)["certificate"]["certificate_sha256"] == first == certificate_seen("node2")
    assert not cert("node2", **options)["changed"]
    second, contents = renew(outside, folder, only=("chain.pem",))
    assert certificate_seen("node2") == first, "a certificate without its key is waited for"
    sh("node2", f"umask 077; cat > {folder}/.new && mv {folder}/.new {folder}/key.pem", contents["key.pem"])
    wait_for(lambda: certificate_seen("node2") == second)
    known = results("node2", "smtp_tls_info", {})["node2"]
    assert known["certificates"]["renewed"]["renewed_by"] == tool
    assert known["history"][-1]["task"] == f"a renewal by {tool}" and known["history"][-1]["proven"]
    assert not cert("node2", **options)["changed"]


def test_a_bad_renewal_changes_nothing_and_is_told_in_the_journal(outside):
    first, _contents = renew(outside, "/root/lego")
    cert("node2", **task(outside, "lego", "/root/lego"))
    _root, intermediate = outside
    expired = certify(NAME, ec_key(), intermediate, [NAME], begin=-9, end=-1)
    sh("node2", "cat > /root/lego/key.pem", expired.key_pem)
    sh("node2", "cat > /root/lego/chain.pem", expired.pem + intermediate.pem)
    unit = "smtp-hardening-etc-postfix-renewed.service"
    wait_for(lambda: "expired on" in sh("node2", f"journalctl -u {unit} --since -1min", check=False))
    assert certificate_seen("node2") == first
    renew(outside, "/root/lego")


def test_units_under_the_former_name_are_taken_over_and_name_a_python_that_outlives_upgrades(outside):
    folder, units = "/root/lego", "/etc/systemd/system"
    renew(outside, folder)
    options = {**task(outside, "lego", folder), "name": "renewed-b"}
    cert("node2", **options)
    former, current = (
        f"{units}/smtp-hardening-etc-postfix-renewed-b",
        rf"{units}/smtp-hardening-etc-postfix-renewed\x2db",
    )
    for kind in ("path", "service"):
        sh("node2", f"mv '{current}.{kind}' {former}.{kind}")
    sh("node2", "systemctl daemon-reload; systemctl enable --now smtp-hardening-etc-postfix-renewed-b.path")
    assert cert("node2", **options)["changed"] and not cert("node2", **options)["changed"]
    assert not sh("node2", f"ls {former}.*", check=False)
    assert "postfix-renewed-b" not in sh("node2", "systemctl list-units --all --no-legend")
    start = next(line for line in sh("node2", f"cat '{current}.service'").splitlines() if line.startswith("ExecStart="))
    assert start.startswith('ExecStart="/usr/bin/python3" "-I" ')
    second, _contents = renew(outside, folder)
    wait_for(lambda: certificate_seen("node2") == second)
    cert("node2", name="fleet", provider="stored", use=["server"])
    cert("node2", name="renewed-b", state="absent")
    assert not sh("node2", f"ls {units} | grep renewed.*b", check=False)


def test_a_renewal_that_nobody_foresaw_ends_with_one_line(outside):
    folder = "/root/lego"
    renew(outside, folder)
    cert("node2", **task(outside, "lego", folder))
    kept = "/etc/postfix/smtp_hardening/renewal/renewed.json"
    sh("node2", f"cp -p {kept} /root/kept.json; echo '{{\"external\": {{}}}}' >{kept}")
    program = f"/usr/bin/python3 -I {kept.replace('renewed.json', 'renew.pyz')} renewed 2>&1; echo $?"
    said = sh("node2", program).splitlines()
    sh("node2", f"cp -p /root/kept.json {kept}")
    assert len(said) == 2 and said[0].startswith("smtp_tls_cert renewed: KeyError in ") and said[1] == "1"


def test_certbots_deploy_hook_brings_a_renewal_in_and_others_lineages_are_none_of_its_business(outside):
    first, _contents = renew(outside, LIVE)
    options = task(outside, "certbot", LIVE)
    cert("node2", **options)
    assert certificate_seen("node2") == first and not cert("node2", **options)["changed"]
    second, _contents = renew(outside, LIVE)
    hooks = "for hook in /etc/letsencrypt/renewal-hooks/deploy/*; do $hook; done"
    sh("node2", f"export RENEWED_LINEAGE=/etc/letsencrypt/live/other; {hooks}")
    assert certificate_seen("node2") == first
    sh("node2", f"export RENEWED_LINEAGE={LIVE}; {hooks}")
    assert certificate_seen("node2") == second


def test_a_certificate_that_is_deleted_takes_its_hook_along(outside):
    renew(outside, "/root/lego")
    cert("node2", **task(outside, "lego", "/root/lego"))
    assert "is active" in refused("node2", name="renewed", state="absent")
    cert("node2", name="fleet", provider="stored", use=["server"])
    cert("node2", name="renewed", state="absent")
    assert not sh("node2", "ls /etc/systemd/system | grep smtp-hardening", check=False)
    assert "smtp-hardening" not in sh("node2", "systemctl list-units --all --no-legend")
