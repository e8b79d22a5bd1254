# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import sni
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, apply, plan, wish
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import change, pass_time, read, write

A, B = "/store/certificates/a/1.pem", "/store/certificates/b/2.pem"


def own(name="customer", hosts=("mail.example.net",), **over):
    return wish("self_signed", SMALL, name=name, sni=hosts and list(hosts), **over)


def maps(node):
    return node.state.explicit.get("tls_server_sni_maps")


def table(node, number):
    return node.store("sni", str(number), "table")


def test_a_host_is_shown_its_certificate_from_an_index_that_holds_the_key(node):
    planned = apply(node, own(hosts=["mail.example.net", ".example.net"]))
    assert maps(node) == f"hash:{table(node, 1)}"
    assert read(table(node, 1)) == (
        "# Made by mailfleet.smtp_hardening.smtp_tls_cert; changes made here are undone by its next run.\n"
        f".example.net\t{planned.path}\nmail.example.net\t{planned.path}\n"
    )
    built = [argv for argv in node.commands if argv[0] == "postmap" and "-q" not in argv]
    assert built == [["postmap", "-c", node.config_dir, "-F", f"hash:{table(node, 1)}"]]
    assert planned.sni == ("mail.example.net", ".example.net")


def test_the_table_and_its_folder_are_for_root_alone(node):
    apply(node, own())
    assert os.stat(table(node, 1)).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(table(node, 1))).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("hosts", [["mail.example.net"], None])
def test_a_second_run_changes_nothing(node, hosts):
    apply(node, own())
    again = plan(node, own(hosts=hosts))
    assert not again.plan.changed
    assert again.sni == ("mail.example.net",)


def test_an_index_that_was_lost_is_made_again(node):
    apply(node, own())
    os.unlink(table(node, 1) + ".db")
    apply(node, own())
    assert maps(node) == f"hash:{table(node, 2)}"


def test_a_table_follows_the_type_that_new_ones_get(node):
    apply(node, own())
    node.append("default_database_type = btree\n")
    apply(node, own())
    assert maps(node) == f"btree:{table(node, 2)}"
    assert not plan(node, own()).plan.changed


def test_other_names_take_the_place_of_those_that_were(node):
    apply(node, own())
    apply(node, own(hosts=["smtp.example.net"]))
    assert list(sni.served(node.state)) == ["smtp.example.net"]
    assert maps(node) == f"hash:{table(node, 2)}"


def test_an_empty_list_ends_it(node):
    apply(node, own())
    planned = apply(node, own(hosts=[]))
    assert (maps(node), planned.sni) == (None, ())
    assert sni.served(node.state) == {}


def test_an_empty_list_where_there_is_nothing_changes_nothing(node):
    apply(node, own(hosts=None))
    assert not plan(node, own(hosts=[])).plan.changed


def test_two_certificates_serve_their_names_side_by_side_and_a_name_moves_to_the_one_that_lists_it(node):
    first = apply(node, own("one", ["a.example.net", "b.example.net"])).path
    second = apply(node, own("two", ["c.example.net"])).path
    assert sni.served(node.state) == {"a.example.net": first, "b.example.net": first, "c.example.net": second}
    apply(node, own("two", ["b.example.net", "c.example.net"]))
    assert sni.hosts_of(node.state, "one") == ("a.example.net",)
    assert sni.hosts_of(node.state, "two") == ("b.example.net", "c.example.net")


@pytest.mark.parametrize("hosts", [["mail.example.net"], None])
def test_a_renewal_moves_the_names_to_the_new_file(node, hosts):
    apply(node, own("other", ["mail.example.org"]))
    apply(node, own())
    renewed = apply(node, own(hosts=hosts, renew_now=True))
    assert sni.served(node.state)["mail.example.net"] == renewed.path
    assert sni.hosts_of(node.state, "other") == ("mail.example.org",)


def test_what_an_operator_has_listed_stays(node):
    node.append("tls_server_sni_maps = lmdb:/etc/postfix/sni, cdb:/etc/postfix/more\n")
    apply(node, own())
    assert maps(node) == f"hash:{table(node, 1)}, lmdb:/etc/postfix/sni, cdb:/etc/postfix/more"
    apply(node, own(hosts=["smtp.example.net"]))
    assert maps(node) == f"hash:{table(node, 2)}, lmdb:/etc/postfix/sni, cdb:/etc/postfix/more"
    apply(node, own(hosts=[]))
    assert maps(node) == "lmdb:/etc/postfix/sni, cdb:/etc/postfix/more"


def test_a_certificate_that_is_not_there_yet_serves_no_names(node):
    planned = apply(node, wish("csr", SMALL, sni=["mail.example.net"]))
    assert (planned.sni, maps(node)) == ((), None)


def test_a_diff_names_certificates_and_not_their_files(node):
    apply(node, own("one", ["b.example.net"]))
    planned = plan(node, own("two", ["a.example.net", "b.example.net"]))
    shown = next(entry for entry in planned.plan.diff() if entry["after_header"] == "certificates by host name")
    assert (shown["before"], shown["after"]) == ("b.example.net: one\n", "a.example.net: two\nb.example.net: two\n")


@pytest.mark.parametrize(
    ("content", "served"),
    [
        (b"", {}),
        (b"# Made by\n", {}),
        (f"# Made by\na.example\t{A}\n.b.example\t{B}\n".encode(), {"a.example": A, ".b.example": B}),
    ],
)
def test_a_table_reads_back_as_it_was_written(content, served):
    assert sni.parse_table(content) == served


@pytest.mark.parametrize(
    "text", ["", "tls_server_sni_maps = hash:/etc/postfix/sni\n", "tls_server_sni_maps = hash:{0}\n"]
)
def test_a_table_that_is_not_ours_or_is_gone_serves_nothing(node, text):
    node.append(text.format(table(node, 1)))
    assert sni.served(node.state) == {}


def test_an_index_that_does_not_hold_the_file_is_undone(node):
    planned = plan(node, own())
    forget = node.run

    def run(argv, stdin=None):
        done = forget(argv, stdin)
        if argv[0] == "postmap" and "-q" not in argv:
            node.tables[table(node, 1)] = {"mail.example.net": "QUJD"}
        return done

    node.run = run
    with pytest.raises(PostfixError, match="does not answer as it was written"):
        change(node, planned.plan)
    assert maps(node) is None
    assert not os.path.exists(node.store("certificates"))


def test_a_state_that_is_gone_back_to_still_has_the_files_that_its_table_was_made_of(node):
    """The proof reads them, and the next change of any name builds a table of them again."""
    apply(node, own())
    old = read(node.path("main.cf"))
    apply(node, own(renew_now=True))
    pass_time(node, 1)
    write(node.path("main.cf"), old)
    assert all(os.path.exists(path) for path in sni.served(node.state).values())


OWN = "mx1.example.com"


@pytest.mark.parametrize("entry", [OWN, ".example.com", ".com"])
def test_the_nodes_own_name_is_that_of_the_active_certificate_whichever_that_becomes(node, entry):
    first = apply(node, own("first", [entry], use=["server"]))
    assert sni.served(node.state)[OWN] == first.path
    second = apply(node, own("second", None, use=["server"]))
    assert sni.served(node.state)[OWN] == second.path
    assert sni.served(node.state).get(entry) == (second.path if entry == OWN else first.path)
    renewed = apply(node, own("second", None, renew_now=True))
    assert sni.served(node.state)[OWN] == renewed.path
    for name, hosts, use in (("first", [entry], []), ("first", None, []), ("second", None, ["server"])):
        assert not plan(node, own(name, hosts, use=use)).plan.changed


def test_an_entry_for_all_names_of_the_nodes_domain_leaves_its_own_to_the_active_certificate(node):
    active = apply(node, own("active", None, use=["server"]))
    below = apply(node, own("below", [".example.com"]))
    assert sni.served(node.state) == {".example.com": below.path, OWN: active.path}
    assert not plan(node, own("below", [".example.com"])).plan.changed
    assert not plan(node, own("active", None, use=["server"])).plan.changed


def test_the_active_certificate_is_not_followed_where_it_is_not_of_the_store(node):
    node.append("smtpd_tls_chain_files = /etc/ssl/mx.pem\n")
    below = apply(node, own("below", [".example.com"]))
    assert sni.served(node.state) == {".example.com": below.path}


@pytest.mark.parametrize(
    ("host", "keys"),
    [("a.b.c", ["a.b.c", ".b.c", ".c"]), ("MX1.Example", ["mx1.example", ".example"]), ("localhost", ["localhost"])],
)
def test_a_name_is_looked_up_as_postfix_does(host, keys):
    assert list(sni.keys(host)) == keys
