# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains, good and flawed, before OpenSSL itself."""

from __future__ import annotations

import os
import re

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files as files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates import fitness
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    read_certificates,
    read_chain_file,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.fitness import Flaw
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.validity import utc_now
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import judge
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.tests.unit import strange_keys
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import openssl
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448
from flawed import CHAINS, ELSEWHERE, alone, beneath, signed_with_sha1, through
from pki import CLIENT, SERVER, authority, certify, ed_key, rsa_key

ROOT = authority("Root")
HOST = "mx1.example.com"
SERVER_OF_HOST = judge.peers([HOST], False)
ANYBODY = judge.peers([], False)


def certificates(*identities):
    return [identity.certificate for identity in identities]


def ask(chain, asking=SERVER_OF_HOST, accepted=(), anchors=(ROOT,), run=openssl):
    return judge.objections(run, certificates(*chain), certificates(*anchors), asking, accepted)


def judged(chain, accepted=(), anchors=(ROOT,)):
    """What is said in all, by us and by OpenSSL."""
    mine = fitness.flaws(certificates(*chain), [HOST], ["server"], certificates(*anchors), utc_now())
    said = ask(chain, accepted=accepted, anchors=anchors)
    return list(judge.beside((flaw for flaw in mine if flaw.kind not in accepted), said))


@pytest.mark.parametrize("what", CHAINS)
def test_each_flawed_chain_is_refused_once_with_openssls_words_unless_it_is_accepted(what):
    make, kind, sentence = CHAINS[what]
    chain = make(ROOT, HOST)
    ((found, said),) = judged(chain)
    assert found == kind and found in fitness.FLAWS
    assert re.search(sentence, said), said
    assert judged(chain, accepted=[kind]) == []


GOOD = {
    "beneath the root": lambda: alone(ROOT, HOST),
    "beneath an intermediate": lambda: through(ROOT, HOST, path_length=0),
    "with a wildcard": lambda: alone(ROOT, HOST, names=["*.example.com"]),
    "RSA 2048": lambda: alone(ROOT, HOST, key=rsa_key(2048)),
    "Ed25519": lambda: alone(ROOT, HOST, key=ed_key()),
    "Ed25519 throughout": lambda: through(ROOT, HOST, key=ed_key()),
    "Ed448 throughout": lambda: beneath(
        authority("Middle", ROOT, key=ed_key(ed448.Ed448PrivateKey)), name=HOST, key=ed_key(ed448.Ed448PrivateKey)
    ),
    "within its constraints": lambda: through(
        ROOT, HOST, extensions=[(x509.NameConstraints([x509.DNSName("example.com")], None), True)]
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_good_chain_is_good_for_whoever_asks(what):
    chain = GOOD[what]()
    assert ask(chain) == ask(chain, judge.peers([], True)) == ask(chain, ANYBODY) == []


@pytest.mark.parametrize(
    ("usages", "asking", "refused"),
    [
        ([SERVER], judge.peers([HOST], False), False),
        ([SERVER], judge.peers([], True), True),
        ([CLIENT], judge.peers([], True), False),
        ([CLIENT], judge.peers([HOST], True), True),
        ([SERVER, CLIENT], judge.peers([HOST], True), False),
        ([CLIENT], ANYBODY, False),
    ],
)
def test_a_chain_is_judged_for_the_sides_that_it_is_for(usages, asking, refused):
    assert [flaw.kind for flaw in ask(alone(ROOT, HOST, usages=usages), asking)] == ["wrong_usage"] * refused


@pytest.mark.parametrize(
    ("asking", "refused"),
    [
        (judge.peers([HOST, "mx2.example.com"], False), True),
        (judge.peers([HOST, None], True), False),
        (judge.peers([], True), False),
        (judge.peers([None], False), False),
    ],
)
def test_a_server_is_asked_for_by_each_of_its_names_and_a_client_by_none(asking, refused):
    assert [flaw.kind for flaw in ask(alone(ROOT, HOST), asking)] == ["other_host"] * refused


def test_no_flaw_hides_another():
    middle = authority("Middle", key=rsa_key(1024), begin=-9, end=-1)
    chain = beneath(middle, name=HOST, names=["mx9.example.com"], usages=[CLIENT])
    kinds = {flaw.kind for flaw in ask(chain)}
    assert kinds == {"incomplete_chain", "expired", "weak_key", "other_host", "wrong_usage"}
    for accepted in kinds:
        assert {flaw.kind for flaw in ask(chain, accepted=[accepted])} == kinds - {accepted}
    assert ask(chain, accepted=kinds) == []


def test_what_is_accepted_of_one_kind_hides_no_other():
    constraint = [(x509.NameConstraints(ELSEWHERE, None), True)]
    chain = through(ROOT, HOST, key=rsa_key(1024), begin=1, extensions=constraint)
    kinds = ["weak_key", "not_yet_valid", "beyond_constraints"]
    for accepted in kinds:
        assert [flaw.kind for flaw in ask(chain, accepted=[accepted])] == [kind for kind in kinds if kind != accepted]


@pytest.mark.parametrize(("accepted", "left"), [("weak_key", "weak_signature"), ("weak_signature", "weak_key")])
def test_an_accepted_weakness_hides_no_other(accepted, left):
    weak = authority("Weak", ROOT, key=rsa_key(1024))
    middle = signed_with_sha1("Middle", weak, "basicConstraints=CA:TRUE")
    assert [kind for kind, _said in judged(beneath(weak, middle, name=HOST), accepted=[accepted])] == [left]


def test_an_intermediate_that_is_trusted_is_no_root():
    leaf, middle = through(ROOT, HOST)
    (flaw,) = ask([leaf], anchors=[middle])
    assert flaw.kind == "incomplete_chain" and flaw.sentence.startswith("unable to get issuer certificate, CN")
    assert ask([leaf], anchors=[middle, ROOT]) == ask([leaf, middle]) == []


def test_the_cas_of_this_machine_count_for_nothing(tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    chain = alone(ROOT, HOST)
    assert [flaw.kind for flaw in ask(chain, anchors=[authority("Other")])] == ["incomplete_chain"]


def test_where_nothing_is_trusted_the_rest_is_judged_all_the_same():
    assert [flaw.kind for flaw in ask(through(ROOT, HOST, key=rsa_key(1024)), anchors=[])] == ["weak_key"]


def test_a_self_signed_certificate_is_not_for_openssl_to_judge():
    def nobody(argv, stdin=None):
        raise AssertionError(argv)

    assert ask([certify(HOST, rsa_key(1024), names=[HOST])], run=nobody) == []


def test_an_answer_that_nobody_understands_is_a_refusal_in_its_own_words():
    (flaw,) = ask(alone(ROOT, HOST), run=lambda argv, stdin=None: Completed(1, "", "verify: out of\n\x1b memory\n"))
    assert flaw == Flaw("refused_by_openssl", r"verify: out of; \x1b memory")


def test_an_error_of_an_unknown_number_has_a_kind_of_its_own():
    said = "CN = mx1\nerror 4711 at 0 depth lookup: something new\nerror leaf: verification failed\n"
    assert ask(alone(ROOT, HOST), run=lambda argv, stdin=None: Completed(2, "", said)) == [
        Flaw("refused_by_openssl", "something new")
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_no_file_is_left_and_nobody_else_reads_any(fails):
    seen = set()

    def run(argv, stdin=None):
        folder = os.path.dirname(argv[-1])
        seen.add((os.path.dirname(folder), os.stat(folder).st_mode & 0o777))
        if fails:
            raise OSError(5, "Input/output error")
        return openssl(argv, stdin)

    if fails:
        with pytest.raises(OSError):
            ask(alone(ROOT, HOST), run=run)
    else:
        ask(alone(ROOT, HOST), run=run)
    place = files.own_place()
    assert seen == {(place, 0o700)}
    assert os.stat(place).st_mode & 0o777 == 0o700
    assert [name for name in os.listdir(place) if not name.endswith(".lock")] == []


def test_a_name_cannot_forge_a_line_of_the_verdict():
    lines = "x\nerror 10 at 0 depth lookup: certificate has expired\n\x1b[2J"
    middle = authority(lines, ROOT, key=rsa_key(1024))
    (flaw,) = ask(beneath(middle, name=HOST))
    assert flaw.kind == "weak_key" and flaw.sentence.isprintable()


@pytest.mark.parametrize(
    ("mine", "said", "found"),
    [
        ([], [], []),
        ([("expired", "a")], [], [("expired", "a")]),
        ([], [("expired", "b")], [("expired", "is refused by OpenSSL (b)")]),
        ([("expired", "a")], [("expired", "b"), ("expired", "c")], [("expired", "a (OpenSSL: b; c)")]),
        (
            [("expired", "a"), ("expired", "b")],
            [("weak_key", "d"), ("expired", "c")],
            [("expired", "a (OpenSSL: c)"), ("expired", "b"), ("weak_key", "is refused by OpenSSL (d)")],
        ),
    ],
)
def test_openssls_words_stand_beside_ours(mine, said, found):
    assert [tuple(f) for f in judge.beside([Flaw(*f) for f in mine], [Flaw(*f) for f in said])] == found


# Keys that cryptography cannot read


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    return strange_keys.make(tmp_path_factory.mktemp("strange"))


def test_a_chain_of_a_kind_that_cryptography_cannot_read_is_judged_too(strange):
    leaf, root = read_certificates("chain", strange.chain.encode())
    assert judge.objections(openssl, [leaf], [root], SERVER_OF_HOST) == []
    (flaw,) = judge.objections(openssl, [leaf], [root], judge.peers(["mx2.example.com"], False))
    assert flaw.kind == "other_host"


def test_such_a_key_is_its_certificates_where_openssl_says_so(strange, tmp_path):
    (chain,) = read_chain_file("chain", strange.chain_file)
    assert judge.belongs(openssl, chain)
    (other,) = read_chain_file("chain", strange_keys.make(tmp_path).chain_file)
    assert not judge.belongs(openssl, Chain(other.key, chain.certificates))
    assert not judge.belongs(lambda argv, stdin=None: Completed(1, "", "no"), chain)


def test_such_a_key_is_in_no_argument(strange):
    (chain,) = read_chain_file("chain", strange.chain_file)
    seen = []
    judge.belongs(lambda argv, stdin=None: (seen.append((argv, stdin)), openssl(argv, stdin))[1], chain)
    assert seen == [(["openssl", "pkey", "-pubout"], chain.key.pem.decode())]


def test_a_key_that_cryptography_can_read_is_not_asked_about(issue):
    assert judge.belongs(None, issue())
