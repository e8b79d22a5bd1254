# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import datetime
import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import tlsa
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    certificates_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.issue import (
    CertificateSpec,
    make_ca,
    request,
    requested_names,
    sign_request,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import (
    KeySpec,
    make_key,
    public_bytes,
    write_key,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store, supply
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import (
    SMALL,
    apply,
    pem,
    plan,
    sign,
    wish,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import picture, write
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12

MADE_HERE = ["self_signed", "csr", "own_ca"]
BOTH = {"key_type": "both", "key_size": 2048}
SERVED = {"use": ["server"]}
OTHER_RECORD = "3 1 1 " + "AB" * 32


@pytest.fixture(scope="module")
def hierarchy():
    """A root, an issuing CA of its own (certificate, key), and a leaf's chain of the two."""
    keys = [make_key(KeySpec("ecdsa", 256)) for _step in range(3)]
    root = make_ca("Root", keys[0], 3650, utc_now())
    issuing = cross_signed("Issuing CA", keys[1], root, keys[0])
    spec = CertificateSpec(("mx1.example.com",), 90)
    leaf = sign_request(request(spec.names, keys[2]), spec, issuing, keys[1], utc_now())
    return root, (issuing, keys[1]), Chain(keys[2], (leaf, issuing))


def cross_signed(name, key, issuer, issuer_key):
    """A CA's certificate by another CA."""
    own = make_ca(name, key, 3650, utc_now())
    builder = x509.CertificateBuilder().subject_name(own.subject).issuer_name(issuer.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(own.not_valid_before_utc).not_valid_after(own.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def public(chains):
    return [public_bytes(chain.key.public_key()) for chain in chains]


def records(chains):
    return [tlsa.of_key(chain.key.public_key()) for chain in chains]


class Fleet:
    """Tasks of each provider on one node, with the CA's part played between two calls."""

    def __init__(self, node, ca, issue):
        self.node, self.ca, self.issue = node, ca, issue
        self.signed = self.reason = None

    def options(self, provider, given=None):
        given = {**SMALL, **(given or {})}
        if provider == "own_ca":
            given["ca_certificate"] = certificates_pem([self.ca[0]]).decode()
        return given

    def run(self, provider, given=None, **over):
        """Until nothing is awaited but an announcement; the CA signs what is asked for."""
        options = self.options(provider, given)
        if provider == "csr" and self.signed:
            options["certificate"] = self.signed
        planned = apply(self.node, wish(provider, options, **over))
        self.reason = planned.reason
        if planned.awaits != supply.SIGNATURE:
            return planned
        names = requested_names(planned.next.request)[0]
        self.signed = sign(planned.next.request, self.ca, names)
        return apply(self.node, wish(provider, {**options, "certificate": self.signed}, **over))

    def again(self, provider, given=None, **over):
        """What another run of the same task would do."""
        options = self.options(provider, given)
        if provider == "csr":
            options["certificate"] = self.signed
        return plan(self.node, wish(provider, options, **over))


@pytest.fixture
def fleet(node, fleet_ca, issue):
    write(node.store("trust", "1.pem"), certificates_pem([fleet_ca[0]]))
    return Fleet(node, fleet_ca, issue)


# Keys that are made here


@pytest.mark.parametrize("provider", MADE_HERE)
@pytest.mark.parametrize("given", [{}, BOTH, {"names": ["mx1.example.com", "*.example.com"]}])
def test_a_first_run_brings_a_certificate_and_a_second_one_changes_nothing(fleet, provider, given):
    first = fleet.run(provider, given, **SERVED)
    assert first.reason is not None
    assert [dns_names(chain.leaf) for chain in first.chains] == [
        given.get("names", ["mx1.example.com"]) for _chain in first.chains
    ]
    assert store.stored_chains(fleet.node.state, "default")[0].leaf == first.chains[0].leaf
    assert not os.path.exists(store.next_key(fleet.node.state, "default"))
    assert not os.path.exists(store.next_request(fleet.node.state, "default"))
    again = fleet.again(provider, given, **SERVED)
    assert (again.reason, again.plan.changed, again.keeps) == (None, False, False)


@pytest.mark.parametrize("provider", MADE_HERE)
@pytest.mark.parametrize(
    ("over", "reason"),
    [({"renew_now": True}, "renew_now is set"), ({"renew_before": 89}, "has 88 days left, fewer than renew_before")],
)
@pytest.mark.parametrize("renew_key", ["replace", "keep"])
def test_a_renewal_brings_a_new_key_or_keeps_the_old_one(monkeypatch, fleet, *, provider, over, reason, renew_key):
    given = {"days": 90} if provider != "csr" else {}
    first = fleet.run(provider, given, **SERVED)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1, seconds=1)
    monkeypatch.setattr(supply, "utc_now", lambda: later)
    renewed = fleet.run(provider, given, **SERVED, **over, renew_key=renew_key)
    assert reason in fleet.reason
    assert renewed.chains[0].leaf != first.chains[0].leaf
    assert (public(renewed.chains) == public(first.chains)) is (renew_key == "keep")
    assert fleet.node.state.explicit["smtpd_tls_chain_files"] == renewed.path != first.path


@pytest.mark.parametrize("provider", MADE_HERE)
def test_a_key_of_another_kind_is_made_anew_even_where_keys_are_kept(fleet, provider):
    first = fleet.run(provider)
    second = fleet.run(provider, {"key_size": 384}, renew_key="keep")
    assert fleet.reason == "the stored certificate has another kind of key"
    assert public(second.chains) != public(first.chains)


@pytest.mark.parametrize("provider", MADE_HERE)
def test_other_names_bring_a_new_certificate(fleet, provider):
    fleet.run(provider)
    second = fleet.run(provider, {"names": ["mx1.example.com", "smtp.example.com"]})
    assert fleet.reason == "the stored certificate has other names"
    assert dns_names(second.chains[0].leaf) == ["mx1.example.com", "smtp.example.com"]


def test_a_ca_that_others_run_may_add_names(fleet):
    asked = apply(fleet.node, wish("csr", SMALL))
    signed = sign(asked.next.request, fleet.ca, ["mx1.example.com", "www.example.com"])
    assert apply(fleet.node, wish("csr", {**SMALL, "certificate": signed})).reason is not None
    assert plan(fleet.node, wish("csr", {**SMALL, "certificate": signed})).reason is None


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ("self_signed", "the stored certificate is not self-signed"),
        ("own_ca", "the stored certificate is not issued by this CA"),
    ],
)
def test_a_certificate_from_elsewhere_is_replaced(tls_node, provider, reason):
    stranger = make_ca("Stranger", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    given = {**SMALL, "ca_certificate": certificates_pem([stranger]).decode()} if provider == "own_ca" else SMALL
    assert plan(tls_node, wish(provider, given, name="fleet"), True).reason == reason


def test_what_the_next_ca_has_issued_already_stays(tls_node, fleet_ca):
    old = make_ca("Old CA", make_key(KeySpec("ecdsa", 256)), 3650, utc_now())
    following = {"ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    given = {**SMALL, "ca_certificate": certificates_pem([old]).decode(), "next_ca": following}
    assert plan(tls_node, wish("own_ca", given, name="fleet"), True).reason is None


# What a CA signs


def test_the_first_run_of_a_request_keeps_the_key_on_the_node_and_the_second_asks_the_same(node):
    first = apply(node, wish("csr", SMALL, **SERVED))
    assert (first.awaits, first.path, first.chains) == ("signature", None, ())
    assert first.active == {"server": False, "client": False}
    assert first.keeps
    second = plan(node, wish("csr", SMALL, **SERVED))
    assert second.next.request == first.next.request
    assert (second.keeps, second.plan.changed) == (False, False)
    assert "smtpd_tls_chain_files" not in node.state.explicit


def test_a_request_for_other_names_is_made_with_the_same_key(node):
    first = apply(node, wish("csr", SMALL))
    second = apply(node, wish("csr", {**SMALL, "names": ["mx2.example.com"]}))
    assert requested_names(second.next.request) == [("mx2.example.com",)]
    assert tlsa.of_key(second.next.keys[0].public_key()) == tlsa.of_key(first.next.keys[0].public_key())
    assert second.keeps


def test_a_request_whose_file_was_lost_is_made_again_with_the_same_key(node):
    first = apply(node, wish("csr", SMALL))
    os.unlink(store.next_request(node.state, "default"))
    second = apply(node, wish("csr", SMALL))
    assert tlsa.of_key(second.next.keys[0].public_key()) == tlsa.of_key(first.next.keys[0].public_key())


def test_a_request_in_check_mode_makes_no_key(node):
    planned = plan(node, wish("csr", SMALL, **SERVED), check_mode=True)
    assert (planned.awaits, planned.next, planned.keeps) == ("signature", None, True)
    assert not os.path.exists(node.store())


def test_an_answer_in_any_order_completes_the_request(node, fleet_ca, hierarchy):
    root, issuing, _chain = hierarchy
    asked = apply(node, wish("csr", SMALL, **SERVED))
    signed = certificates_pem([root, issuing[0]]).decode() + sign(asked.next.request, issuing)
    planned = apply(node, wish("csr", {**SMALL, "certificate": signed}, **SERVED))
    assert planned.chains[0].certificates[1] == issuing[0]
    assert node.state.explicit["smtpd_tls_chain_files"] == planned.path


def test_at_renewal_the_certificate_that_is_still_in_the_task_awaits_another_signature(fleet):
    stored = fleet.run("csr", **SERVED)
    again = fleet.again("csr", **SERVED, renew_before=95)
    assert (again.awaits, again.path, again.keeps) == ("signature", stored.path, True)
    assert public(again.chains) == public(stored.chains)
    assert again.active == {"server": True, "client": False}
    assert not again.plan.changed


@pytest.mark.parametrize("renew_key", ["replace", "keep"])
def test_at_renewal_every_run_asks_the_same_until_the_ca_has_signed(fleet, renew_key):
    fleet.run("csr", **SERVED)
    due = {**SERVED, "renew_before": 95, "renew_key": renew_key}
    options = {**SMALL, "certificate": fleet.signed}
    first = apply(fleet.node, wish("csr", options, **due))
    second = plan(fleet.node, wish("csr", options, **due))
    assert second.next.request == first.next.request
    assert not second.keeps


@pytest.mark.parametrize("there", [False, True])
def test_a_certificate_for_another_key_is_refused_and_the_request_stays(fleet, there):
    if there:
        fleet.run("csr", **SERVED)
    due = {"renew_before": 95} if there else {}
    asked = apply(fleet.node, wish("csr", {**SMALL, "certificate": fleet.signed}, **due))
    before = picture(fleet.node.config_dir)
    foreign = certificates_pem(fleet.issue().certificates).decode()
    with pytest.raises(CertificateError, match="^csr: the private key does not match the certificate"):
        apply(fleet.node, wish("csr", {**SMALL, "certificate": foreign}, **due))
    assert picture(fleet.node.config_dir) == before
    assert supply.next_kept(fleet.node.state, "default").request == asked.next.request


def test_a_certificate_that_was_issued_again_for_the_stored_key_takes_its_place(fleet):
    stored = fleet.run("csr", **SERVED)
    reissued = sign(request(["mx1.example.com"], stored.chains[0].key), fleet.ca, days=120)
    planned = apply(fleet.node, wish("csr", {**SMALL, "certificate": reissued}, **SERVED))
    assert planned.reason == "another certificate is given"
    assert public(planned.chains) == public(stored.chains)


def test_check_mode_foresees_a_certificate_that_was_issued_again_for_the_stored_key(fleet):
    stored = fleet.run("csr", **SERVED)
    reissued = sign(request(["mx1.example.com"], stored.chains[0].key), fleet.ca, days=120)
    planned = plan(fleet.node, wish("csr", {**SMALL, "certificate": reissued}, **SERVED), check_mode=True)
    assert planned.awaits is None
    assert public(planned.chains) == public(stored.chains)


def test_two_keys_ask_in_two_requests_and_get_two_certificates(fleet):
    asked = apply(fleet.node, wish("csr", BOTH))
    assert requested_names(asked.next.request) == [("mx1.example.com",)] * 2
    signed = sign(asked.next.request, fleet.ca)
    planned = apply(fleet.node, wish("csr", {**BOTH, "certificate": signed}))
    assert len(store.stored_chains(fleet.node.state, "default")) == len(planned.chains) == 2


def test_the_ca_signs_on_the_controller_and_the_key_stays_on_the_node(fleet):
    asked = apply(fleet.node, wish("own_ca", fleet.options("own_ca"), **SERVED))
    assert (asked.awaits, asked.keeps) == ("signature", True)
    assert b"PRIVATE" not in asked.next.request
    planned = fleet.run("own_ca", **SERVED)
    assert public(planned.chains) == [public_bytes(asked.next.keys[0].public_key())]
    assert store.read(store.trust_file(fleet.node.state)) == certificates_pem([fleet.ca[0]])


@pytest.mark.parametrize("send_root", [False, True])
def test_the_root_is_sent_where_that_is_asked_for(node, hierarchy, send_root):
    root, issuing, _chain = hierarchy
    given = {**SMALL, "ca_certificate": certificates_pem([issuing[0], root]).decode()}
    asked = apply(node, wish("own_ca", given, send_root=send_root))
    signed = {**given, "certificate": sign(asked.next.request, issuing)}
    (chain,) = apply(node, wish("own_ca", signed, send_root=send_root)).chains
    assert chain.certificates[1:] == ((issuing[0], root) if send_root else (issuing[0],))


# What exists already


def archive(chain, passphrase=None):
    secret = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    data = pkcs12.serialize_key_and_certificates(b"mx1", chain.key, chain.leaf, chain.certificates[1:], secret)
    return {"archive": base64.b64encode(data).decode(), "passphrase": passphrase}


def external(chain, folder):
    paths = {"private_key": folder / "mx.key", "certificate": folder / "mx.crt"}
    paths["private_key"].write_bytes(write_key(chain.key))
    paths["certificate"].write_bytes(certificates_pem(chain.certificates))
    return {"tool": "other", "hook": True, **{name: str(path) for name, path in paths.items()}}


def offer(provider, chain, folder):
    """The options of a provider that brings this chain."""
    if provider == "pem":
        return pem(chain)
    return archive(chain, "secret") if provider == "pkcs12" else external(chain, folder)


@pytest.mark.parametrize("provider", ["pem", "pkcs12", "external"])
def test_what_exists_is_taken_once_and_again_when_it_is_another(trusting_node, issue, tmp_path, provider):
    first, second = issue(), issue()
    taken = apply(trusting_node, wish(provider, offer(provider, first, tmp_path), **SERVED))
    assert taken.chains[0].certificates == first.certificates
    assert not plan(trusting_node, wish(provider, offer(provider, first, tmp_path), **SERVED)).plan.changed
    renewed = apply(trusting_node, wish(provider, offer(provider, second, tmp_path)))
    assert renewed.reason == "another certificate is given"
    assert trusting_node.state.explicit["smtpd_tls_chain_files"] == renewed.path


@pytest.mark.parametrize("provider", ["pem", "pkcs12", "external"])
@pytest.mark.parametrize("over", [{"renew_now": True}, {"renew_before": 999}])
def test_what_others_renew_is_not_renewed_here(trusting_node, issue, tmp_path, provider, over):
    given = offer(provider, issue(), tmp_path)
    apply(trusting_node, wish(provider, given))
    assert plan(trusting_node, wish(provider, given, **over)).reason is None


@pytest.mark.parametrize("provider", ["pem", "pkcs12", "external"])
def test_a_chain_is_completed_from_the_trust_file(node, hierarchy, tmp_path, provider):
    root, issuing, chain = hierarchy
    write(node.store("trust", "1.pem"), certificates_pem([root, issuing[0]]))
    given = offer(provider, Chain(chain.key, chain.certificates[:1]), tmp_path)
    (stored,) = apply(node, wish(provider, given, **SERVED)).chains
    assert stored.certificates == chain.certificates
    assert plan(node, wish(provider, given, **SERVED)).reason is None


def test_a_chain_is_completed_from_the_authorities_of_the_task(node, hierarchy):
    root, issuing, chain = hierarchy
    authorities = [certificates_pem([ca]).decode() for ca in (root, issuing[0])]
    wanted = wish("pem", pem(Chain(chain.key, chain.certificates[:1])), trust={"authorities": authorities})
    assert apply(node, wanted).chains[0].certificates == chain.certificates


def test_two_keys_in_one_file_make_two_chains(trusting_node, issue):
    chains = issue(), issue(kind=("rsa", 2048))
    given = {
        "private_key": "".join(write_key(chain.key).decode() for chain in chains),
        "certificate": "".join(certificates_pem(chain.certificates).decode() for chain in reversed(chains)),
    }
    planned = apply(trusting_node, wish("pem", given, **SERVED))
    assert [chain.leaf for chain in planned.chains] == [chain.leaf for chain in chains]


# What is stored


@pytest.mark.parametrize(("stored", "known"), [([], "none, since it is empty"), (["a", "b"], "a, b")])
def test_a_certificate_that_is_not_stored_is_refused_with_those_that_are(node, stored, known):
    for name in stored:
        apply(node, wish("self_signed", SMALL, name=name))
    with pytest.raises(InvalidValue) as refusal:
        plan(node, wish("stored", name="c"))
    assert str(refusal.value) == f"name: 'c' is not in the store; choose one of {known}, or another provider."


def test_a_certificate_that_waits_for_its_signature_is_not_offered_as_stored(node):
    apply(node, wish("csr", SMALL, name="waiting"))
    with pytest.raises(InvalidValue, match="^name: 'waiting' is not in the store; choose one of none"):
        plan(node, wish("stored", name="waiting"))


@pytest.mark.parametrize("over", [{"renew_now": True}, {"renew_before": 99999}])
def test_a_stored_certificate_is_never_renewed(node, over):
    apply(node, wish("self_signed", SMALL))
    assert plan(node, wish("stored", **over)).reason is None


# What DNS must announce first


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
@pytest.mark.parametrize("given", [{}, BOTH])
def test_a_renewal_waits_with_the_same_key_until_its_record_is_listed_and_uses_exactly_that_key(fleet, provider, given):
    first = fleet.run(provider, given, **SERVED)
    listed = {**SERVED, "published_tlsa": records(first.chains)}
    due = {**listed, "renew_now": True}
    waiting = fleet.run(provider, given, **due)
    assert (waiting.awaits, waiting.keeps, waiting.path) == ("announcement", True, first.path)
    assert public(waiting.chains) == public(first.chains)
    again = fleet.again(provider, given, **due)
    assert (again.keeps, again.plan.changed) == (False, False)
    wanted = [tlsa.of_key(key.public_key()) for key in waiting.next.keys]
    assert wanted == [tlsa.of_key(key.public_key()) for key in again.next.keys]
    due["published_tlsa"] = [*due["published_tlsa"], *wanted]
    renewed = fleet.run(provider, given, **due)
    assert records(renewed.chains) == wanted
    assert fleet.node.state.explicit["smtpd_tls_chain_files"] == renewed.path
    assert not os.path.exists(store.next_key(fleet.node.state, "default"))


@pytest.mark.parametrize("provider", ["self_signed", "own_ca"])
def test_a_renewal_that_keeps_its_key_waits_for_no_announcement(fleet, provider):
    first = fleet.run(provider, **SERVED)
    listed = {**SERVED, "published_tlsa": records(first.chains), "renew_now": True, "renew_key": "keep"}
    renewed = fleet.run(provider, **listed)
    assert renewed.awaits is None
    assert records(renewed.chains) == records(first.chains)


def test_an_announced_ca_makes_the_announcement_of_keys_needless(node, hierarchy):
    root, issuing, _chain = hierarchy
    given = {**SMALL, "ca_certificate": certificates_pem([issuing[0], root]).decode()}
    record = tlsa.of_key(issuing[0].public_key()).replace("3 1 1", "2 1 1")
    asked = apply(node, wish("own_ca", given, **SERVED, published_tlsa=[record]))
    assert asked.awaits == "signature"


def test_an_announced_ca_counts_for_what_it_has_signed_on_request(node, hierarchy):
    root, issuing, _chain = hierarchy
    asked = apply(node, wish("csr", SMALL, **SERVED))
    signed = sign(asked.next.request, issuing) + certificates_pem([issuing[0], root]).decode()
    record = tlsa.of_key(issuing[0].public_key()).replace("3 1 1", "2 1 1")
    planned = plan(node, wish("csr", {**SMALL, "certificate": signed}, **SERVED, published_tlsa=[record]))
    assert planned.awaits is None


def test_a_request_whose_key_is_not_announced_comes_with_its_record(node):
    planned = apply(node, wish("csr", SMALL, **SERVED, published_tlsa=[OTHER_RECORD]))
    assert (planned.awaits, planned.path) == ("announcement", None)
    assert requested_names(planned.next.request) == [("mx1.example.com",)]


@pytest.mark.parametrize("provider", MADE_HERE)
def test_check_mode_makes_no_key_and_writes_nothing_at_a_renewal(fleet, provider):
    first = fleet.run(provider, **SERVED)
    before = picture(fleet.node.config_dir)
    options = {**fleet.options(provider), "certificate": fleet.signed if provider == "csr" else None}
    wanted = wish(provider, options, **SERVED, renew_now=True, published_tlsa=records(first.chains))
    planned = plan(fleet.node, wanted, check_mode=True)
    assert planned.reason == "renew_now is set"
    assert planned.next is None
    assert picture(fleet.node.config_dir) == before


def test_kept_keys_that_cannot_be_read_are_named(node):
    write(store.next_key(node.state, "default"), b"broken")
    with pytest.raises(CertificateError, match="next.key: this is no private key that can be read"):
        plan(node, wish("csr", SMALL))


def test_the_cas_known_here_are_those_of_the_task_of_the_store_and_of_the_system(
    monkeypatch, trusting_node, tmp_path, fleet_ca, hierarchy
):
    root, issuing, _chain = hierarchy
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates_pem([root]))
    monkeypatch.setattr(supply.trust, "SYSTEM_BUNDLES", (str(tmp_path / "none"), str(bundle)))
    wanted = wish("self_signed", SMALL, trust={"authorities": [certificates_pem([issuing[0]]).decode()]})
    assert supply.issuers_known(trusting_node.state, wanted) == (issuing[0], fleet_ca[0], root)


def test_a_ca_that_cannot_be_read_is_named_by_its_option(node, fleet_ca):
    given = {**SMALL, "ca_certificate": certificates_pem([fleet_ca[0]]).decode()}
    wanted = wish("own_ca", given, trust={"authorities": ["-----BEGIN nothing"]})
    with pytest.raises(CertificateError, match="^trust.authorities: holds no certificate in PEM"):
        supply.issuers_known(node.state, wanted)
