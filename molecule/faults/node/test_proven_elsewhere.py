# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners that a client on the node is not at once in front of: behind a proxy, or for others than loopback."""

import pytest
from as_found import PORT, SERVICE, changes, configure, listener, of_listener, put, reloaded, smtp
from conftest import CONFIG, MODULES, answers, leftovers, picture, refuse, sh, succeed
from pems import HOST

pytestmark = pytest.mark.sampled("proven_elsewhere")

# Behind a proxy.


@pytest.mark.parametrize("command", ["smtpd", "postscreen"])
def test_a_listener_behind_a_proxy_is_proven_with_its_header(command):
    listener(f"{command}_upstream_proxy_protocol=haproxy", command=command)
    reloaded()
    fact = of_listener(succeed("smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"}))
    assert fact["proxy_protocol"] == {"v1": "accepted", "v2": "accepted"}
    assert (fact["starttls"], fact["protocol"], fact["client_certificate"]) == (True, "TLSv1.3", "ignore")
    probed = [seen for seen in succeed("smtp_tls_probe")["observations"] if seen["listener"] == PORT]
    assert [(seen["starttls"], seen["error"]) for seen in probed] == [(True, None)]
    for version in (1, 2):
        target = {"address": "127.0.0.1", "port": 2525, "name": HOST, "proxy_protocol": version}
        (seen,) = succeed("smtp_tls_probe", targets=[target])["observations"]
        assert seen["starttls"] and seen["error"] is None
    assert up(SERVICE)


def up(service):
    """Whether the metrics say that a listener greets."""
    code = (
        f"from {MODULES.rpartition('.')[0]}.module_utils._metrics import instance, listeners\n"
        f"print(listeners.check_listeners(instance.read_instance('{CONFIG}'), True)['{service}'])"
    )
    return sh("python3", "-B", "-c", code).strip() == "True"


def test_all_listeners_behind_a_proxy_by_main_cf():
    configure(smtpd_upstream_proxy_protocol="haproxy")
    sh("postfix", "reload")
    try:
        result = changes()
        assert {fact["service"]: fact["proxy_protocol"].get("v2") for fact in result["proof"]} == {
            "smtp/inet": "accepted"
        }
    finally:
        sh("postconf", "-X", "smtpd_upstream_proxy_protocol")


# Listeners that treat this host otherwise than their clients.


LOOPBACK = "127.0.0.0/8"


def test_a_listener_that_refuses_loopback_is_proven_from_another_address():
    table = put("local.cidr", f"{LOOPBACK} REJECT\n")
    listener("smtpd_delay_reject=no", f"smtpd_client_restrictions=check_client_access,cidr:{table}")
    reloaded()
    fact = of_listener(changes())
    assert fact["source"] and fact["source"] != LOOPBACK and fact["unproven"] is None
    assert up(SERVICE)


def test_a_listener_that_hides_starttls_from_loopback_is_proven_from_another_address():
    table = put("hide.cidr", f"{LOOPBACK} starttls\n")
    listener(f"smtpd_discard_ehlo_keyword_address_maps=cidr:{table}")
    reloaded()
    fact = of_listener(succeed("smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"}))
    assert fact["starttls"] and fact["source"] not in (None, LOOPBACK)


def test_a_listener_that_counts_connections_is_proven_and_clients_on_the_host_do_not_pay_for_it():
    limits = ("connection", "new_tls_session", "message")
    listener(*(f"smtpd_client_{name}_rate_limit=2" for name in limits), "smtpd_client_event_limit_exceptions=")
    reloaded()
    fact = of_listener(succeed("smtp_tls_mode", server={"minimum_protocol": "TLSv1.3"}))
    assert fact["source"] == LOOPBACK
    with smtp(2525) as first:
        assert first.docmd("MAIL", "FROM:<>")[0] == 250


def test_a_listener_that_turns_the_whole_host_away_goes_unproven_by_name_alone_and_that_stays_visible():
    listener("smtpd_delay_reject=no", "smtpd_client_restrictions=reject")
    reloaded()
    before = picture()
    sentence = refuse("smtp_settings", parameters={"smtpd_banner": f"{HOST} ESMTP"})
    assert f"{SERVICE} at 127.0.0.1:" in sentence and "turns this host away: 554 5.7.1 " in sentence
    assert f"let it go unproven by name, unproven: [{SERVICE}]" in sentence
    assert picture() == before and not leftovers() and answers()
    result = succeed("smtp_settings", parameters={"smtpd_banner": f"{HOST} ESMTP"}, unproven=[PORT])
    later = [changes(header_size_limit="51200"), changes(header_size_limit="51200")]
    assert [one["changed"] for one in later] == [True, False]
    for one in [result, *later, succeed("smtp_tls_info")]:
        assert [left["service"] for left in one["unproven"]] == [SERVICE]
        assert one["unproven"][0]["problem"].startswith("turns this host away: 554 5.7.1 ")
    assert f"{SERVICE} is not proven" in str(later[1]["warnings"])
    assert up(SERVICE)
