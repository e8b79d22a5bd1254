# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    certificates_pem,
    read_certificates,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import make_ca
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
    read_keys,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import (
    CertificateError,
    HardeningError,
    InvalidValue,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import certificate, hooks
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import work as task_work
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction.journal import Author
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, pem, sign, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

PROVEN = [{"service": "smtp/inet"}]
SERVED = {"use": ["server"]}
PROVIDERS = ["self_signed", "csr", "own_ca", "pem", "pkcs12", "external"]


@pytest.fixture(autouse=True)
def proven(monkeypatch, tmp_path):
    """The wire shows what it should, and systemd's units lie where a test may write."""
    monkeypatch.setattr(task_work, "prove", lambda postfix, started_with, unproven: PROVEN)
    monkeypatch.setattr(task_work, "prove_twin", lambda twin, services, unproven: [])
    monkeypatch.setattr(task_work, "check_master", lambda postfix, staged: None)
    monkeypatch.setattr(hooks, "UNITS", str(tmp_path / "systemd"))


def work(node, provider="self_signed", given=None, check_mode=False, **over):
    given = SMALL if provider == "self_signed" and given is None else given
    options = task(provider, given, config_dir=node.config_dir, **over)
    return certificate.work(node.postfix, options, check_mode)


@pytest.fixture
def offer(tmp_path, issue, fleet_ca):
    """The options of each provider, with the keys that were given to it."""

    def made(provider):
        if provider in ("self_signed", "csr"):
            return dict(SMALL), []
        if provider == "own_ca":
            return {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}, []
        chain = issue()
        if provider == "pem":
            return pem(chain), [chain.key]
        if provider == "pkcs12":
            lock = BestAvailableEncryption(b"hunter2")
            data = pkcs12.serialize_key_and_certificates(b"mx1", chain.key, chain.leaf, None, lock)
            return {"archive": base64.b64encode(data).decode(), "passphrase": "hunter2"}, [chain.key]
        paths = {"private_key": tmp_path / "live/mx/privkey.pem", "certificate": tmp_path / "live/mx/fullchain.pem"}
        write(paths["private_key"], write_key(chain.key))
        write(paths["certificate"], certificates_pem(chain.certificates))
        return {"tool": "certbot", "hook": True, **{n: str(path) for n, path in paths.items()}}, [chain.key]

    return made


def keys_below(folder):
    """Every private key that lies in a file there."""
    for path, entry in picture(folder).items():
        if path.endswith((".pem", ".key")) and b"PRIVATE KEY" in entry[3]:
            yield from read_keys(path, entry[3])


def secret_slices(key):
    """Every 40 characters of a key's PEM that do not speak of its public half alone, which is in each certificate."""
    body = "".join(write_key(key).decode().splitlines()[1:-1])
    shared = [base64.b64encode(bytes(shift) + public_bytes(key.public_key())).decode() for shift in range(3)]
    pieces = {body[start : start + 40] for start in range(len(body) - 39)}
    return {piece for piece in pieces if not any(piece in text for text in shared)}


@pytest.mark.parametrize("kind", [("ecdsa", 256), ("rsa", 2048)])
def test_the_secret_of_a_key_would_be_found(kind):
    key = make_key(KeySpec(*kind))
    body = "".join(write_key(key).decode().splitlines()[1:-1])
    assert len([piece for piece in secret_slices(key) if piece in body]) > 40


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_key_is_ever_seen_in_a_result(trusting_node, fleet_ca, offer, provider):
    node = trusting_node
    given, keys = offer(provider)
    results = [work(node, provider, given, check_mode=True, **SERVED), work(node, provider, given, **SERVED)]
    if provider in ("csr", "own_ca"):
        request = (results[-1].get("signing_request") or results[-1]["next"])["csr"]
        given = {**given, "certificate": sign(request.encode(), fleet_ca)}
        results += [work(node, provider, given, check_mode=True, **SERVED), work(node, provider, given, **SERVED)]
    results.append(work(node, provider, given, sni=["mx1.example.com"], renew_now=True))
    if provider in ("self_signed", "csr", "own_ca"):
        listed = [record for one in results[-1]["certificates"] for record in one["tlsa"]] or ["3 1 1 " + "AB" * 32]
        results.append(work(node, provider, given, **SERVED, renew_now=True, published_tlsa=listed))
    results.append(work(node, "stored", use=["client"]))
    keys = [*keys, *keys_below(node.config_dir)]
    said = json.dumps(results)
    text = said.replace("\\n", "")
    assert keys
    assert not [piece for key in keys for piece in secret_slices(key) if piece in text]
    assert "PRIVATE KEY" not in said and "hunter2" not in said


@pytest.mark.parametrize("provider", PROVIDERS)
def test_check_mode_foresees_what_a_run_does_and_writes_nothing(trusting_node, fleet_ca, offer, tmp_path, provider):
    node, (given, _keys) = trusting_node, offer(provider)
    before = picture(tmp_path)
    foreseen = work(node, provider, given, check_mode=True, **SERVED)
    assert picture(tmp_path) == before
    done = work(node, provider, given, **SERVED)
    assert foreseen["changed"] is done["changed"] is True
    for fact in ("reason", "chain_file", "active"):
        if provider != "own_ca":  # where the controller signs between two calls
            assert foreseen[fact] == done[fact]
    if provider in ("csr", "own_ca"):
        request = (done.get("signing_request") or done["next"])["csr"]
        given = {**given, "certificate": sign(request.encode(), fleet_ca)}
        assert work(node, provider, given, **SERVED)["proof"] == PROVEN
    after = picture(tmp_path)
    again = work(node, provider, given, **SERVED)
    assert (again["changed"], again["diff"], again["proof"], again["warnings"]) == (False, [], [], [])
    assert picture(tmp_path) == after


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
def test_a_key_that_check_mode_does_not_make_is_no_reason_to_think_that_a_client_loses_tls(
    trusting_node, offer, provider
):
    trusting_node.append("smtp_tls_security_level = may\n")
    foreseen = work(trusting_node, provider, offer(provider)[0], check_mode=True, use=["server", "client"])
    assert (foreseen["changed"], foreseen["lowered"]) == (True, [])


def test_a_change_is_remembered_with_its_task(node):
    work(node, task="Bring it", **SERVED)
    assert history.past(node.config_dir)[-1].author == Author("smtp_tls_cert", "Bring it")


# What is awaited


def test_a_request_is_a_change_that_touches_nothing_that_postfix_reads(node):
    foreseen = work(node, "csr", SMALL, check_mode=True, **SERVED)
    assert (foreseen["changed"], foreseen["awaits"], foreseen["next"]) == (True, "signature", None)
    assert foreseen["diff"][-1]["after"] == "ecdsa 256\n"
    assert not os.path.exists(node.store())
    first = work(node, "csr", SMALL, **SERVED)
    second = work(node, "csr", SMALL, **SERVED)
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["next"] == second["next"]
    assert first["diff"][-1]["after"] == f"{first['next']['tlsa'][0]}\n"
    assert (first["certificate"], first["chain_file"], first["proof"]) == (None, None, [])
    assert "reload" not in node.asked("postfix")


def test_a_request_at_renewal_warns_of_the_days_that_are_left(trusting_node, fleet_ca):
    asked = work(trusting_node, "csr", SMALL, **SERVED)
    assert asked["warnings"] == []
    signed = {**SMALL, "certificate": sign(asked["next"]["csr"].encode(), fleet_ca, days=20)}
    work(trusting_node, "csr", signed, **SERVED)
    due = work(trusting_node, "csr", signed, **SERVED)
    assert due["warnings"] == [
        "default: the request in next.csr waits for a CA's signature. The stored certificate has 19 days left."
    ]
    assert due["certificate"]["days_left"] == 19
    assert due["active"] == {"server": True, "client": False}


@pytest.mark.parametrize(("renew_before", "warns"), [(18, False), (19, False), (20, True)])
@pytest.mark.parametrize("provider", ["pem", "stored"])
def test_a_certificate_that_nobody_renews_here_is_warned_of_once_its_days_are_too_few(
    trusting_node, issue, *, provider, renew_before, warns
):
    node = trusting_node
    brought = work(node, "pem", pem(issue(days=20)), **SERVED)
    assert brought["warnings"] == ["default: the certificate has 19 days left; see to its renewal."]
    given = pem(issue(days=20)) if provider == "pem" else None
    again = work(node, provider, given, renew_before=renew_before)
    assert again["warnings"] == (brought["warnings"] if warns else [])


def test_an_announcement_that_is_awaited_is_a_warning_with_the_record(node):
    first = work(node, **SERVED)
    due = {**SERVED, "renew_now": True, "published_tlsa": first["certificate"]["tlsa"]}
    waiting = work(node, **due)
    (record,) = waiting["next"]["tlsa"]
    assert waiting["warnings"] == [
        f"default: publish the TLSA record {record} beside the old one, wait until the old answer has left all caches (its TTL), "
        "then list it in published_tlsa: only then the new key is used. The stored certificate has 3649 days left."
    ]
    assert (waiting["changed"], waiting["chain_file"]) == (True, first["chain_file"])
    assert work(node, **due)["changed"] is False
    done = work(node, **{**due, "published_tlsa": [*due["published_tlsa"], record]})
    assert (done["certificate"]["tlsa"], done["next"], done["warnings"]) == ([record], None, [])


def test_the_controller_is_asked_to_sign_the_same_request_until_it_has(node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode(), "names": ["mx1.example.com"]}
    first, second = (work(node, "own_ca", given, **SERVED)["signing_request"] for _turn in range(2))
    assert first == second
    assert first["names"] == ["mx1.example.com"]
    done = work(node, "own_ca", {**given, "certificate": sign(first["csr"].encode(), fleet_ca)}, **SERVED)
    assert "signing_request" not in done
    assert (done["changed"], done["awaits"], done["next"]) == (True, None, None)
    assert read_certificates("trust", open(done["ca_file"], "rb").read()) == (fleet_ca[0],)


def test_a_renewal_that_waits_for_dns_asks_no_signature_of_the_controller(node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    waiting = work(node, "own_ca", given, **SERVED, published_tlsa=["3 1 1 " + "AB" * 32])
    assert (waiting["awaits"], "signing_request" in waiting) == ("announcement", False)
    assert waiting["next"]["tlsa"]


# Absent


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_certificate_is_deleted_with_its_keys_and_its_hook(trusting_node, offer, tmp_path, provider):
    node, (given, _keys) = trusting_node, offer(provider)
    untouched = set(picture(tmp_path))
    work(node, provider, given)
    foreseen = work(node, provider, given, check_mode=True, state="absent")
    assert os.path.isdir(node.store("certificates", "default"))
    done = work(node, provider, given, state="absent")
    assert (foreseen["changed"], done["changed"]) == (True, True)
    assert (done["certificate"], done["certificates"], done["chain_file"]) == (None, [], None)
    assert not os.path.exists(node.store("certificates", "default"))
    left = {path for path in set(picture(tmp_path)) - untouched if "/history" not in path}
    assert not [path for path in left if os.path.isfile(path) and not path.endswith(("renew.pyz", ".lock"))]
    assert work(node, provider, given, state="absent")["changed"] is False


def test_a_certificate_that_is_served_is_not_deleted(node):
    work(node, **SERVED)
    before = picture(node.config_dir)
    with pytest.raises(InvalidValue, match="^name: 'default' is active for the server, so it cannot be deleted"):
        work(node, state="absent")
    assert picture(node.config_dir) == before


def test_a_certificate_that_a_service_of_master_cf_names_is_not_deleted(node):
    chain = work(node)["chain_file"]
    node.override(f"smtp/inet/smtpd_tls_chain_files={chain}")
    with pytest.raises(InvalidValue, match="^name: 'default' is active .*smtp/inet"):
        work(node, state="absent")


def test_a_certificate_that_a_service_of_master_cf_serves_by_host_name_is_not_deleted(node):
    work(node, sni=["mail.example.net"], accept=["other_host"])
    table = node.state.explicit["tls_server_sni_maps"]
    work(node, sni=[])
    node.override(f"smtp/inet/tls_server_sni_maps={table}")
    with pytest.raises(InvalidValue, match="^name: 'default' is active .*smtp/inet"):
        work(node, state="absent")


# Hooks


def test_a_hook_comes_after_the_certificate_and_is_told_in_the_diff(trusting_node, offer):
    given, _keys = offer("external")
    foreseen = work(trusting_node, "external", given, check_mode=True, **SERVED)
    done = work(trusting_node, "external", given, **SERVED)
    prepared = [entry["prepared"] for entry in done["diff"] if "prepared" in entry]
    assert len(prepared) == 5
    assert prepared == [entry["prepared"] for entry in foreseen["diff"] if "prepared" in entry]


def test_a_hook_alone_is_a_change_that_leaves_postfix_alone(trusting_node, offer):
    given, _keys = offer("external")
    work(trusting_node, "external", {**given, "hook": False}, **SERVED)
    del trusting_node.commands[:]
    done = work(trusting_node, "external", given, **SERVED)
    assert (done["changed"], done["proof"]) == (True, [])
    assert "reload" not in trusting_node.asked("postfix")


def test_a_certificate_that_is_refused_leaves_no_hook(node, offer, tmp_path):
    given, _keys = offer("external")
    before = picture(tmp_path)
    with pytest.raises(CertificateError, match=r"^external.certificate: the certificate lacks an intermediate"):
        work(node, "external", given, **SERVED)
    assert picture(tmp_path) == before


def test_what_another_tool_keeps_and_cannot_be_read_is_named_by_its_option(node, offer):
    given, _keys = offer("external")
    os.unlink(given["certificate"])
    with pytest.raises(HardeningError, match="^external.certificate: "):
        work(node, "external", given, **SERVED)


def test_a_record_that_is_published_is_the_one_that_is_reported(node):
    facts = work(node, **SERVED)["certificate"]
    (leaf,) = read_certificates("chain", facts["chain"].encode())
    assert facts["tlsa"] == [tlsa.of_key(leaf.public_key())]


def test_a_certificate_that_ends_with_its_ca_is_told_of_by_each_run(node):
    key = make_key(KeySpec("ecdsa", 256))
    given = {**SMALL, "ca_certificate": certificates_pem([make_ca("CA", key, 20, utc_now())]).decode()}
    ca = read_certificates("ca", given["ca_certificate"].encode())[0], key
    asked = work(node, "own_ca", given)["signing_request"]
    made = work(node, "own_ca", {**given, "certificate": sign(asked["csr"].encode(), ca)})
    again = work(node, "own_ca", given)
    assert not again["changed"]
    assert (
        made["warnings"]
        == again["warnings"]
        == [
            "default: the certificate has 19 days left and ends with its CA; bring the next one before "
            "(own_ca.next_ca, or the playbook rotate_certificates)."
        ]
    )
