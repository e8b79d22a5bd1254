# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS policies that somebody else keeps, as a resolver of MTA-STS policies does: what they protect is not lost by a record."""

import pytest
from conftest import picture, refuse, run, sh, succeed
from socketmap import Source

pytestmark = pytest.mark.sampled("sources")
OF_METRICS = "policy-source.invalid"
"""What each source is asked once a minute, to see whether it answers."""

DOMAINS, SETTINGS, MODE = "smtp_domain_policy", "smtp_settings", "smtp_tls_mode"
STS = "sts.example"
POLICIES = {STS: "secure match=mx.sts.example servername=hostname", "lax.example": "may"}
LOST = "domain sts.example.level from secure to"


@pytest.fixture
def source():
    """A source that main.cf asks last."""
    with Source(dict(POLICIES)) as found:
        set_up(found)
        yield found


def set_up(source):
    sh("postconf", "-e", "smtp_tls_security_level=may", "smtp_tls_CAfile=/etc/ssl/certs/ca-certificates.crt")
    sh("postfix", "reload")
    succeed(DOMAINS, domains=[], policy_sources=[source.name])


def level(domain):
    """What the record's table says."""
    maps = sh("postconf", "-hx", "smtp_tls_policy_maps").partition(",")[0]
    return sh("postmap", "-q", domain, maps, check=False).strip()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("record", "to"),
    [
        ({"level": "encrypt"}, "encrypt"),
        ({"level": "may"}, "may"),
        ({"level": "none"}, "none"),
        ({"level": "secure", "match": ["mx.sts.example"], "mode": "testing"}, "may"),
    ],
)
def test_a_record_does_not_take_from_a_domain_what_its_own_policy_gave_it(source, record, to):
    before = picture()
    assert f"{LOST} {to}" in refuse(DOMAINS, domains=[{"name": STS, **record}])
    assert run(DOMAINS, {"domains": [{"name": STS, **record}]}, check_mode=True).data["failed"]
    assert picture() == before
    assert STS in source.asked and not any(source.under_lock)
    done = succeed(DOMAINS, domains=[{"name": STS, **record}], allow_weaker=[f"domain {STS}"])
    assert f"{STS}.level" in str(done["lowered"])


def test_only_what_a_change_touches_is_asked(source):
    names = [f"d{number}.example" for number in range(20)]
    succeed(DOMAINS, domains=[{"name": name, "level": "encrypt"} for name in names])
    assert {*source.asked} - {OF_METRICS} == {*names, ".example"}
    source.asked.clear()
    succeed(MODE, client={"level": "encrypt"})
    assert {*source.asked} <= {OF_METRICS}


def test_a_record_that_protects_as_much_comes_and_goes(source):
    succeed(DOMAINS, domains=[{"name": STS, "level": "secure", "match": ["mx.sts.example"]}])
    assert level(STS).startswith("secure")
    assert not succeed(DOMAINS, domains=[{"name": STS, "state": "absent"}])["lowered"]


def test_a_record_goes_where_the_source_protects_more_and_stays_where_it_protects_less(source):
    succeed(DOMAINS, domains=[{"name": name, "level": "encrypt"} for name in ("lax.example", "a.example")])
    succeed(DOMAINS, domains=[{"name": STS, "level": "encrypt"}], allow_weaker=True)
    assert not succeed(DOMAINS, domains=[{"name": STS, "state": "absent"}])["lowered"]
    said = refuse(DOMAINS, domains=[{"name": name, "state": "absent"} for name in ("lax.example", "a.example")])
    assert "domain lax.example.level from encrypt to may" in said
    assert "domain a.example.level from encrypt to may" in said


def test_what_nobody_answers_counts_as_weaker_where_it_is_touched_and_as_unchanged_elsewhere(source):
    succeed(DOMAINS, domains=[{"name": "a.example", "level": "encrypt"}])
    source.policies = None
    assert f"domain {STS}.policy_sources from {source.name} to nothing" in refuse(
        DOMAINS, domains=[{"name": STS, "level": "encrypt"}]
    )
    said = refuse(DOMAINS, domains=[{"name": "a.example", "state": "absent"}])
    assert f"domain a.example.policy from nothing to {source.name}" in said
    assert not succeed(DOMAINS, domains=[{"name": STS, "level": "secure"}])["lowered"]
    assert not succeed(MODE, client={"level": "encrypt"})["lowered"]


def test_a_source_goes_with_leave_alone(source):
    said = refuse(DOMAINS, domains=[], policy_sources=[])
    assert f"other mail.policy_sources from {source.name} to nothing" in said
    service = {"name": "smtp/unix", "parameters": {"smtp_tls_policy_maps": ""}}
    assert "other mail.policy_sources" in refuse(SETTINGS, services=[service])
    done = succeed(DOMAINS, domains=[], policy_sources=[], allow_weaker=["other mail.policy_sources"])
    assert [item["name"] for item in done["lowered"]] == ["other mail.policy_sources"]


def test_a_smarthost_does_not_take_mail_past_the_source_in_silence(source):
    said = refuse(SETTINGS, parameters={"relayhost": "[192.0.2.25]"})
    assert f"other mail.policy_sources from {source.name} to nothing" in said
    assert source.asked == ["[192.0.2.25]"]
