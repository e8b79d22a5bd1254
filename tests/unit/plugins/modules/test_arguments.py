# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib.util

import pytest
import yaml
from ansible_collections.mailfleet.smtp_hardening.plugins.doc_fragments.smtp import ModuleDocFragment
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.fitness import FLAWS
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.levels import (
    CipherGrade,
    ClientCertificates,
    ClientLevel,
    Protocol,
    ServerLevel,
)
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._profiles import PROFILES
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.registry import PROVIDERS

NAMES = [
    "smtp_domain_policy",
    "smtp_rollback",
    "smtp_settings",
    "smtp_tls_cert",
    "smtp_tls_info",
    "smtp_tls_mode",
    "smtp_tls_probe",
]
SECRETS = {"ca_private_key", "ca_passphrase", "private_key", "passphrase", "archive", "secrets"}
PATHS = {"external.private_key"}
"""Options of a secret's name that hold where it lies."""


class Stop(Exception):
    """The module has said what arguments it takes."""


def load(name):
    return importlib.import_module(f"ansible_collections.mailfleet.smtp_hardening.plugins.modules.{name}")


def documented(name):
    documentation = yaml.safe_load(load(name).DOCUMENTATION)
    options = dict(documentation.get("options", {}))
    for fragment in documentation["extends_documentation_fragment"]:
        part = fragment.split(".")[3:]
        text = getattr(ModuleDocFragment, part[0].upper() if part else "DOCUMENTATION")
        options.update(yaml.safe_load(text)["options"])
    return options


@pytest.fixture
def call(monkeypatch):
    """The keywords with which a module makes its AnsibleModule."""

    def keywords(name):
        class Stopping:
            def __init__(self, **given):
                raise Stop(given)

        monkeypatch.setattr(load(name), "AnsibleModule", Stopping)
        with pytest.raises(Stop) as stopped:
            load(name).main()
        return stopped.value.args[0]

    return keywords


def plain(options, nested):
    """Options from either side, reduced to what both must say alike."""
    return {
        name: {
            "type": option["type"],
            "elements": option.get("elements"),
            "choices": option.get("choices"),
            "default": option.get("default"),
            "required": option.get("required", False),
            "options": plain(option.get(nested, {}), nested),
        }
        for name, option in options.items()
    }


def leaves(options, above=""):
    for name, option in options.items():
        yield above + name, option
        yield from leaves(option.get("options", {}), f"{above}{name}.")


@pytest.mark.parametrize("name", NAMES)
def test_a_module_takes_the_options_that_it_documents(call, name):
    assert plain(call(name)["argument_spec"], "options") == plain(documented(name), "suboptions")


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_a_check_mode(call, name):
    assert call(name)["supports_check_mode"] is True


@pytest.mark.parametrize("name", NAMES)
def test_a_module_that_remembers_its_task_is_told_of_it_by_an_action_of_its_name(call, name):
    there = importlib.util.find_spec(f"ansible_collections.mailfleet.smtp_hardening.plugins.action.{name}")
    assert ("task" in call(name)["argument_spec"]) is (there is not None)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_reaches_a_log(call, name):
    for option, spec in leaves(call(name)["argument_spec"]):
        secret = option.rpartition(".")[2] in SECRETS and option not in PATHS
        assert bool(spec.get("no_log")) is secret, option


@pytest.mark.parametrize(
    ("module", "path", "words"),
    [
        ("smtp_tls_mode", "server.level", ServerLevel.words()),
        ("smtp_tls_mode", "server.client_certificates", ClientCertificates.words()),
        ("smtp_tls_mode", "server.minimum_protocol", Protocol.words()),
        ("smtp_tls_mode", "server.ciphers", CipherGrade.words()),
        ("smtp_tls_mode", "client.level", ClientLevel.words()),
        ("smtp_tls_mode", "client.minimum_protocol", Protocol.words()),
        ("smtp_tls_mode", "client.ciphers", CipherGrade.words()),
        ("smtp_tls_mode", "services.level", ClientLevel.words()),
        ("smtp_tls_mode", "services.client_certificates", ClientCertificates.words()),
        ("smtp_tls_mode", "services.minimum_protocol", Protocol.words()),
        ("smtp_tls_mode", "profile", list(PROFILES)),
        ("smtp_domain_policy", "domains.level", ClientLevel.words()),
        ("smtp_tls_cert", "provider", list(PROVIDERS)),
    ],
)
def test_an_option_takes_every_word_of_the_model_and_no_other(call, module, path, words):
    spec = {"options": call(module)["argument_spec"]}
    for step in path.split("."):
        spec = spec["options"][step]
    assert spec["choices"] == words


@pytest.mark.parametrize("name", PROFILES)
def test_every_value_of_a_profile_is_an_option_of_the_mode(call, name):
    spec = call("smtp_tls_mode")["argument_spec"]
    for setting in PROFILES[name].settings:
        side, option = setting.option.split(".")
        choices = spec[side]["options"][option].get("choices")
        assert choices is None or setting.value in choices


def test_a_mode_must_be_asked_for_something(call):
    assert call("smtp_tls_mode")["required_one_of"] == [("profile", "server", "client", "services")]


def test_a_provider_needs_its_own_options(call):
    needy = ["own_ca", "pem", "pkcs12", "external"]
    assert call("smtp_tls_cert")["required_if"] == [("provider", name, [name]) for name in needy]


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "stored"])
def test_each_provider_has_options_of_its_own_name(call, provider):
    assert call("smtp_tls_cert")["argument_spec"][provider]["type"] == "dict"


def test_every_flaw_of_a_certificate_can_be_accepted_by_its_name(call):
    assert call("smtp_tls_cert")["argument_spec"]["accept"]["choices"] == [*FLAWS, "distrusted_issuer"]


def test_records_of_domains_come_from_the_task_or_from_a_file(call):
    given = call("smtp_domain_policy")
    assert given["required_one_of"] == given["mutually_exclusive"] == [("domains", "src")]
