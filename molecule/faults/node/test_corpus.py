# SPDX-License-Identifier: GPL-3.0-or-later
"""Any Postfix that works today can be taken over, and given back: the configurations in corpus/, each as lenient and as strict.

What is refused is refused by a sentence, and what the sentence says to do is done here as it stands there.
"""

import os
import re

import pytest
import strangers
from conftest import CONFIG, put_back, run, sh, start
from pems import Authority, key
from refusals import REFUSED

WEAKER = "set allow_weaker: true"
STRICTER = "set client: {level: encrypt}"
ENTRY = re.compile(r"\{name: \"?([^,\"]+)\"?((?:, \w+: [\w.-]+)+)\}")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def stranger(title, tmp_path):
    """A node with a configuration of the corpus."""
    with strangers.login_server():
        strangers.install(title, tmp_path)
        yield title
        sh("systemctl", "stop", "postfix")
        put_back()
        start()


def lenient(_authority):
    yield "smtp_tls_cert", {"provider": "self_signed", "self_signed": {"key_type": "ecdsa"}, "use": ["server"]}
    yield "smtp_tls_mode", {"profile": "lenient_default"}


def strict(authority):
    private, host = key(), sh("postconf", "-h", "myhostname").strip()
    pem = {"private_key": private, "certificate": authority.issue(private, [f"DNS:{host}"], subject=host)}
    given = {"name": "agent", "provider": "pem", "pem": pem, "use": ["server", "client"]}
    yield "smtp_tls_cert", {**given, "trust": {"authorities": [authority.certificate]}}
    yield "smtp_tls_mode", {"profile": "trusted_agents_strict"}


@pytest.mark.sampled
@pytest.mark.parametrize("profile", [lenient, strict])
@pytest.mark.parametrize("title", strangers.TITLES)
def test_a_configuration_is_taken_over_and_given_back(stranger, profile, authority):
    found, said = files(), []
    tasks = [(module, dict(options)) for module, options in profile(authority)]
    for module, options in tasks:
        said += bring(module, options)
    for module, options in tasks:
        assert not succeeded(run(module, options))["changed"], module
    succeeded(run("smtp_rollback", {"to": as_found(), "allow_weaker": True}))
    assert files() == found
    print(f"{stranger:28} {profile.__name__:8} is taken over: {' Then: '.join(said) or 'accepted'}")
    expected = REFUSED.get((stranger, profile.__name__))
    assert [sentence[: len(expected or "")] for sentence in said] == ([expected] if expected else [])


def bring(module, options):
    """Run a task; where it is refused, do what the sentence says. What was said on the way."""
    said = []
    for _turn in range(4):
        result = run(module, options)
        assert result.data, result.stderr
        if not result.data.get("failed"):
            return said
        said.append(result.data["msg"])
        follow(said[-1], options)
    raise AssertionError(said)


def follow(sentence, options):
    """Do what a refusal says."""
    entries = [read_entry(*found) for found in ENTRY.findall(sentence)]
    taken = re.findall(r"(\w+) of (\S+/\w+)", sentence.partition("Take out of master.cf: ")[2])
    known = (WEAKER, STRICTER)
    assert any(text in sentence for text in known) or entries or taken, sentence
    if STRICTER in sentence:
        options["client"] = {"level": "encrypt"}
    if WEAKER in sentence:
        options["allow_weaker"] = True
    if entries:
        options["services"] = entries
    for parameter, service in taken:
        sh("postconf", "-PX", f"{service}/{parameter}")


def read_entry(name, rest):
    return {"name": name, **dict(re.findall(r"(\w+): ([\w.-]+)", rest))}


def as_found():
    """The number of the state that no task of ours has made."""
    return int(min(os.listdir(f"{CONFIG}/smtp_hardening/history"), key=int))


def succeeded(result):
    assert result.data and not result.data.get("failed"), (result.data or {}).get("msg", result.stderr)
    return result.data


def files():
    """main.cf and master.cf, byte for byte."""
    return {name: open(f"{CONFIG}/{name}", "rb").read() for name in ("main.cf", "master.cf")}
