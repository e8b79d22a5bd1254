# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import fitness
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from pki import authority, certify, ec_key

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
YEAR = datetime.timedelta(days=365)
HOST = "mx1.example.com"


def certificate(
    key=None, names=(HOST,), usages=None, issuer=None, signed_with=None, *, signs=None, ca=None, common=HOST
):
    """A certificate as another tool could have made it: only what is given stands in it."""
    key = key or make_key(KeySpec("ecdsa", 256))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    builder = x509.CertificateBuilder().subject_name(subject).serial_number(7).public_key(key.public_key())
    builder = builder.issuer_name(issuer[0].subject if issuer else subject)
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + 90 * DAY)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if signs is not None:
        flags = [signs, False, True, *[False] * 6]
        builder = builder.add_extension(x509.KeyUsage(*flags), critical=True)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer[1] if issuer else key, signed_with or hashes.SHA256())


def found(chain, hosts=(HOST,), uses=("server",), authorities=(), now=NOW):
    return [tuple(flaw) for flaw in fitness.flaws(chain, hosts, uses, authorities, now)]


def sentences(flaws):
    return [flaw.sentence for flaw in flaws]


def unfit(made, use="server", authorities=(), host=HOST, now=NOW):
    return sentences(fitness.unfit_for_agents([made], host, use, authorities, now))


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (NOW, []),
        (NOW - 2 * DAY, ["is not valid before 2025-12-31"]),
        (NOW + 90 * DAY - datetime.timedelta(seconds=1), []),
        (NOW + 90 * DAY, ["expired on 2026-04-01"]),
    ],
)
def test_a_certificate_is_good_from_its_first_second_to_its_last(at, found):
    assert sentences(fitness.weaknesses(certificate(), at)) == found


@pytest.mark.parametrize(("bits", "found"), [(1024, ["has an RSA key of 1024 bits, fewer than 2048"]), (2048, [])])
def test_an_rsa_key_below_2048_bits_is_weak(bits, found):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    assert sentences(fitness.weaknesses(certificate(key), NOW)) == found


def test_a_certificate_without_a_san_names_no_host():
    assert sentences(fitness.weaknesses(certificate(names=()), NOW)) == ["names no host in its SAN"]


def test_a_signature_with_sha_1_is_weak(monkeypatch):
    made = certificate()
    monkeypatch.setattr(fitness, "hash_name", lambda certificate: "sha1")
    assert sentences(fitness.weaknesses(made, NOW)) == ["is signed with SHA1"]


@pytest.mark.parametrize(
    ("usages", "use", "found"),
    [
        (None, "server", []),
        (None, "client", []),
        ([ExtendedKeyUsageOID.SERVER_AUTH], "server", []),
        (
            [ExtendedKeyUsageOID.SERVER_AUTH],
            "client",
            ["is not allowed as a client certificate by its extended key usage"],
        ),
        (
            [ExtendedKeyUsageOID.CLIENT_AUTH],
            "server",
            ["is not allowed as a server certificate by its extended key usage"],
        ),
        (
            [ExtendedKeyUsageOID.CODE_SIGNING],
            "client",
            ["is not allowed as a client certificate by its extended key usage"],
        ),
    ],
)
def test_a_certificate_must_be_allowed_for_its_side(fleet_ca, usages, use, found):
    assert unfit(certificate(usages=usages, issuer=fleet_ca), use, [fleet_ca[0]]) == found


def test_every_reason_is_given_at_once():
    made = certificate(names=["mx9.example.com"], usages=[ExtendedKeyUsageOID.CLIENT_AUTH])
    assert unfit(made, now=NOW + 91 * DAY) == [
        "is self-signed",
        "expired on 2026-04-01",
        "names mx9.example.com and not this host, mx1.example.com",
        "is not allowed as a server certificate by its extended key usage",
        "is not issued by a CA in ca_file that is valid",
    ]


def test_one_ca_of_several_is_enough(fleet_ca):
    stranger = certificate()
    assert unfit(certificate(issuer=fleet_ca), authorities=[stranger, fleet_ca[0]]) == []


def test_a_good_agent_certificate_is_fit_for_both_uses(issue, fleet_ca):
    for use in ("server", "client"):
        assert not list(
            fitness.unfit_for_agents(issue().certificates, "mx1.example.com", use, [fleet_ca[0]], utc_now())
        )


@pytest.mark.parametrize(
    ("made", "host", "problem"),
    [
        ({"by": "itself"}, "mx1.example.com", "is self-signed"),
        ({"days": 1, "now": utc_now() - YEAR}, "mx1.example.com", "expired on"),
        ({"now": utc_now() + YEAR}, "mx1.example.com", "is not valid before"),
        ({"names": ["mx2.example.com"]}, "mx1.example.com", "and not this host"),
        ({"names": ["*.example.com"]}, "mx1.other.example", "and not this host"),
    ],
)
def test_an_unfit_agent_certificate_is_named(issue, fleet_ca, made, host, problem):
    chain = issue(**made)
    found = sentences(fitness.unfit_for_agents(chain.certificates, host, "server", [fleet_ca[0]], utc_now()))
    assert any(problem in sentence for sentence in found)


def test_a_certificate_of_a_foreign_ca_is_unfit(issue):
    stranger = issue(by="itself").leaf
    found = sentences(
        fitness.unfit_for_agents(issue().certificates, "mx1.example.com", "server", [stranger], utc_now())
    )
    assert found == ["is not issued by a CA in ca_file that is valid"]


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["mx1.example.com"], "MX1.example.com", True),
        (["*.example.com"], "mx1.example.com", True),
        (["*.example.com"], "a.mx1.example.com", False),
        (["*.example.com"], "example.com", False),
        ([], "mx1.example.com", False),
    ],
)
def test_a_wildcard_covers_one_label(names, host, covered):
    assert fitness.covers(names, host) is covered


def test_a_foreign_leaf_does_not_become_fit_by_what_follows_it(issue, fleet_ca):
    chain = [issue(by="itself").leaf, issue().leaf]
    found = sentences(fitness.unfit_for_agents(chain, "mx1.example.com", "server", [fleet_ca[0]], utc_now()))
    assert "is not issued by a CA in ca_file that is valid" in found


@pytest.fixture(scope="module")
def issuing():
    """(certificate, key) of a CA that a root above it has issued, and the root."""
    keys = [make_key(KeySpec("ecdsa", 256)) for _step in range(2)]
    root = certificate(keys[1], names=(), ca=True, common="Root")
    return certificate(keys[0], names=(), ca=True, common="Issuing", issuer=(root, keys[1])), keys[0], root


EXPIRED, EARLY = NOW + 91 * DAY, NOW - 2 * DAY


@pytest.mark.parametrize(
    ("made", "over", "flaws"),
    [
        ({}, {}, []),
        ({}, {"now": EXPIRED}, [("expired", "expired on 2026-04-01")]),
        ({}, {"now": EARLY}, [("not_yet_valid", "is not valid before 2025-12-31")]),
        ({"names": ()}, {}, [("no_san", "names no host in its SAN")]),
        ({}, {"hosts": ["mx2.example.com"]}, [("other_host", "names mx1.example.com and not mx2.example.com")]),
        (
            {"names": ["*.example.com"]},
            {"hosts": [HOST, "example.com", "a.b.example.com"]},
            [("other_host", "names *.example.com and not example.com or a.b.example.com")],
        ),
        ({"names": ["*.example.com", "example.com"]}, {"hosts": [HOST, "EXAMPLE.com"]}, []),
        ({}, {"hosts": []}, []),
        (
            {"usages": [ExtendedKeyUsageOID.SERVER_AUTH]},
            {"uses": ["server", "client"]},
            [("wrong_usage", "is not allowed as a client certificate by its extended key usage")],
        ),
        ({"usages": [ExtendedKeyUsageOID.SERVER_AUTH]}, {"uses": []}, []),
        ({"signs": True}, {}, []),
        ({"signs": False}, {}, [("wrong_usage", "may not sign by its key usage, which TLS 1.3 asks of it")]),
    ],
)
def test_each_flaw_of_a_certificate_has_a_name_and_a_sentence(made, over, flaws):
    assert found([certificate(**made)], **over) == flaws


@pytest.mark.parametrize(("bits", "flaws"), [(1024, ["weak_key"]), (2048, [])])
def test_a_weak_key_is_a_flaw(bits, flaws):
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    assert [kind for kind, _sentence in found([certificate(key)])] == flaws


@pytest.mark.parametrize("name", ["sha1", "md5"])
def test_a_weak_signature_is_a_flaw(monkeypatch, name):
    made = certificate()
    monkeypatch.setattr(fitness, "hash_name", lambda certificate: name)
    assert found([made]) == [("weak_signature", f"is signed with {name.upper()}")]


def test_a_signature_without_a_hash_is_none_of_the_weak_ones(monkeypatch):
    made = certificate()
    monkeypatch.setattr(fitness, "hash_name", lambda certificate: None)
    assert found([made]) == []


@pytest.mark.parametrize("given", ["nothing", "issuing", "both"])
@pytest.mark.parametrize("known", ["nothing", "issuing", "root"])
def test_a_chain_is_complete_where_its_last_issuer_is_given_or_known(issuing, given, known):
    ca, key, root = issuing
    chain = [certificate(issuer=(ca, key)), *{"nothing": [], "issuing": [ca], "both": [ca, root]}[given]]
    authorities = {"nothing": [], "issuing": [ca], "root": [root]}[known]
    complete = {"nothing": ["issuing"], "issuing": ["root"], "both": ["nothing", "issuing", "root"]}[given]
    missing = "CN=Issuing" if given == "nothing" else "CN=Root"
    sentence = f"lacks an intermediate: {missing} is neither given nor a CA that this node knows"
    assert found(chain, authorities=authorities) == ([] if known in complete else [("incomplete_chain", sentence)])


@pytest.mark.parametrize(
    ("now", "kind", "sentence"),
    [(EXPIRED, "expired", "expired on 2026-04-01"), (EARLY, "not_yet_valid", "is not valid before 2025-12-31")],
)
def test_an_intermediate_out_of_its_time_is_a_flaw_too(issuing, now, kind, sentence):
    ca, key, root = issuing
    chain = [certificate(issuer=(ca, key)), ca]
    assert found(chain, authorities=[root], now=now) == [
        (kind, sentence),
        (kind, f"has an intermediate, CN=Issuing, that {sentence}"),
    ]


@pytest.mark.parametrize("constraint", [None, False])
def test_who_is_no_ca_has_issued_nothing(constraint):
    key = make_key(KeySpec("ecdsa", 256))
    host = certificate(key, ca=constraint, common="A host")
    chain = [certificate(issuer=(host, key)), host]
    assert found(chain) == [("wrong_usage", "is issued by CN=A host, which is not a CA's certificate")]


def test_every_flaw_is_found_at_once_and_each_is_one_of_those_that_can_be_accepted(issuing):
    ca, key, _root = issuing
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    usages = [ExtendedKeyUsageOID.CODE_SIGNING]
    made = certificate(weak, ["mx9.example.com"], usages, (ca, key), signs=False)
    kinds = [kind for kind, _sentence in found([made], uses=["server", "client"], now=EXPIRED)]
    assert kinds == ["expired", "weak_key", "other_host", *["wrong_usage"] * 3, "incomplete_chain"]
    assert set(kinds) <= set(fitness.FLAWS)


def test_a_root_that_is_sent_along_is_fit_for_agents(issuing):
    ca, key, root = issuing
    chain = [certificate(issuer=(ca, key)), ca, root]
    assert list(fitness.unfit_for_agents(chain, HOST, "server", [root], NOW)) == []


def test_a_ca_in_ca_file_that_has_expired_vouches_for_nobody(fleet_ca):
    chain = [certificate(issuer=fleet_ca)]
    later = utc_now() + 11 * YEAR
    unfit = sentences(fitness.unfit_for_agents(chain, HOST, "server", [fleet_ca[0]], later))
    assert unfit[-1] == "is not issued by a CA in ca_file that is valid"


def test_an_issuer_whose_key_may_not_sign_certificates_has_issued_nothing(issuing):
    host = certificate(ca=True, signs=True, common="Signs")
    key = make_key(KeySpec("ecdsa", 256))
    middle = certificate(key, ca=True, signs=True, common="Signs", names=())
    chain = [certificate(issuer=(middle, key)), middle]
    assert found(chain) == [("wrong_usage", "is issued by CN=Signs, which may not sign certificates by its key usage")]
    assert found([host]) == []


def test_names_that_strangers_chose_are_escaped_in_every_sentence():
    hostile = "\x1b[2J\n"
    ca = authority(hostile, begin=-9, end=-1)
    made = certify("mx1", ec_key(), ca, [f"{hostile}.example.com"])
    chain = [made.certificate, ca.certificate, authority("x", authority(hostile)).certificate]
    said = sentences(fitness.flaws(chain, [HOST], ["server"], [], utc_now()))
    said += sentences(fitness.unfit_for_agents(chain, HOST, "server", [], utc_now()))
    assert len(said) == 5 and all(sentence.isprintable() for sentence in said)
    assert sum(r"\x1b[2J\n" in sentence for sentence in said) == 4
