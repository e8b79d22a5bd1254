# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils import _program
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import certificates_pem
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.keys import write_key
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue, PostfixError
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix import store
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.registry import read_task
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import hooks
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import SMALL, task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import FakePostfix, picture, read, write

WATCHED = ["lego", "step", "certmonger", "other"]


HERE = {}


def unit():
    """The name of the hook, which holds the whole configuration directory, as systemd-escape(1) writes it."""
    folder = str(HERE["config_dir"]).strip("/")
    escaped = re.sub("[^A-Za-z0-9/_]", lambda found: f"\\x{ord(found[0]):02x}", folder)
    return f"smtp-hardening-{escaped.replace('/', '-')}-public"


@pytest.fixture(autouse=True)
def units(monkeypatch, tmp_path, node):
    """Where systemd's units lie."""
    folder = tmp_path / "systemd"
    monkeypatch.setitem(HERE, "config_dir", node.config_dir)
    monkeypatch.setattr(hooks, "UNITS", str(folder))
    monkeypatch.setattr(hooks, "PYTHON", "/nowhere/python3")
    monkeypatch.setattr(hooks, "SYSTEMD", str(tmp_path))
    return folder


@pytest.fixture
def external(tmp_path, issue):
    """The options of a certificate that a tool has put below a folder."""
    chain = issue()

    def made(tool="certbot", folder="letsencrypt/live/mx1", hook=True):
        paths = {"private_key": tmp_path / folder / "privkey.pem", "certificate": tmp_path / folder / "fullchain.pem"}
        write(paths["private_key"], write_key(chain.key))
        write(paths["certificate"], certificates_pem(chain.certificates))
        return {"tool": tool, "hook": hook, **{name: str(path) for name, path in paths.items()}}

    return made


def planned(node, given, provider="external", **over):
    options = task(provider, given, **{"name": "public", "config_dir": node.config_dir, **over})
    return hooks.plan_hook(node.postfix, node.state, read_task(options, "mx1.example.com", store.read_given), options)


def install(node, given, **over):
    plan = planned(node, given, **over)
    hooks.install(node.postfix, node.state, "public", plan)
    return plan


def systemctl(node):
    return [argv[1:] for argv in node.commands if argv[0] == "systemctl"]


def hook_of(tmp_path, tool, folder="letsencrypt"):
    """The files by which each tool, and systemd, start the program."""
    first = str(tmp_path / folder / "renewal-hooks" / "deploy" / unit().replace("\\", "%"))
    path, *others = [str(tmp_path / "systemd" / f"{unit()}.{kind}") for kind in ("path", "timer", "service")]
    return [first if tool == "certbot" else path, *others]


@pytest.mark.parametrize("tool", ["certbot", *WATCHED])
def test_a_hook_is_installed_once_and_a_second_run_finds_nothing_to_do(node, external, tmp_path, tool):
    plan = install(node, external(tool))
    renewal = [node.store("renewal", "renew.pyz"), node.store("renewal", "public.json")]
    assert sorted(plan.write) == sorted([*renewal, *hook_of(tmp_path, tool)])
    assert [entry["prepared"] for entry in plan.diff()] == [
        f"{path}: written, a hook for renewals\n" for path in plan.write
    ]
    again = planned(node, external(tool))
    assert (again.changed, again.diff()) == (False, [])
    assert hooks.renewed_by(node.state, "public") == tool


@pytest.mark.parametrize("tool", WATCHED)
def test_where_systemd_does_not_run_the_command_is_told_that_a_unit_would_start(node, external, monkeypatch, tool):
    monkeypatch.setattr(hooks, "SYSTEMD", "/nowhere")
    plan = install(node, external(tool))
    assert sorted(plan.write) == sorted([node.store("renewal", "renew.pyz"), node.store("renewal", "public.json")])
    assert plan.unwatched.endswith(f"-I -B {node.store('renewal', 'renew.pyz')} public")
    assert f"have {tool} or cron run this" in plan.unwatched
    assert systemctl(node) == []
    again = planned(node, external(tool))
    assert (again.changed, again.unwatched) == (False, plan.unwatched)


def test_a_unit_goes_where_systemd_does_not_run_any_more(node, external, monkeypatch, tmp_path):
    install(node, external("lego"))
    monkeypatch.setattr(hooks, "SYSTEMD", "/nowhere")
    before = len(systemctl(node))
    install(node, external("lego"))
    assert not any(os.path.exists(path) for path in hook_of(tmp_path, "lego"))
    assert len(systemctl(node)) == before


def test_a_plan_writes_nothing(node, external, tmp_path):
    given = external()
    before = picture(tmp_path)
    assert planned(node, given).changed
    assert picture(tmp_path) == before


@pytest.mark.parametrize("tool", ["certbot", "other"])
def test_the_options_are_roots_alone_and_the_rest_holds_no_secret(node, external, tmp_path, tool):
    install(node, external(tool))
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in hook_of(tmp_path, tool)]
    assert modes == [0o755 if tool == "certbot" else 0o644, 0o644, 0o644]
    assert stat.S_IMODE(os.stat(node.store("renewal", "public.json")).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(node.store("renewal", "renew.pyz")).st_mode) == 0o644
    with open(node.store("renewal", "renew.pyz"), "rb") as handle:
        assert handle.read() == _program.archive(_program.RENEWAL)


def test_a_later_run_has_the_tasks_options_installs_no_hook_and_leaves_trust(node, external):
    given = external("lego")
    install(node, given, accept=["other_host"], trust={"pins": []})
    kept = json.loads(read(node.store("renewal", "public.json")))
    assert kept["external"] == {**given, "hook": False}
    assert (kept["trust"], kept["task"], kept["accept"]) == (None, "a renewal by lego", ["other_host"])
    assert (kept["name"], kept["provider"], kept["config_dir"]) == ("public", "external", node.config_dir)


def test_a_renewal_takes_no_side_and_no_host_name_back_from_another_certificate(node, external):
    install(node, external(), use=["server"], sni=["mail.example.net"])
    kept = json.loads(read(node.store("renewal", "public.json")))
    assert (kept["use"], kept["withdraw"], kept["sni"]) == ([], [], None)


def test_the_secrets_of_other_providers_are_not_kept(node, external):
    install(node, external(), pem={"private_key": "-----BEGIN SECRET", "certificate": "/c", "passphrase": "hunter2"})
    assert "SECRET" not in read(node.store("renewal", "public.json"))
    assert "hunter2" not in read(node.store("renewal", "public.json"))


# certbot


def run_hook(path, lineage, node):
    """Run certbot's hook as certbot does; the program is one that leaves its arguments."""
    script = "import sys; open(sys.argv[0] + '.called', 'w').write(' '.join(sys.argv[1:]))\n"
    write(node.store("renewal", "renew.pyz"), script)
    subprocess.run([path], env={"RENEWED_LINEAGE": lineage}, check=True, timeout=30)
    called = node.store("renewal", "renew.pyz.called")
    return read(called) if os.path.exists(called) else None


@pytest.mark.parametrize("folder", ["letsencrypt/live/mx1", "it's/live/*.example", "a;b/live/mx-1"])
def test_certbots_hook_brings_in_its_own_lineage_and_no_other(node, external, tmp_path, folder):
    install(node, external(folder=folder))
    path = hook_of(tmp_path, "certbot", os.path.dirname(os.path.dirname(folder)))[0]
    assert run_hook(path, str(tmp_path / "letsencrypt/live/other"), node) is None
    assert run_hook(path, str(tmp_path / folder), node) == "public"


def test_certbots_hook_is_a_script_that_says_who_made_it(node, external, tmp_path):
    given = external()
    install(node, given)
    lineage = os.path.dirname(given["certificate"])
    assert read(hook_of(tmp_path, "certbot")[0]) == (
        "#!/bin/sh\n# Made by mailfleet.smtp_hardening.smtp_tls_cert.\n"
        f'[ "$RENEWED_LINEAGE" = {lineage} ] || exit 0\n'
        f"exec {shlex.quote(sys.executable)} -I -B {node.store('renewal', 'renew.pyz')} public\n"
    )


def test_certbot_needs_no_systemd(node, external, monkeypatch):
    monkeypatch.setattr(hooks, "SYSTEMD", "/nowhere")
    assert install(node, external()).unwatched is None
    assert systemctl(node) == []


def test_where_systemd_runs_what_certbot_could_not_bring_in_is_tried_again_by_a_timer(
    node, external, units, tmp_path, monkeypatch
):
    monkeypatch.setattr(hooks, "SYSTEMD", str(tmp_path))
    install(node, external())
    assert sorted(os.listdir(units)) == [f"{unit()}.service", f"{unit()}.timer"]
    assert systemctl(node)[1:] == [["enable", f"{unit()}.timer", f"{unit()}.service"], ["restart", f"{unit()}.timer"]]
    assert not planned(node, external()).changed
    plan = hooks.plan_no_hook(node.state, "public")
    hooks.install(node.postfix, node.state, "public", plan)
    assert os.listdir(units) == [] and not os.path.exists(hook_of(tmp_path, "certbot")[0])


@pytest.mark.parametrize("folder", ["letsencrypt/archive/mx1", "ssl", "live"])
def test_a_file_that_is_not_in_certbots_folder_live_is_refused(node, external, folder):
    given = external(folder=folder)
    with pytest.raises(InvalidValue) as refusal:
        planned(node, given)
    assert str(refusal.value) == (
        f"external.certificate: {given['certificate']!r} is not where certbot keeps certificates; give the file in certbot's "
        "folder live, as in /etc/letsencrypt/live/mx1.example.com/fullchain.pem."
    )


# systemd


@pytest.mark.parametrize("tool", WATCHED)
def test_systemd_watches_both_files_and_starts_the_program(node, external, units, tool):
    given = external(tool, "lego")
    install(node, given)
    path, service = (read(str(units / f"{unit()}.{kind}")) for kind in ("path", "service"))
    assert f"PathChanged={given['certificate']}\nPathChanged={given['private_key']}\n" in path
    program = node.store("renewal", "renew.pyz")
    assert f'Type=oneshot\nExecStart="{sys.executable}" "-I" "-B" "{program}" "public"\n' in service
    timer = read(str(units / f"{unit()}.timer"))
    wanted_by = "multi-user.target", "multi-user.target postfix.service", "timers.target"
    for text, wants in zip((path, service, timer), wanted_by):
        assert text.startswith("# Made by mailfleet.smtp_hardening.smtp_tls_cert.\n")
        assert f"[Install]\nWantedBy={wants}\n" in text
        assert f"the certificate public, renewed by {tool}," in text
    assert "[Timer]\nOnActiveSec=30s\nOnUnitInactiveSec=30s\n" in timer
    assert systemctl(node) == [
        ["daemon-reload"],
        ["enable", f"{unit()}.path", f"{unit()}.timer", f"{unit()}.service"],
        ["restart", f"{unit()}.path", f"{unit()}.timer"],
    ]


def test_a_percent_sign_in_a_path_is_no_specifier_of_systemd(node, external, units, tmp_path):
    install(node, external("other", "50%h"))
    assert f"PathChanged={tmp_path}/50%%h/fullchain.pem\n" in read(str(units / f"{unit()}.path"))


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        ("50%h", "50%%h"),
        ("a$HOME", "a$$HOME"),
        ("a\\tb", "a\\\\tb"),
        ('a"b', 'a\\"b'),
        ('\\"$', '\\\\\\"$$'),
        ("a b", "a b"),
    ],
)
def test_the_program_is_started_whatever_its_folder_is_called(
    external, units, tmp_path, monkeypatch, *, folder, written
):
    (tmp_path / folder).mkdir()
    node = FakePostfix(tmp_path / folder)
    monkeypatch.setitem(HERE, "config_dir", node.config_dir)
    install(node, external("other"))
    command = read(str(units / f"{unit()}.service")).partition("ExecStart=")[2].splitlines()[0]
    program = f"{tmp_path}/{written}/postfix/smtp_hardening/renewal/renew.pyz"
    assert command == f'"{sys.executable}" "-I" "-B" "{program}" "public"'


def test_a_renewal_is_brought_in_after_postfix_has_started(node, external, units):
    install(node, external("lego"))
    assert "\nAfter=postfix.service postfix@-.service\n" in read(str(units / f"{unit()}.service"))


def test_a_second_run_starts_no_unit(node, external):
    install(node, external("lego"))
    del node.commands[:]
    install(node, external("lego"))
    assert systemctl(node) == []


def test_a_service_alone_that_changes_restarts_no_unit_without_a_name(node, external, units, monkeypatch):
    install(node, external("lego"))
    del node.commands[:]
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3.99")
    plan = install(node, external("lego"))
    assert list(plan.write) == [str(units / f"{unit()}.service")]
    assert systemctl(node)[0] == ["daemon-reload"]
    assert all(len(words) > 1 for words in systemctl(node)[1:])


def test_a_systemctl_that_fails_is_quoted_with_what_to_do(node, external):
    node.systemctl_answer = Completed(1, "", "System has not been booted with systemd as init system\n")
    with pytest.raises(PostfixError) as failure:
        install(node, external("lego"))
    assert str(failure.value) == (
        "systemctl daemon-reload fails: System has not been booted with systemd as init system; the certificate is in place, "
        "but its renewals are not watched: put systemd right and run the task again, or set external.hook to false."
    )


def test_a_run_after_a_systemctl_that_failed_tries_again(node, external):
    node.systemctl_answer = Completed(1, "", "no bus")
    with pytest.raises(PostfixError):
        install(node, external("lego"))
    node.systemctl_answer = Completed(0, "", "")
    del node.commands[:]
    assert install(node, external("lego")).changed
    assert ["restart", f"{unit()}.path", f"{unit()}.timer"] in systemctl(node)


# What goes


@pytest.mark.parametrize("tool", ["certbot", "lego"])
@pytest.mark.parametrize("provider", ["self_signed", "csr", "own_ca", "pem", "pkcs12", "absent"])
def test_a_certificate_that_comes_from_elsewhere_now_has_no_hook_any_more(node, external, tmp_path, tool, provider):
    install(node, external(tool))
    last = write(node.store("renewal", "public.last.json"), "{}")
    del node.commands[:]
    if provider == "absent":
        plan = hooks.plan_no_hook(node.state, "public")
    else:
        given = {**SMALL, "private_key": "-----BEGIN ", "certificate": "-----BEGIN ", "archive": "MIIE"}
        plan = planned(node, {**given, "ca_certificate": "-----BEGIN "}, provider)
    assert sorted(plan.take_away) == sorted([last, node.store("renewal", "public.json"), *hook_of(tmp_path, tool)])
    hooks.install(node.postfix, node.state, "public", plan)
    assert not any(map(os.path.exists, plan.take_away))
    assert os.path.exists(node.store("renewal", "renew.pyz"))
    assert hooks.renewed_by(node.state, "public") is None
    kinds = ["timer", "service"] if tool == "certbot" else ["path", "timer", "service"]
    units = [["disable", "--now", *(f"{unit()}.{kind}" for kind in kinds)]]
    assert systemctl(node)[: len(units)] == units
    assert not hooks.plan_no_hook(node.state, "public").changed


def test_a_stored_certificate_that_becomes_active_keeps_its_hook(node, external):
    install(node, external())
    assert not planned(node, None, "stored", use=["server"]).changed


def test_another_tool_takes_the_place_of_the_one_that_was(node, external, tmp_path):
    install(node, external("lego", "letsencrypt/live/mx1"))
    plan = install(node, external("certbot"))
    path = hook_of(tmp_path, "lego")[0]
    assert plan.take_away == (path,)
    assert [entry["prepared"] for entry in plan.diff()] == [
        *(f"{path}: written, a hook for renewals\n" for path in plan.write),
        f"{path}: taken away, a hook for renewals\n",
    ]
    assert not any(map(os.path.exists, plan.take_away))
    assert hooks.renewed_by(node.state, "public") == "certbot"


def test_a_lineage_that_moved_takes_its_hook_along(node, external, tmp_path):
    install(node, external())
    plan = install(node, external(folder="certbot/live/mx1"))
    assert plan.take_away == (hook_of(tmp_path, "certbot")[0],)
    assert os.path.exists(hook_of(tmp_path, "certbot", "certbot")[0])


def test_a_hook_that_is_not_wanted_leaves_what_is_there(node, external):
    assert not planned(node, external(hook=False)).changed
    install(node, external())
    assert not planned(node, external(hook=False)).changed


def test_a_hook_of_one_certificate_is_none_of_anothers(node, external):
    install(node, external())
    plan = install(node, external(), name="private")
    assert node.store("renewal", "renew.pyz") not in plan.write
    assert not hooks.plan_no_hook(node.state, "other").changed
    assert hooks.renewed_by(node.state, "private") == hooks.renewed_by(node.state, "public") == "certbot"


def test_a_file_of_a_hook_that_was_lost_is_put_back(node, external, tmp_path):
    install(node, external())
    path = hook_of(tmp_path, "certbot")[0]
    os.unlink(path)
    assert list(install(node, external()).write) == [path]
