# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node may be called is decided on the controller, whatever it calls itself."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.describe import dns_names
from ansible_collections.mailfleet.smtp_hardening.tests.unit.signing_tasks import INSTALLED, Node, asks, sent, task

HOST_AND_OTHER = ["mx1.example.com", "smtp.example.com"]


def wishes(*names):
    """A node that asks to be called so; what its request says does not count."""
    return {"changed": True, "signing_request": {**asks()["signing_request"], "names": list(names)}}


@pytest.mark.parametrize(
    ("host", "names", "wish", "signed"),
    [
        ("mx1.example.com", None, ["mx1.example.com"], ["mx1.example.com"]),
        ("MX1.Example.com", None, ["mx1.example.com"], ["mx1.example.com"]),
        ("mx1.example.com", None, ["MX1.EXAMPLE.COM"], ["mx1.example.com"]),
        ("mx1", None, ["mx1"], ["mx1"]),
        ("mx1", ["mx1.example.com"], ["mx1.example.com"], ["mx1.example.com"]),
        ("mx1", "mx1.example.com", ["mx1.example.com"], ["mx1.example.com"]),
        ("192.0.2.1", HOST_AND_OTHER, HOST_AND_OTHER, HOST_AND_OTHER),
        ("mx1", HOST_AND_OTHER, ["smtp.example.com"], HOST_AND_OTHER),
        ("mx1", ["*.example.com"], ["*.example.com"], ["*.example.com"]),
    ],
)
def test_a_node_is_called_what_the_inventory_calls_it(run, ca, *, host, names, wish, signed):
    node = Node(wishes(*wish), INSTALLED)
    run(node, task(names=names, **ca), inventory_hostname=host)
    assert dns_names(sent(node)[0]) == signed


@pytest.mark.parametrize(
    ("host", "names", "domains", "wish"),
    [
        ("mx1.example.com", None, None, ["mx2.example.com"]),
        ("mx1.example.com", None, ["example.com"], ["mx2.example.com"]),
        ("mx1.example.com", None, None, ["mx1.example.com", "mx2.example.com"]),
        ("mx1.example.com", None, None, ["*.example.com"]),
        ("mx1", None, None, ["mx1.example.com"]),
        ("192.0.2.1", None, None, ["mx1.example.com"]),
        ("mx1", ["mx1.example.com"], None, ["bank.example"]),
        ("mx1", ["*.example.com"], ["example.com"], ["mx2.example.com"]),
    ],
)
@pytest.mark.parametrize("renew", [{}, {"renew_now": True}])
def test_a_name_that_the_inventory_did_not_give_is_refused_and_nothing_is_signed(
    run, ca, renew, *, host, names, domains, wish
):
    node = Node(wishes(*wish), INSTALLED)
    given = {**task(names=names, domains=domains, **ca), **renew}
    with pytest.raises(AnsibleActionFail) as refusal:
        run(node, given, inventory_hostname=host)
    strange = wish[-1]
    assert str(refusal.value).startswith(f"own_ca.names: {host} asks for a certificate as {strange}, and by the ")
    assert "list in own_ca.names what this node is to be called" in str(refusal.value)
    assert len(node.calls) == 1 and not node.calls[0]["own_ca"].get("certificate")


def test_the_node_is_told_what_it_may_be_called(run, ca):
    for given, assigned in ((None, ["mx1.example.com"]), (["a.example", "b.example"], ["a.example", "b.example"])):
        node = Node({"changed": False})
        run(node, task(names=given, assigned=["bank.example"], **ca))
        assert node.calls[0]["own_ca"]["assigned"] == assigned


@pytest.mark.parametrize(
    "request_", ["", [], {"csr": 1, "names": []}, {"csr": "", "names": "mx1.example.com"}, {"names": ["x"]}, 7]
)
def test_words_that_no_module_says_are_refused(run, ca, request_):
    node = Node({"changed": True, "signing_request": request_}, INSTALLED)
    if not request_:
        assert run(node, task(**ca)) == {"changed": True}
        return
    with pytest.raises(AnsibleActionFail, match="in words that the module does not use"):
        run(node, task(**ca))


@pytest.mark.parametrize("csr", ["-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"])
def test_a_request_that_cannot_be_read_is_refused(run, ca, csr):
    node = Node({"changed": True, "signing_request": {"csr": csr, "names": ["mx1.example.com"]}})
    with pytest.raises(AnsibleActionFail, match="request cannot be read"):
        run(node, task(**ca))


def test_control_characters_in_a_nodes_wish_are_shown_as_escapes(run, ca):
    with pytest.raises(AnsibleActionFail, match=r"as mx2\\x1b\[2J,") as refusal:
        run(Node(wishes("mx2\x1b[2J")), task(**ca))
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize("host", ["mx 1", "mx_1!", "münchen"])
def test_a_host_whose_name_no_certificate_can_carry_needs_names(run, ca, host):
    with pytest.raises(AnsibleActionFail, match="own_ca.names"):
        run(Node(wishes(host)), task(**ca), inventory_hostname=host)


@pytest.mark.parametrize(
    ("domains", "names", "signs"),
    [
        (None, ["mx1.other.example"], True),
        (["example.com"], ["mx1.example.com"], True),
        (["example.com"], ["example.com"], True),
        ([".Example.COM"], ["MX1.example.com", "*.example.com"], True),
        (["example.net", "example.com"], ["mx1.example.com", "mx1.example.net"], True),
        (["example.com"], ["mx1.example.com", "mx1.other.example"], False),
        (["example.com"], ["mx1.badexample.com"], False),
        (["mx1.example.com"], ["example.com"], False),
        (["example.com"], ["*.com"], False),
        ([], ["mx1.example.com"], False),
        (["example.com"], ["mx1.other.example\0.example.com"], False),
    ],
)
def test_domains_narrow_what_a_node_may_be_called(run, ca, domains, names, signs):
    node = Node(wishes(*names), INSTALLED)
    if signs:
        run(node, task(domains=domains, names=names, **ca))
        assert dns_names(sent(node)[0]) == [name.lower() for name in names]
        return
    with pytest.raises(AnsibleActionFail, match="^own_ca.") as failure:
        run(node, task(domains=domains, names=names, **ca))
    assert node.calls == [], "before the node makes a key"
    assert "PRIVATE" not in str(failure.value)


def test_a_domain_that_is_no_list_is_a_list_of_one(run, ca):
    node = Node(asks(), INSTALLED)
    run(node, task(domains="example.com", **ca))
    assert dns_names(sent(node)[0]) == ["mx1.example.com"]


def test_a_name_outside_of_the_domains_is_named(run, ca):
    with pytest.raises(AnsibleActionFail) as failure:
        run(Node(), task(domains=["example.com"], **ca), inventory_hostname="mx1.other.example")
    assert str(failure.value).startswith(
        "own_ca.domains: ['example.com'] does not cover mx1.other.example, as which the node is to be known; "
        "list its domain, or give the node other names in own_ca.names."
    )
