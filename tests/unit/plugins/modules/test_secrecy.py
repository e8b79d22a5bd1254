# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever option a secret is put into, no module says a word of it, to Ansible or to the node's log."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.registry import PROVIDERS
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._secrecy import (
    ENTRIES,
    NOT_SHOWN,
    PASSPHRASES,
    PUBLIC,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._secrecy import KEYS as KEY_OR_PATH
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import work
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import pem
from ansible_collections.mailfleet.smtp_hardening.tests.unit.key_spellings import AWKWARD, KEYS, traces
from ansible_collections.mailfleet.smtp_hardening.tests.unit.module_runs import load

NAMES = ["domain_policy", "rollback", "settings", "tls_cert", "tls_info", "tls_mode", "tls_probe"]
KINDS = ["rsa-pkcs8-open", "p256-old-open", "p521-pkcs8-locked", "rsa-pkcs8-open-base64", "p256-pkcs12"]
REQUIRED = {
    "name": "example.com",
    "address": "127.0.0.1",
    "archive": "/etc/x.p12",
    "tool": "step",
    "private_key": "/etc/x.key",
    "certificate": "/etc/x.pem",
    "ca_certificate": "/etc/ca.pem",
}
WORDS = set(
    """accept address allow_weaker assigned unproven bogus ciphers client command config_dir deliver domains exclude_ciphers expires match name
    names owner parameters pins policy_sources port process_limit public_networks published_tlsa reason route sender server servername
    services signed sni src task to where_known""".split()
)
"""Options of free text that a person decided not to be secrets. Results and errors repeat what they hold."""


@pytest.fixture(autouse=True)
def journal(monkeypatch):
    """What the node's journal is sent, message and fields."""
    sent = []
    monkeypatch.setattr(basic, "has_journal", True)
    monkeypatch.setattr(basic, "journal", SimpleNamespace(send=lambda **fields: sent.append(fields)), raising=False)
    return sent


def argument_spec(name):
    seen = {}
    module = load(f"smtp_{name}")
    conduct, module.conduct = module.conduct, lambda *_first, **given: seen.update(given)
    try:
        module.main()
    finally:
        module.conduct = conduct
    return seen["argument_spec"]


SPECS = {name: argument_spec(name) for name in NAMES}


def leaves(spec, above=()):
    for name, option in spec.items():
        if "options" in option:
            yield from leaves(option["options"], (*above, name))
        yield (*above, name), option


class Where(NamedTuple):
    """An option of a module."""

    module: str
    path: tuple[str, ...]
    option: dict[str, object]

    def __str__(self):
        return f"{self.module}.{'.'.join(self.path)}"


ALL = [Where(name, path, option) for name in NAMES for path, option in leaves(SPECS[name])]


def shaped(option, value):
    if option["type"] == "list" and option.get("elements") != "dict":
        return [value]
    if option["type"] == "dict" and "options" not in option:
        return {"myhostname": value, "smtp_sasl_password_maps": {value: value}, value: value}
    return value


def given(spec, path, value):
    """The least options with ``value`` where ``path`` leads."""
    name, *rest = path
    option = spec[name]
    inner = given(option["options"], rest, value) if rest else shaped(option, value)
    needed = {other: REQUIRED[other] for other, its in spec.items() if its.get("required") and other != name}
    return {**needed, name: [inner] if rest and option["type"] == "list" else inner}


@pytest.fixture
def tell(node, monkeypatch, capsys, journal):
    """Run a module: everything that leaves it, its answer at Ansible's wordiest, its standard error, and the journal."""
    wordy = {"_ansible_verbosity": 4, "_ansible_diff": True, "_ansible_inject_invocation": True}

    monkeypatch.setattr(work.command, "run", node.run)

    def run(name, options):
        module = load(f"smtp_{name}")
        with patch_module_args({"config_dir": node.config_dir, **wordy, **options}), pytest.raises(SystemExit):
            module.main()
        out, err = capsys.readouterr()
        return out + err + repr(journal)

    return run


def beside(where):
    """What lets an option be looked at, and nothing be waited for."""
    if where.module == "tls_probe":
        return {"timeout": 0}
    return {"provider": where.path[0]} if where.module == "tls_cert" and where.path[0] in PROVIDERS else {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ALL, ids=str)
def test_a_key_in_any_option_is_said_nowhere_and_used_for_nothing(tell, node, where, kind):
    options = {**beside(where), **given(SPECS[where.module], where.path, KEYS[kind])}
    assert traces(KEYS[kind], tell(where.module, options)) == []
    if where.path[-1] not in {*PUBLIC, *KEY_OR_PATH, *PASSPHRASES, ENTRIES, "task"}:
        assert node.commands == []


SECRET = [where for where in ALL if where.option.get("no_log") or where.path[-1] in (*PUBLIC, "pem", "pkcs12")]


@pytest.mark.parametrize("where", SECRET, ids=str)
def test_a_passphrase_is_said_nowhere(tell, where):
    options = {**beside(where), **given(SPECS[where.module], where.path, AWKWARD)}
    if where.path == (ENTRIES,):
        options = {"secrets": {"smtp_sasl_password_maps": {"mx.example": AWKWARD}}}
    assert traces(AWKWARD, tell(where.module, options)) == []


@pytest.mark.parametrize("where", ALL, ids=str)
def test_somebody_has_thought_about_each_option(where):
    word, option = where.path[-1], where.option
    if option.get("no_log") or word in (*PASSPHRASES, ENTRIES):
        assert word in (*PASSPHRASES, *KEY_OR_PATH, ENTRIES), (
            "name it in _secrecy.py: the controller knows secrets by name"
        )
    elif option["type"] not in ("bool", "int") and "choices" not in option and "options" not in option:
        assert word in WORDS | {*KEY_OR_PATH, *PUBLIC}, "a secret? then no_log and _secrecy.py; if not, name it above"


def test_only_options_that_there_are_have_been_thought_about():
    assert WORDS - {where.path[-1] for where in ALL} == set()


@pytest.mark.parametrize("option", ["private_key", "certificate"])
def test_a_path_stays_readable_also_where_content_would_be_a_secret(tell, tmp_path, option):
    path = str(tmp_path / "not there" / "mx.key").replace(" ", "-")
    answer = tell(
        "tls_cert", {"provider": "pem", "pem": {"private_key": path, "certificate": path, "passphrase": "of it"}}
    )
    assert f"pem.private_key: '{path}' cannot be read" in answer
    assert f'"{option}": "{path}"' in answer
    assert "of it" not in answer


def test_a_key_that_is_brought_is_said_nowhere_and_its_certificate_is_shown(tell, issue):
    chain = issue()
    options = {"provider": "pem", "pem": pem(chain), "accept": ["incomplete_chain"], "_ansible_check_mode": True}
    answer = tell("tls_cert", options)
    result = json.loads(answer.splitlines()[1])
    assert result["changed"] is True, result.get("msg")
    assert result["certificate"]["chain"] in certificates_pem(chain.certificates).decode() + "\n"
    assert result["invocation"]["module_args"]["pem"]["private_key"] == NOT_SHOWN
    assert traces(options["pem"]["private_key"], answer) == []


def test_the_journal_names_options_and_holds_no_value_that_a_person_wrote(tell, journal):
    entries = {"smtp_sasl_password_maps": {"mx.example": "of the provider"}}
    tell("settings", {"parameters": {"myhostname": "mx9.example.com"}, "secrets": entries})
    (invoked,) = [entry["MESSAGE"] for entry in journal]
    said = "parameters secrets where_known public_networks services allow_weaker=False"
    assert invoked.endswith(f"Invoked with config_dir {said}")
    assert set(journal[0]) == {"MESSAGE", "MODULE", "SYSLOG_FACILITY"}
    assert "mx9" not in repr(journal)
