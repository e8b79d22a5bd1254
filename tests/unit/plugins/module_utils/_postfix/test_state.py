# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue, PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import (
    check_instance,
    read_state,
    read_version,
)
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write


@pytest.mark.parametrize(("text", "version"), [("3.5.25", (3, 5)), ("3.10.13", (3, 10)), ("3.12-20260101", (3, 12))])
def test_a_version_is_read_as_numbers(text, version):
    assert read_version(text) == version


def test_a_folder_without_main_cf_is_named(node, tmp_path):
    with pytest.raises(InvalidValue, match="holds no main.cf; install Postfix first"):
        read_state(node.postfix.at(str(tmp_path)))


def test_state_is_read_with_five_commands(node):
    read_state(node.postfix)
    assert [argv[3:] for argv in node.commands] == [["-n"], ["-M"], ["-Px"], ["-x"], ["-dx"]]


def test_postfix_is_asked_once_for_files_that_say_the_same(node):
    postfix = node.postfix
    first = read_state(postfix)
    node.commands.clear()
    assert read_state(postfix) is first
    assert node.commands == []
    assert read_state(node.postfix) is not first  # in another run


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_files_that_say_something_else_are_read_again(node, name):
    postfix = node.postfix
    before = read_state(postfix)
    write(node.path(name), before.contents[name].decode() + "# edited\n")
    node.commands.clear()
    assert read_state(postfix).contents != before.contents
    assert [argv[3] for argv in node.commands] == ["-n", "-M", "-Px", "-x", "-dx"]
    shutil.copytree(node.config_dir, node.path("copy"))
    assert read_state(postfix.at(node.path("copy"))).config_dir == node.path("copy")


def test_overrides_of_master_cf_stand_with_their_service(node):
    node.services += "submission inet n - y - - smtpd\n    -o smtpd_tls_security_level=may\n"
    service = read_state(node.postfix).service("submission", "inet")
    assert service.command == "smtpd"
    assert service.overrides == {"smtpd_tls_security_level": "may"}


@pytest.mark.parametrize("text", ["", "Postfix", "3", "version 3.10"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(PostfixError, match="is not a version of Postfix"):
        read_version(text)


@pytest.mark.parametrize(
    ("which", "version", "protocols"),
    [("node", (3, 10), ">=TLSv1"), ("old_node", (3, 5), "!SSLv2, !SSLv3")],
)
def test_what_postconf_prints_is_read_in_either_version(request, which, version, protocols):
    state = read_state(request.getfixturevalue(which).postfix)
    assert state.version == version
    assert state.effective["smtpd_tls_protocols"] == protocols
    assert state.effective["relayhost"] == ""
    assert state.explicit == {"compatibility_level": "3.9"}


def test_a_value_may_hold_equals_signs(node):
    node.write("smtpd_tls_protocols = >=TLSv1.2\nmynetworks = ${a?{b=c}}\n")
    explicit = read_state(node.postfix).explicit
    assert explicit == {"smtpd_tls_protocols": ">=TLSv1.2", "mynetworks": "${a?{b=c}}"}


def test_of_two_entries_for_a_service_the_last_counts(node, monkeypatch):
    shown = {
        "-M": "slow unix - - n - - smtp -o smtp_tls_security_level=encrypt -o smtp_helo_name=a\n"
        "smtp unix - - n - - smtp -v\n"
        "slow unix - - n - - smtp -v -o { smtp_helo_name = b }\n",
        "-Px": "slow/unix/smtp_tls_security_level = encrypt\nslow/unix/smtp_helo_name = b\n",
    }
    postfix = node.postfix
    postconf = postfix.postconf
    monkeypatch.setattr(postfix, "postconf", lambda *words: shown.get(words[0]) or postconf(*words))
    services = read_state(postfix).services
    assert [(s.key, dict(s.overrides)) for s in services] == [("slow/unix", {"smtp_helo_name": "b"}), ("smtp/unix", {})]


def test_services_are_read_as_postconf_lists_them(node):
    node.services = (
        "smtp       inet  n       -       y       -       -       smtpd\n"
        "127.0.0.1:10025 inet n - n - 10 smtpd -o content_filter= -o smtpd_tls_security_level=none\n"
        "submissions inet n - y - - smtpd -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes\n"
        "maildrop unix - n n - - pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}\n"
    )
    state = read_state(node.postfix)
    assert [(s.key, s.chroot, s.command) for s in state.services] == [
        ("smtp/inet", "y", "smtpd"),
        ("127.0.0.1:10025/inet", "n", "smtpd"),
        ("submissions/inet", "y", "smtpd"),
        ("maildrop/unix", "n", "pipe"),
    ]
    assert state.service("127.0.0.1:10025", "inet").overrides == {
        "content_filter": "",
        "smtpd_tls_security_level": "none",
    }
    assert state.service("smtp", "inet").overrides == {}
    assert state.service("smtp", "unix") is None


def test_of_two_entries_for_one_service_the_last_counts(node):
    said = {
        "-M": "smtp inet n - y - - smtpd\n"
        "submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt -o syslog_name=a\n"
        "submission inet n - n - - smtpd -o {smtpd_banner=b c} -o syslog_name=b\n",
        "-Px": "submission/inet/smtpd_banner = b c\n"
        "submission/inet/smtpd_tls_security_level = encrypt\n"
        "submission/inet/syslog_name = b\n",
    }

    def run(argv, stdin=None, seconds=None):
        return Completed(0, said[argv[3]], "") if argv[3] in said else node.run(argv)

    smtp, submission = read_state(Postfix(run, node.config_dir)).services
    assert (smtp.key, submission.key, submission.chroot) == ("smtp/inet", "submission/inet", "n")
    assert submission.overrides == {"smtpd_banner": "b c", "syslog_name": "b"}


def test_a_postconf_of_something_else_is_noticed(node):
    node.defaults = {}
    with pytest.raises(PostfixError, match="shows no mail_version; is this Postfix?"):
        read_state(node.postfix)


@pytest.mark.parametrize(
    ("entry", "listens"),
    [
        ("smtp inet n - y - - smtpd", True),
        ("25 inet n - y - 1 postscreen", True),
        ("smtpd pass - - y - - smtpd", False),
        ("628 inet n - y - - qmqpd", False),
        ("smtp unix - - y - - smtp", False),
    ],
)
def test_a_service_that_clients_of_the_network_talk_to_is_a_listener(node, entry, listens):
    node.services = entry + "\n"
    (service,) = node.state.services
    assert service.is_listener is listens
    assert service.entry == entry


def test_an_entry_keeps_everything_but_its_name_at_another_address(node):
    node.services = "submission  inet  n  -  y  -  -  smtpd\n  -o smtpd_tls_security_level=encrypt\n"
    (service,) = node.state.services
    moved = service.at("127.0.0.1:10587")
    assert moved.entry == "127.0.0.1:10587 inet n - y - - smtpd -o smtpd_tls_security_level=encrypt"
    assert (moved.key, moved.overrides) == ("127.0.0.1:10587/inet", service.overrides)


def test_a_service_has_a_state_of_its_own_where_it_overrides_one(node):
    node.write("smtpd_banner = $a\na = 1\n")
    node.override("smtp/inet/smtpd_banner=b")
    seen = [node.state.seen_by(service) for service in (None, node.state.services[0])]
    assert [one.explicit["smtpd_banner"] for one in seen] == ["$a", "b"]
    assert seen[1].effective["smtpd_banner"] == "b"


def test_defaults_are_what_would_hold_without_main_cf(node):
    node.write("inet_interfaces = loopback-only\nsmtpd_tls_security_level = may\n")
    state = node.state
    assert state.defaults["smtpd_tls_security_level"] == ""
    assert state.defaults["inet_interfaces"] == "all"
    assert state.started_with == {"inet_interfaces": "loopback-only", "inet_protocols": "all"}


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_that_no_instance_has_is_refused_in_one_sentence(tmp_path, name):
    folder = str(tmp_path / name)
    with pytest.raises(InvalidValue) as refusal:
        check_instance(folder)
    assert str(refusal.value) == (
        f"config_dir: {folder!r} holds no main.cf; "
        "install Postfix first (role relay does), or name the instance's directory."
    )
