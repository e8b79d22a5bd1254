# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import (
    Chain,
    certificates_pem,
    chains_pem,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError, InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import read_state


def put(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as handle:
        handle.write(content)
    return str(path)


@pytest.mark.parametrize(
    ("entries", "numbers", "following"),
    [
        ([], [], "1.pem"),
        (["1.pem"], [1], "2.pem"),
        (["2.pem", "10.pem", "9.pem"], [2, 9, 10], "11.pem"),
        (["1.pem", "next.key", "3.pem.bak", "x4.pem", "5.key"], [1], "2.pem"),
    ],
)
def test_generations_are_counted_as_numbers_and_strangers_are_left_alone(tmp_path, entries, numbers, following):
    for entry in entries:
        put(tmp_path / entry, b"")
    assert [number for number, _path in store.generations(str(tmp_path), ".pem")] == numbers
    assert store.next_path(str(tmp_path), ".pem") == str(tmp_path / following)


def test_a_store_that_is_not_there_is_empty(node):
    state = read_state(node.postfix)
    assert store.names(state) == []
    assert store.current(state, "default") is None
    assert store.next_path(os.path.join(state.store, "domains")) == f"{node.config_dir}/smtp_hardening/domains/1"


def test_a_certificate_that_is_only_being_signed_is_in_the_store_by_name_alone(tls_node):
    state = read_state(tls_node.postfix)
    put(store.next_key(state, "waiting"), b"key")
    assert store.names(state) == ["fleet", "waiting"]
    assert store.current(state, "waiting") is None


def test_the_newest_chain_of_a_name_is_the_stored_one(tls_node, issue):
    state, newer = read_state(tls_node.postfix), issue()
    path = put(os.path.join(store.certificates_dir(state), "fleet", "2.pem"), newer.to_pem())
    assert store.current(state, "fleet") == path
    (stored,) = store.stored_chains(state, "fleet")
    assert stored.certificates == newer.certificates


@pytest.mark.parametrize(
    ("main_cf", "server", "client"),
    [
        ("", (), ()),
        ("smtpd_tls_chain_files = /a.pem, /b.pem\n", ("/a.pem", "/b.pem"), ()),
        ("smtpd_tls_cert_file = /c.pem\nsmtpd_tls_eccert_file = /e.pem\n", ("/c.pem", "/e.pem"), ()),
        ("smtpd_tls_dcert_file = /d.pem\nsmtpd_tls_cert_file = /c.pem\n", ("/c.pem", "/d.pem"), ()),
        ("smtpd_tls_chain_files = /a.pem\nsmtpd_tls_cert_file = /c.pem\n", ("/a.pem",), ()),
        ("smtpd_tls_cert_file = none\n", (), ()),
        ("smtp_tls_cert_file = /c.pem\n", (), ("/c.pem",)),
    ],
)
def test_chain_files_win_over_the_legacy_certificate_files(node, main_cf, server, client):
    node.write("compatibility_level = 3.9\n" + main_cf)
    state = read_state(node.postfix)
    assert store.active_paths(state, "server") == server
    assert store.active_paths(state, "client") == client


@pytest.mark.parametrize("together", [True, False])
def test_a_legacy_pair_is_read_as_a_chain_from_one_file_or_two(node, issue, tmp_path, together):
    chain = issue()
    key, certificate = write_key(chain.key), certificates_pem(chain.certificates)
    path = put(tmp_path / "cert.pem", key + certificate if together else certificate)
    main_cf = f"smtpd_tls_cert_file = {path}\n"
    if not together:
        main_cf += f"smtpd_tls_key_file = {put(tmp_path / 'key.pem', key)}\n"
    node.write(main_cf)
    ((found, read),) = store.active_chains(read_state(node.postfix), "server")
    assert (found, read.certificates) == (path, chain.certificates)


def test_a_chain_file_that_is_gone_is_named_with_what_to_do(node):
    node.write("smtpd_tls_chain_files = /nowhere/1.pem\n")
    with pytest.raises(CertificateError) as failure:
        store.active_chains(read_state(node.postfix), "server")
    assert str(failure.value) == (
        "/nowhere/1.pem: cannot be read (No such file or directory); "
        "Postfix is told to use it, so put it back or make another certificate active."
    )


@pytest.mark.parametrize(("use", "side"), [("server", "smtpd"), ("client", "smtp")])
def test_an_active_chain_leaves_no_legacy_parameter_beside_it(node, use, side):
    wanted = store.activation(read_state(node.postfix), use, "/store/1.pem")
    assert wanted.pop(f"{side}_tls_chain_files") == "/store/1.pem"
    kinds = [f"{side}_tls_{kind}{part}_file" for kind in ("", "ec", "d") for part in ("cert", "key")]
    assert wanted == dict.fromkeys(kinds)


@pytest.mark.parametrize(
    ("main_cf", "uses"),
    [
        ("", {"server": False, "client": False}),
        ("smtpd_tls_chain_files = {0}/fleet/1.pem\n", {"server": True, "client": False}),
        ("smtp_tls_chain_files = {0}/fleet/9.pem\n", {"server": False, "client": True}),
        ("smtpd_tls_chain_files = {0}/fleet2/1.pem\n", {"server": False, "client": False}),
    ],
)
def test_a_certificate_knows_the_sides_that_use_it(node, main_cf, uses):
    node.write("compatibility_level = 3.9\n" + main_cf.format(store.certificates_dir(read_state(node.postfix))))
    assert store.uses_of(read_state(node.postfix), "fleet") == uses


@pytest.mark.parametrize(
    ("entries", "newest", "following"),
    [([], "1.pem", "1.pem"), (["1.pem"], "1.pem", "2.pem"), (["2.pem", "10.pem", "ca.pem"], "10.pem", "11.pem")],
)
def test_the_newest_trust_file_counts_and_new_content_goes_beside_it(node, entries, newest, following):
    for entry in entries:
        put(node.store("trust", entry), b"CA")
    assert store.trust_file(node.state) == node.store("trust", newest)
    assert store.next_trust_file(node.state) == node.store("trust", following)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("trust/1.pem", "trust"),
        ("trust/99.pem", "trust"),
        ("trust_with_system/1.pem", "trust_with_system"),
        ("trust.pem", None),
        ("trust/old/1.pem", None),
        ("certificates/1.pem", None),
    ],
)
def test_a_trust_file_of_the_store_is_known_by_its_folder(node, path, kind):
    assert store.trust_kind(node.state, node.store(path)) == kind
    assert store.trust_kind(node.state, f"/etc/ssl/{path}") is None


@pytest.mark.parametrize(
    ("main_cf", "named"),
    [
        ("", []),
        ("smtpd_tls_chain_files = {0}/certificates/default/1.pem\n", ["certificates/default/1.pem"]),
        (
            "smtpd_tls_chain_files = {0}/certificates/a-b_1/1.pem,{0}/certificates/z/20.pem\n",
            ["certificates/a-b_1/1.pem", "certificates/z/20.pem"],
        ),
        ("smtp_tls_CAfile = {0}/trust/2.pem\nsmtpd_tls_CAfile = {0}/trust/2.pem\n", ["trust/2.pem"]),
        ("transport_maps = hash:{0}/domains/7/transport, hash:/etc/postfix/transport\n", ["domains/7"]),
        ("relay_domains = x.example hash:{0}/domains/12/relay_domains\n", ["domains/12"]),
        ("tls_server_sni_maps = hash:{0}/sni/4/table, hash:/etc/postfix/sni/1/table\n", ["sni/4"]),
        (
            "smtpd_client_restrictions = check_ccert_access {{ regexp:{0}/pins/2/table, {{ search_order = x }} }}\n",
            ["pins/2"],
        ),
        ("smtp_tls_CAfile = {0}/trust_with_system/3.pem\n", ["trust_with_system/3.pem"]),
        (
            "smtp_sasl_password_maps = lmdb:{0}/secrets/12/smtp_sasl_password_maps, hash:/etc/postfix/secrets/3/x\n",
            ["secrets/12"],
        ),
        ("x = hash:{0}/secrets/new/x, hash:{0}/mysecrets/1/x, {0}/secrets\n", []),
        ("smtp_tls_CAfile = /other{0}/trusty/2.pem\nx = {0}/history/3/main.cf\n", []),
    ],
)
def test_the_files_that_a_main_cf_names_are_found_in_it(node, main_cf, named):
    found = store.named(node.config_dir, main_cf.format(node.store()).encode())
    assert found == [node.store(name) for name in named]


@pytest.mark.parametrize(
    ("there", "main_cfs", "unnamed"),
    [
        ([], [""], []),
        (["certificates/a/1.pem", "trust/1.pem"], [""], []),
        (["certificates/a/1.pem", "certificates/a/2.pem"], [""], ["certificates/a/1.pem"]),
        (["certificates/a/1.pem", "certificates/a/2.pem"], ["", "x = {0}/certificates/a/1.pem"], []),
        (["certificates/a/1.pem", "certificates/a/2.pem"], ["x = {0}/certificates/a/2.pem"], ["certificates/a/1.pem"]),
        (["trust/1.pem", "trust/2.pem", "trust/10.pem"], ["x = {0}/trust/2.pem"], ["trust/1.pem"]),
        (["domains/1/transport", "domains/2/transport"], ["x = hash:{0}/domains/1/transport"], ["domains/2"]),
        (["sni/1/table", "sni/2/table", "pins/1/table"], ["x = hash:{0}/sni/2/table"], ["pins/1", "sni/1"]),
        (
            ["secrets/1/x", "secrets/2/x", "secrets/10/x"],
            ["x = hash:{0}/secrets/2/x", "x = hash:{0}/domains/1/x"],
            ["secrets/1", "secrets/10"],
        ),
        (["secrets/old/x", "secrets/1.bak"], [""], []),
        (["trust_with_system/1.pem", "trust_with_system/2.pem"], [""], ["trust_with_system/1.pem"]),
        (["renewal/renew.pyz", "renewal/public.json"], [""], []),
        (["certificates/a/1.pem.bak", "certificates/a/next.key", "trust/ca.pem", "notes"], [""], []),
    ],
)
def test_what_no_state_names_is_found_but_for_the_newest_of_each(node, there, main_cfs, unnamed):
    for name in there:
        put(node.store(name), b"")
    texts = [text.format(node.store()).encode() for text in main_cfs]
    assert sorted(store.unnamed(node.config_dir, texts)) == [node.store(name) for name in unnamed]


def test_active_certificates_are_read_without_their_keys(node, issue, tmp_path):
    chain = issue()
    path = put(tmp_path / "cert.pem", certificates_pem(chain.certificates))
    node.write(f"smtpd_tls_cert_file = {path}\nsmtpd_tls_key_file = /nowhere/key.pem\n")
    assert store.active_certificates(node.state, "server") == ((path, chain.certificates),)
    assert store.active_certificates(node.state, "client") == ()


def part(tmp_path, name, pem):
    return put(tmp_path / name, pem)


def as_people_write_them(tmp_path, one, other):
    """Parameters, and the files that the chains of ``one`` and, where it is served, of ``other`` are found in."""
    files = {
        name: put(tmp_path / name, pem)
        for name, pem in {
            "one.key": write_key(one.key),
            "one.crt": certificates_pem(one.certificates),
            "leaf.crt": certificates_pem(one.certificates[:1]),
            "issuer.crt": certificates_pem(one.certificates[1:]),
            "one.pem": one.to_pem(),
            "other.key": write_key(other.key),
            "other.crt": certificates_pem(other.certificates),
            "other.pem": other.to_pem(),
            "all.pem": one.to_pem() + other.to_pem(),
        }.items()
    }
    side = "smtp_tls"
    return {
        "key and chain in files of their own": (
            f"{side}_chain_files = {files['one.key']}, {files['one.crt']}\n",
            ["one.crt"],
        ),
        "two such pairs": (
            f"{side}_chain_files = {files['one.key']} {files['one.crt']},{files['other.key']}\n  {files['other.crt']}\n",
            ["one.crt", "other.crt"],
        ),
        "the issuer in a third file": (
            f"{side}_chain_files = {files['one.key']}, {files['leaf.crt']}, {files['issuer.crt']}\n",
            ["leaf.crt"],
        ),
        "a pair of files beside a whole one": (
            f"{side}_chain_files = {files['other.pem']}, {files['one.key']}, {files['one.crt']}\n",
            ["other.pem", "one.crt"],
        ),
        "two chains in one file": (f"{side}_chain_files = {files['all.pem']}\n", ["all.pem", "all.pem"]),
        "a legacy pair": (
            f"{side}_cert_file = {files['one.crt']}\n{side}_key_file = {files['one.key']}\n",
            ["one.crt"],
        ),
        "a legacy file with its key": (
            f"{side}_cert_file = {files['one.pem']}\n{side}_key_file = ${side}_cert_file\n",
            ["one.pem"],
        ),
    }


@pytest.mark.parametrize(
    "habit",
    [
        "key and chain in files of their own",
        "two such pairs",
        "the issuer in a third file",
        "a pair of files beside a whole one",
        "two chains in one file",
        "a legacy pair",
        "a legacy file with its key",
    ],
)
def test_chains_are_read_in_the_files_that_people_keep_them_in(node, issue, fleet_ca, tmp_path, habit):
    one, other = issue(), issue(kind=("rsa", 2048))
    one = Chain(one.key, (*one.certificates, fleet_ca[0]))
    text, names = as_people_write_them(tmp_path, one, other)[habit]
    node.write(" ".join(text.rstrip("\n").split("\n  ")) + "\n")
    found = store.active_chains(node.state, "client")
    assert [os.path.basename(path) for path, _chain in found] == names
    assert one.certificates in [chain.certificates for _path, chain in found]
    assert store.active_certificates(node.state, "client") == tuple((path, c.certificates) for path, c in found)
    served = store.own_client_pem(node.state)
    assert write_key(found[0][1].key) in served and certificates_pem(found[0][1].certificates[:1]) in served


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            ("one.crt", "one.key"),
            "{one.key}: no certificate follows the private key; name the file of a key before that of its chain (postconf(5), "
            "smtpd_tls_chain_files).",
        ),
        (
            ("other.key", "one.crt"),
            "{one.crt}: the private key in {other.key} does not match the certificate; put the right pair there, or make the "
            "certificate anew.",
        ),
        (
            ("one.crt",),
            "{one.crt}: holds no private key; a chain file begins with one (postconf(5), smtpd_tls_chain_files).",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_named(node, issue, tmp_path, files, sentence):
    one, other = issue(), issue()
    paths = {
        "one.key": part(tmp_path, "one.key", write_key(one.key)),
        "one.crt": part(tmp_path, "one.crt", certificates_pem(one.certificates)),
        "other.key": part(tmp_path, "other.key", write_key(other.key)),
    }
    node.write(f"smtpd_tls_chain_files = {', '.join(paths[name] for name in files)}\n")
    with pytest.raises(CertificateError) as refusal:
        store.active_chains(node.state, "server")
    for name, path in paths.items():
        sentence = sentence.replace(f"{{{name}}}", path)
    assert str(refusal.value) == sentence


def test_a_client_certificate_that_cannot_be_read_is_none_that_gets_in_anywhere(node):
    assert store.own_client_pem(node.state) is None
    node.write("smtp_tls_cert_file = /nowhere/cert.pem\n")
    assert store.own_client_pem(node.state) == b""


def test_a_stray_file_among_the_certificates_is_no_certificate(tls_node):
    state = tls_node.state
    for name in ("notes.txt", "7.pem"):
        put(os.path.join(store.certificates_dir(state), name), b"lost")
    assert store.names(state) == ["fleet"]
    assert store.current(state, "notes.txt") is None
    assert store.unnamed(state.config_dir, [b""]) == []


def test_the_files_that_an_override_names_are_found_in_master_cf(node):
    chain, tables = node.store("certificates/a/1.pem"), node.store("domains/4")
    node.override(f"smtp/inet/smtpd_tls_chain_files={chain}", f"smtp/unix/transport_maps=hash:{tables}/transport")
    assert store.named(node.config_dir, node.services.encode()) == [chain, tables]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("certificates/fleet/1.pem", "fleet"),
        ("certificates/a-b_1/20.pem", "a-b_1"),
        ("trust/1.pem", None),
        ("certificates.pem", None),
    ],
)
def test_a_file_of_the_store_tells_under_which_name_it_lies_there(node, path, name):
    assert store.stored_name(node.state, node.store(path)) == name
    assert store.stored_name(node.state, f"/etc/ssl/{path}") is None


def test_a_chain_file_with_two_keys_is_active_twice(node, issue, tmp_path):
    chains = issue(), issue(kind=("rsa", 2048))
    path = put(tmp_path / "both.pem", chains_pem(chains))
    node.write(f"smtpd_tls_chain_files = {path}\n")
    active = store.active_chains(node.state, "server")
    assert [(found, chain.certificates) for found, chain in active] == [(path, chain.certificates) for chain in chains]


@pytest.mark.parametrize(("use", "side"), [("server", "smtpd"), ("client", "smtp")])
def test_a_side_that_shows_no_certificate_names_no_file_of_one(use, side):
    gone = store.deactivation(use)
    assert {f"{side}_tls_{name}" for name in ("chain_files", "cert_file", "key_file", "eccert_file")} <= set(gone)
    assert set(gone.values()) == {None}


def test_a_given_file_that_is_not_there_is_named_by_its_option():
    with pytest.raises(InvalidValue) as refusal:
        store.read_given("pem.private_key", "/nowhere/mx.key")
    assert str(refusal.value) == (
        "pem.private_key: '/nowhere/mx.key' cannot be read (No such file or directory); put the file there first."
    )
