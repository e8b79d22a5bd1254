# SPDX-License-Identifier: GPL-3.0-or-later
"""Demands of incoming mail that nobody could meet, or that nobody would be left to meet."""

from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.incoming import Unlisted
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import YESTERDAY, apply, plan, table
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.incoming_tasks import (
    KNOWN,
    NEEDS_CERTIFICATE,
    NEEDS_PIN,
    NEEDS_TLS,
    ROUTED,
)


@pytest.mark.parametrize("records", [[], [ROUTED]])
def test_nobody_is_shut_out_where_nobody_is_listed(node, records):
    with pytest.raises(InvalidValue, match="unlisted_senders: 'reject' would refuse all mail but bounces"):
        plan(node, *records, unlisted=Unlisted.REJECT)


def test_the_last_who_may_send_is_not_taken_out_while_all_others_are_refused(asking):
    apply(asking, KNOWN, unlisted=Unlisted.REJECT)
    with pytest.raises(InvalidValue, match="set accept"):
        plan(asking, exclusive=True)


@pytest.mark.parametrize(
    ("main_cf", "record", "sentence"),
    [
        (
            "",
            NEEDS_TLS,
            "domains: 'tls.example' demands encrypt of incoming mail, but the server offers no STARTTLS; "
            "set server.level: may of smtp_tls_mode first.",
        ),
        (
            "smtpd_tls_security_level = none\n",
            NEEDS_PIN,
            "domains: 'partner.example' demands pins of incoming mail, but the server offers no STARTTLS; "
            "set server.level: may of smtp_tls_mode first.",
        ),
        (
            "smtpd_tls_security_level = may\n",
            NEEDS_CERTIFICATE,
            "domains: 'agency.example' demands a client certificate, but the server asks nobody for one; "
            "set server.client_certificates: request of smtp_tls_mode first.",
        ),
        (
            "smtpd_tls_security_level = may\n",
            {**NEEDS_PIN, "mode": "testing"},
            "domains: 'partner.example' demands a client certificate, but the server asks nobody for one; "
            "set server.client_certificates: request of smtp_tls_mode first.",
        ),
        (
            "smtpd_tls_security_level = may\nsmtpd_tls_ask_ccert = yes\n",
            NEEDS_CERTIFICATE,
            "domains: 'agency.example' demands a client certificate of a trusted CA, but smtpd_tls_CAfile names none; "
            "set server.ca_file of smtp_tls_mode first, or trust.authorities of smtp_tls_cert.",
        ),
    ],
)
def test_a_demand_that_no_sender_could_meet_is_not_met_and_told_in_one_sentence(node, main_cf, record, sentence):
    node.append(main_cf)
    assert plan(node, record).unmet == sentence
    assert plan(node, {**record, "expires": YESTERDAY}).unmet is None


def test_a_demand_for_pins_needs_no_ca(node):
    node.append("smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\n")
    planned = plan(node, NEEDS_PIN)
    assert "smtpd_tls_CAfile" not in planned.plan.set
    assert planned.unmet is None


def test_a_domain_that_is_only_known_needs_no_tls(node):
    assert apply(node, KNOWN).unmet is None
    assert table(node, "senders") == {"known.example": "DUNNO"}


@pytest.mark.parametrize(
    ("main_cf", "file"),
    [
        ("", "trust/1.pem"),
        ("smtpd_tls_CApath = /etc/ssl/certs\n", None),
        ("smtpd_tls_CAfile = /etc/ssl/ca.pem\n", None),
    ],
)
def test_the_store_vouches_for_clients_where_main_cf_names_no_ca(node, main_cf, file):
    node.append("smtpd_tls_security_level = may\nsmtpd_tls_ask_ccert = yes\n" + main_cf)
    write(node.store("trust/1.pem"), "a CA")
    planned = apply(node, NEEDS_CERTIFICATE)
    assert planned.plan.set.get("smtpd_tls_CAfile") == (file and node.store(file))
    assert not plan(node, NEEDS_CERTIFICATE).plan.changed
