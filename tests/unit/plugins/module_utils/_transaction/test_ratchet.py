# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _files
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import HardeningError, PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.plan import NewFile, Plan
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.state import Unreadable, read_state
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._transaction import history, ratchet
from ansible_collections.mailfleet.smtp_hardening.tests.unit.changes import patched
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PARTNER, TODAY, TOMORROW, apply, plan
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import SERVICES, change, picture, write
from ansible_collections.mailfleet.smtp_hardening.tests.unit.guarded import guarded, remedy

STRICT = (
    "smtpd_tls_security_level = encrypt\nsmtpd_tls_mandatory_protocols = >=TLSv1.3\nsmtp_tls_security_level = secure\n"
)
LAXER = {"smtpd_tls_security_level": "may", "smtp_tls_security_level": "may"}
NAMES = "server.level, server.minimum_protocol, client.level"
FALLEN = (
    "This would lower protection: server.level from encrypt to may; "
    f"server.minimum_protocol from TLSv1.3 to TLSv1; client.level from secure to may; {remedy(NAMES)}"
)


@pytest.fixture
def strict(node):
    node.append(STRICT)
    return node


def test_one_sentence_lists_all_that_would_fall_and_how_to_let_it(strict):
    with pytest.raises(HardeningError) as refusal:
        guarded(strict, Plan(set=LAXER))
    assert str(refusal.value) == FALLEN


@pytest.mark.parametrize(
    ("allow_weaker", "refused"),
    [
        (True, None),
        ("yes", None),
        (["server", "client"], None),
        (["server.level", "server.minimum_protocol", "client.level"], None),
        ("server,client", None),
        (False, "server.level, server.minimum_protocol, client.level"),
        (["client"], "server.level, server.minimum_protocol"),
        (["server.level"], "server.minimum_protocol, client.level"),
        (["smtp/inet"], "server.level, server.minimum_protocol, client.level"),
    ],
)
def test_what_is_named_may_fall_and_nothing_else(strict, allow_weaker, refused):
    if refused is None:
        compared = guarded(strict, Plan(set=LAXER), allow_weaker)
        assert [item.name for item in compared.lowered] == NAMES.split(", ")
        return
    with pytest.raises(HardeningError) as refusal:
        guarded(strict, Plan(set=LAXER), allow_weaker)
    assert str(refusal.value).endswith(remedy(refused))


def test_what_the_task_says_by_name_may_fall(node):
    node.append("smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = a.example\n")
    wanted = Plan(set={"smtp_tls_secure_cert_match": "b.example"})
    with pytest.raises(HardeningError, match="client.match from a.example to b.example"):
        guarded(node, wanted)
    assert [item.name for item in guarded(node, wanted, said=["match"]).lowered] == ["client.match"]


@pytest.mark.parametrize(
    "wanted",
    [
        Plan(set={"smtpd_tls_security_level": "none"}),
        Plan(unset=("smtpd_tls_security_level",)),
        Plan(overrides={"smtp/inet/smtpd_tls_security_level": "may"}),
        Plan(services=("smtp/inet=smtp inet n - y - - smtpd -o smtpd_tls_security_level=may",)),
        Plan(services=("2525/inet=2525 inet n - y - - smtpd -o smtpd_tls_security_level=may",)),
        Plan(contents={"main.cf": b"compatibility_level = 3.9\n"}),
        Plan(contents={"master.cf": SERVICES.replace("smtpd\n", "smtpd -o smtpd_tls_security_level=none\n").encode()}),
    ],
)
def test_by_whatever_means_a_plan_lowers_protection_it_is_refused(strict, wanted):
    before = picture(strict.config_dir)
    with pytest.raises(
        HardeningError, match="^This would lower protection: (server|smtp/inet|2525/inet).level from encrypt to "
    ):
        guarded(strict, wanted)
    assert picture(strict.config_dir) == before


@pytest.mark.parametrize(
    "wanted",
    [
        Plan(set={"smtp_tls_security_level": "dane-only"}),
        Plan(gone=("smtp/inet",)),
        Plan(services=("127.0.0.1:10025/inet=127.0.0.1:10025 inet n - y - - smtpd -o smtpd_tls_security_level=none",)),
        Plan(contents={"main.cf": STRICT.encode()}),
    ],
)
def test_what_lowers_nothing_passes(strict, wanted):
    compared = guarded(strict, wanted)
    assert (compared.lowered, compared.broken) == ([], None)


def test_a_planned_table_counts_before_it_lies_anywhere(node):
    node.append("smtp_tls_security_level = may\n")
    path = node.store("domains/9/tls_policy")
    wanted = Plan(
        set={"smtp_tls_policy_maps": f"hash:{path}"}, files=(NewFile(path, b"a.example\tnone\n", table=True),)
    )
    write(node.store("domains/9/records.json"), "[]")
    with pytest.raises(HardeningError, match="domain a.example.level from may to none;"):
        guarded(node, wanted)
    assert not os.path.exists(path)


def test_what_postfix_could_not_read_is_told_as_what_was_asked_for(node, monkeypatch):
    complaint = "postconf: fatal: macro processing error"

    def unreadable(postfix, folder, config_dir):
        raise Unreadable(f"{complaint} {folder}", folder)

    monkeypatch.setattr(ratchet, "in_its_place", unreadable)
    with pytest.raises(PostfixError) as refusal:
        guarded(node, Plan(set={"relayhost": "$"}))
    assert str(refusal.value) == (
        f"Postfix could not read what is asked for: {complaint} {node.config_dir} Nothing was changed."
    )


def test_a_parameter_that_names_another_is_read_with_its_value(node):
    node.append("smtpd_tls_security_level = $our_level\nour_level = encrypt\n")
    with pytest.raises(HardeningError, match="server.level from encrypt to may;"):
        guarded(node, Plan(set={"our_level": "may"}))


def test_a_record_that_something_hides_is_told_and_not_what_its_domain_loses(node):
    apply(node, {"name": "bank.example", "level": "secure"}, {**PARTNER, "name": "court.example"})
    compared = guarded(node, Plan(set={"relayhost": "[hub.example]"}), today=TODAY)
    assert compared.lowered == []
    assert compared.broken.startswith(
        "domains: bank.example has level secure, but its mail goes to [hub.example] (relayhost)"
    )


def test_of_several_records_that_something_hides_the_first_is_told(node):
    apply(node, {"name": "b.example", "level": "secure"}, {"name": "a.example", "level": "secure"})
    assert guarded(node, Plan(set={"relayhost": "[hub.example]"}), today=TODAY).broken.startswith(
        "domains: a.example has"
    )


def test_what_has_expired_protects_nothing_that_could_be_lowered(node):
    apply(node, {"name": "bank.example", "level": "secure", "expires": TOMORROW})
    gone = {"name": "bank.example", "state": "absent"}
    with pytest.raises(HardeningError, match="domain bank.example.level from secure to none;"):
        plan(node, gone)
    assert plan(node, gone, today=TODAY.replace(month=5)).plan.changed


@pytest.mark.parametrize("content", ["{", "null", "[{}]"])
def test_broken_records_stop_no_change_that_leaves_them_alone(node, content):
    node.append("smtp_tls_security_level = encrypt\n")
    apply(node, {"name": "bank.example", "level": "secure"})
    write(node.store("domains/1/records.json"), content)
    assert guarded(node, Plan(set={"mail_name": "x"})).lowered == []
    with pytest.raises(HardeningError, match="lower protection: .*client.level from .* to none"):
        guarded(node, Plan(set={"smtp_tls_security_level": "none"}))


def test_broken_records_are_a_sentence_with_a_way_on_where_they_go(node):
    apply(node, {"name": "bank.example", "level": "secure"})
    records = write(node.store("domains/1/records.json"), "{")
    with pytest.raises(PostfixError) as problem:
        guarded(node, Plan(unset=("smtp_tls_policy_maps",)), ["client"])
    assert str(problem.value).startswith(f"{records} cannot be read")


def test_broken_records_stop_nobody_who_takes_them_out(node):
    apply(node, {"name": "bank.example", "level": "secure"})
    write(node.store("domains/1/records.json"), "{")
    compared = guarded(node, Plan(unset=("smtp_tls_policy_maps", "tls_required_enable")), True)
    assert "domain bank.example.level" in [item.name for item in compared.lowered]


def test_the_copy_is_roots_alone_and_gone_afterwards(strict):
    place = _files.own_place()
    seen = []

    def look(argv):
        folders = [name for name in os.listdir(place) if name.endswith(".staged")]
        seen.extend(stat.S_IMODE(os.stat(os.path.join(place, name)).st_mode) for name in folders)

    postfix = patched(strict, look)
    ratchet.check(postfix, strict.state, Plan(set={"mail_name": "x"}), ratchet.Allowance())
    with pytest.raises(HardeningError):
        ratchet.check(postfix, strict.state, Plan(set=LAXER), ratchet.Allowance())
    assert set(seen) == {0o700}
    assert [name for name in os.listdir(place) if name.endswith(".staged")] == []


def test_what_a_killed_run_left_of_the_copy_is_no_hindrance(strict):
    left = os.path.join(_files.own_place(), f"{ratchet.place_of(strict.config_dir)}.staged")
    write(os.path.join(left, "main.cf"), "smtpd_tls_security_level = none\n")
    assert guarded(strict, Plan(set={"mail_name": "x"})).lowered == []
    assert not os.path.exists(left)


def test_a_staged_state_reads_as_it_will_in_its_place(strict):
    wanted = Plan(
        set={"smtp_tls_policy_maps": "hash:$config_directory/policy"},
        overrides={"smtp/inet/smtpd_tls_CAfile": "${config_directory}/ca.pem"},
    )
    with ratchet.staged(strict.postfix, strict.state, wanted) as then:
        assert then.config_dir == strict.config_dir
        assert then.effective["smtp_tls_policy_maps"] == f"hash:{strict.path('policy')}"
        assert then.service("smtp", "inet").overrides["smtpd_tls_CAfile"] == strict.path("ca.pem")
        assert then.explicit["smtpd_tls_security_level"] == "encrypt"
        assert strict.state.explicit.keys() == {"compatibility_level", *LAXER, "smtpd_tls_mandatory_protocols"}


def test_what_was_staged_is_known_when_it_is_live(strict):
    """Files that say the same are read once: what was compared, what the twin gets, and what the wire must show."""
    postfix, wanted = strict.postfix, Plan(set={"mail_name": "x"})
    compared = ratchet.check(postfix, read_state(postfix), wanted, ratchet.Allowance())
    strict.postfix.edit(wanted.set)
    strict.commands.clear()
    assert read_state(postfix) is compared.then
    assert ratchet.in_its_place(postfix, strict.config_dir, strict.config_dir) is compared.then
    assert strict.commands == []
    assert compared.then == strict.state


def test_what_is_compared_is_what_a_change_then_brings(strict):
    wanted = Plan(set=LAXER, overrides={"smtp/inet/smtpd_tls_security_level": "encrypt"})
    compared = guarded(strict, wanted, True)
    change(strict, wanted)
    seen = ratchet.posture(strict.postfix, strict.state)
    assert (seen.servers, seen.clients, seen.ways) == (
        compared.after.servers,
        compared.after.clients,
        compared.after.ways,
    )
    assert compared.then.effective == strict.state.effective
    assert history.past(strict.config_dir)


def test_tables_are_asked_where_main_cf_of_now_lies(node):
    """A copy has no tables beside it."""
    path = write(node.path("policy"), "a.example\tsecure\n")
    node.postfix.build_table(path, "hash")
    node.append(f"smtp_tls_policy_maps = hash:{path}\n")
    with pytest.raises(HardeningError, match="domain a.example.level from secure to none;"):
        guarded(node, Plan(unset=("smtp_tls_policy_maps",)))
    assert guarded(node, Plan(set={"smtp_tls_policy_maps": "hash:$config_directory/policy"})).lowered == []
