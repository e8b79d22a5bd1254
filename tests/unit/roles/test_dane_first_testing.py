# SPDX-License-Identifier: GPL-3.0-or-later
"""What Postfix does where it is told nothing is looked at: a policy of MTA-STS in testing is named beside that level, so that it
counts whose failure it was, and no answer is weaker."""

from __future__ import annotations

import asyncio
import tempfile

import pytest
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

SCRIPT = RELAY / "smtp-dane-first.py"
ATTRIBUTES = (
    "policy_type=sts policy_domain=example.com mx_host_pattern=mx.example.com mx_host_pattern=*.example.net "
    "{ policy_string = version: STSv1 } { policy_string = mode: testing } { policy_string = max_age: 86400 }"
)
ENFORCED = f"OK secure match=mx.example.com:.example.net servername=hostname {ATTRIBUTES}".replace("testing", "enforce")
TESTING = ENFORCED.replace("enforce", "testing")
POSTCONF = """#!/bin/sh
case "$*" in
*multi_instance_directories) echo "$INSTANCES" ;;
"-c /etc/postfix-out -hx "*) echo "$OUT" ;;
"-hx "*) echo "$LEVEL" ;;
"-Phx "*) [ -z "$CLIENTS" ] || echo "$CLIENTS" ;;
esac
"""


@pytest.fixture
def postfix(tmp_path, monkeypatch):
    """A postconf(1) that says what the environment does: by default, one instance with the level may."""
    (tmp_path / "postconf").write_text(POSTCONF)
    (tmp_path / "postconf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("LEVEL", "may")
    return monkeypatch


def told(program, reply):
    """What Postfix is told when the MTA-STS resolver answers this."""

    async def play():
        async def speak(reader, writer):
            await reader.readuntil(b",")
            writer.write(program.netstring(reply))
            writer.close()

        with tempfile.TemporaryDirectory() as folder:
            async with await asyncio.start_unix_server(speak, f"{folder}/socket"):
                return await program.ask_mta_sts("example.com", f"{folder}/socket")

    return asyncio.run(play())


@pytest.mark.parametrize("level", ["may", "dane", "MAY"])
def test_a_policy_in_testing_is_named_beside_the_level_that_holds_anyway(program, postfix, level):
    postfix.setenv("LEVEL", level)
    assert told(program, TESTING) == f"OK {level.lower()} {ATTRIBUTES}"


@pytest.mark.parametrize("level", ["none", "encrypt", "dane-only", "fingerprint", "verify", "secure", ""])
def test_beside_a_level_that_it_would_change_it_is_left_out(program, postfix, level):
    postfix.setenv("LEVEL", level)
    assert told(program, TESTING) == "NOTFOUND "


@pytest.mark.parametrize("variable", ["CLIENTS", "OUT"])
def test_so_it_is_where_one_client_or_instance_has_another_level(program, postfix, variable):
    postfix.setenv("INSTANCES", "/etc/postfix-out, /etc/postfix-in")
    postfix.setenv("OUT", "may")
    assert told(program, TESTING) == f"OK may {ATTRIBUTES}"
    postfix.setenv(variable, "encrypt")
    assert told(program, TESTING) == "NOTFOUND "


@pytest.mark.parametrize("program_text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nprintf '\\377\\n'\n", "no program"])
def test_so_it_is_where_postfix_cannot_say_its_level(program, postfix, tmp_path, program_text):
    (tmp_path / "postconf").write_text(program_text)
    assert told(program, TESTING) == "NOTFOUND "


def test_so_it_is_where_there_is_no_postconf(program, postfix, tmp_path):
    (tmp_path / "postconf").unlink()
    postfix.setenv("PATH", str(tmp_path))
    assert told(program, TESTING) == "NOTFOUND "


@pytest.mark.parametrize(
    "strange",
    [
        "{ policy_string = x: {y} }",
        "{ policy_string = }",
        "{ level = none }",
        "mx_host_pattern=ü.example",
        "mx_host_pattern=a=b",
        "ciphers=null",
        "policy_type=tlsa",
        "protocols=SSLv3",
    ],
)
def test_what_a_policy_in_testing_says_beside_makes_no_mail_wait_and_changes_nothing(program, postfix, strange):
    assert told(program, TESTING.replace(" { policy_string = version", f" {strange} {{ policy_string = version")) == (
        f"OK may {ATTRIBUTES}"
    )


def test_a_policy_that_is_enforced_is_passed_on_as_it_is(program, postfix):
    assert told(program, ENFORCED) == ENFORCED


class Dns:
    """example.com with one mail server, whose TLSA records are given."""

    def __init__(self, program, *tlsa):
        self.program = program
        self.zone = {
            ("example.com", "MX"): ["10 mx.example.com."],
            ("mx.example.com", "A"): ["192.0.2.1"],
            ("_25._tcp.mx.example.com", "TLSA"): tlsa,
        }

    async def look_up(self, name, kind):
        records = [self.program.dns.rdata.from_text("IN", kind, text) for text in self.zone.get((name, kind), ())]
        return self.program.Found(True, name, records)

    def policy(self, reply):
        async def ask_mta_sts(_domain):
            return reply

        return asyncio.run(self.program.policy("example.com", self.look_up, ask_mta_sts))


def test_hosts_beside_those_with_tlsa_records_are_counted_for_it(program):
    testing = f"OK may {ATTRIBUTES}"
    assert Dns(program).policy(testing) == testing
    assert Dns(program, "1 1 1 " + "ab" * 32).policy(testing) == f"OK dane {ATTRIBUTES}"
    assert Dns(program, "3 1 1 " + "ab" * 32).policy(testing) == "OK dane-only"


@pytest.mark.parametrize("level", ["encrypt", "fingerprint", "verify", "secure", "dane-only"])
def test_dane_for_some_hosts_undercuts_no_level_that_demands_more_of_the_others(program, postfix, level):
    dns = Dns(program, "1 1 1 " + "ab" * 32)
    dns.zone["example.com", "MX"].append("20 mx2.example.com.")
    dns.zone["mx2.example.com", "A"] = ["192.0.2.2"]
    assert dns.policy("NOTFOUND ") == "OK dane"
    postfix.setenv("LEVEL", level)
    assert dns.policy("NOTFOUND ") == "NOTFOUND "
    dns.zone["_25._tcp.mx.example.com", "TLSA"] = ["3 1 1 " + "ab" * 32]
    assert dns.policy("NOTFOUND ") == "OK dane-only"
