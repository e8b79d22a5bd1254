# SPDX-License-Identifier: GPL-3.0-or-later
"""A renewal that fits one side alone: that side is renewed, the other keeps what it has."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import Chain
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import KeySpec, make_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import CertificateError
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import apply, pem, plan, wish
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

NOW = datetime.datetime.now(datetime.timezone.utc)
BOTH_SIDES = ["server", "client"]
USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@pytest.fixture
def leaf(fleet_ca):
    """A chain of the fleet's CA that may be used for these sides alone."""

    def make(*sides, days=90):
        key, (ca, ca_key) = make_key(KeySpec("ecdsa", 256)), fleet_ca
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(days=1))
            .not_valid_after(NOW + datetime.timedelta(days=days, hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx1.example.com")]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([USAGES[side] for side in sides]), critical=False)
        )
        return Chain(key, (builder.sign(ca_key, hashes.SHA256()),))

    return make


def given(chain, **over):
    return wish("pem", pem(chain), name="mx", **over)


def active(node, side):
    return node.state.explicit.get({"server": "smtpd", "client": "smtp"}[side] + "_tls_chain_files")


@pytest.mark.parametrize(("fit", "other"), [("server", "client"), ("client", "server")])
@pytest.mark.parametrize("use", [BOTH_SIDES, []])
def test_the_side_that_the_renewal_fits_is_renewed_and_the_other_keeps_what_it_has(
    trusting_node, leaf, *, fit, other, use
):
    node = trusting_node
    first = apply(node, given(leaf(*BOTH_SIDES, days=12), use=BOTH_SIDES))
    renewed = leaf(fit)
    second = apply(node, given(renewed, use=use))
    assert (active(node, fit), active(node, other)) == (second.path, first.path)
    assert second.active == {fit: True, other: False}
    assert [(side.use, side.days_left) for side in second.behind] == [(other, 12)]
    assert f"is not allowed as a {other} certificate by its extended key usage" in second.behind[0].why
    again = plan(node, given(renewed, use=use))
    assert not again.plan.changed
    assert again.behind == second.behind


def test_both_sides_are_served_again_by_a_renewal_that_fits_both(trusting_node, leaf):
    node = trusting_node
    for sides in (BOTH_SIDES, ["server"], BOTH_SIDES):
        planned = apply(node, given(leaf(*sides), use=BOTH_SIDES))
    assert active(node, "server") == active(node, "client") == planned.path
    assert planned.behind == ()


@pytest.mark.parametrize("use", [BOTH_SIDES, ["client"]])
def test_a_certificate_does_not_begin_to_be_used_where_it_may_not(trusting_node, leaf, use):
    with pytest.raises(CertificateError, match=r"not allowed as a client certificate.+accept: \[wrong_usage\]"):
        plan(trusting_node, given(leaf("server"), use=use))


def test_where_no_side_can_take_the_renewal_it_is_refused(trusting_node, leaf):
    apply(trusting_node, given(leaf(*BOTH_SIDES), use=["client"], accept=[]))
    with pytest.raises(CertificateError, match=r"not allowed as a client certificate.+accept: \[wrong_usage\]"):
        plan(trusting_node, given(leaf("server")))


def test_what_is_accepted_is_used_on_both_sides(trusting_node, leaf):
    apply(trusting_node, given(leaf(*BOTH_SIDES), use=BOTH_SIDES))
    planned = apply(trusting_node, given(leaf("server"), accept=["wrong_usage"]))
    assert active(trusting_node, "client") == planned.path
