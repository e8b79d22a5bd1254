# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role relay brings for one instance of Postfix has names that no other's has."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.mailfleet.smtp_hardening.tests.unit.roles.programs import RELAY

ROLE = RELAY.parent
NAMES = ("relay_metrics_unit", "relay_metrics_state", "relay_metrics_file", "relay_log_file")
INSTANCES = ["/etc/postfix", "/etc/postfix-a", "/etc/postfix/a", "/etc/postfix_a", "/etc/postfix_2Da", "/etc/postfix~a"]
INSTANCES += ["/srv/postfix", "/etc/pöstfix", "/etc/post fix", "/etc/post%20fix", "/etc-postfix", "/etc/postfix.a"]


@pytest.fixture(scope="module")
def templar():
    """Templates with the role's variables for one instance."""
    loader = DataLoader()
    found = {}
    for name in ("defaults/main/main.yml", "defaults/main/metrics.yml", "vars/main.yml"):
        found.update(loader.load_from_file(str(ROLE / name), trusted_as_template=True))
    return lambda config_dir, **over: Templar(
        loader=loader, variables={**found, "relay_config_dir": config_dir, **over}
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_two_instances_have_the_same_names(templar, name):
    told = [made.template(made.available_variables[name]) for made in map(templar, INSTANCES)]
    assert len(set(told)) == len(INSTANCES)
    assert all(text.isascii() and not set(text) & set(" %~\\'\"$") for text in told)


@pytest.mark.parametrize("folder", ["/etc/postfix", "/etc/postfix/", "/etc//postfix"])
def test_postfixs_own_instance_keeps_the_names_that_it_had(templar, folder):
    made = templar(folder)
    assert [made.template(made.available_variables[name]) for name in NAMES] == [
        "smtp-metrics",
        "/var/lib/smtp-hardening/metrics.json",
        "/var/lib/prometheus/node-exporter/smtp_hardening.prom",
        "/var/log/postfix.log",
    ]


def unit(templar, name="smtp-metrics.service", **over):
    """As the module template has it."""
    text = (ROLE / "templates" / f"{name}.j2").read_text()
    made = templar(**{"config_dir": "/etc/postfix", "relay_service": "postfix", **over})
    return made.template(trust_as_template(text), escape_backslashes=False).splitlines()


def test_the_unit_of_the_metrics_is_bound_and_ends(templar):
    lines = set(unit(templar))
    assert {
        "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH",
        "LimitCORE=0",
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        "ProtectHome=yes",
        "ProtectSystem=strict",
        "TimeoutStartSec=2min",
    } <= lines


def test_a_directory_is_one_word_to_systemd_whatever_it_is_called(templar):
    lines = unit(templar, config_dir='/etc/a b"c%d$e\\f', relay_metrics_file="/srv/%i $x/m.prom")
    start = next(line for line in lines if line.startswith("ExecStart="))
    assert r'--config-dir "/etc/a b\"c%%d$$e\\f" --output "/srv/%%i $$x/m.prom" --state "/var/lib/' in start
    assert 'ReadWritePaths="/srv/%%i $x"' in lines


NAMES_OF_OURS = {"signed": "dns.test", "bogus": "spoiled.dns.test"}


def starts(templar, name, **over):
    return next(line for line in unit(templar, name, **over) if line.startswith("ExecStart="))


def test_names_that_resolvers_are_proven_with_reach_the_metrics_and_the_source_of_policies(templar):
    words = " --signed dns.test --bogus spoiled.dns.test"
    assert starts(templar, "smtp-metrics.service", smtp_dnssec_test=NAMES_OF_OURS).endswith(words)
    assert starts(templar, "smtp-metrics.service").endswith('metrics.json"')
    started = starts(templar, "smtp-dane-first.service", relay_has_dane=True, relay_dnssec_test=NAMES_OF_OURS)
    assert started.endswith(f"smtp-dane-first.pyz --dane{words}")


def test_dane_is_promised_where_a_resolver_was_proven_and_nowhere_else(templar):
    assert starts(templar, "smtp-dane-first.service", relay_has_dane=False).endswith("/smtp-dane-first.pyz")
    assert starts(templar, "smtp-dane-first.service", relay_has_dane=True).split()[-1] == "--dane"


def test_nothing_keeps_what_policies_depend_on_from_being_started_again(templar):
    for text in (
        (ROLE / "files" / "keep-running.conf").read_text(),
        "\n".join(unit(templar, "smtp-dane-first.service", relay_has_dane=False)),
    ):
        assert {"StartLimitIntervalSec=0", "Restart=always"} <= set(text.splitlines())
