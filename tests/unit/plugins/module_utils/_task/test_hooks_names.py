# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hook is called, which Python it names, and what becomes of one under its former name."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._postfix.commands import Completed, Postfix
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._providers.registry import read_task
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._task import hooks
from ansible_collections.mailfleet.smtp_hardening.tests.unit.certificate_tasks import task
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import FakePostfix, read, write


@pytest.fixture(autouse=True)
def units(monkeypatch, tmp_path):
    folder = tmp_path / "systemd"
    folder.mkdir()
    monkeypatch.setattr(hooks, "UNITS", str(folder))
    monkeypatch.setattr(hooks, "PYTHON", "/nowhere/python3")
    return folder


@pytest.fixture
def at(tmp_path):
    """A Postfix instance whose configuration directory has this name."""

    def made(name):
        root = tmp_path / "nodes" / str(len(list(tmp_path.glob("nodes/*"))))
        root.mkdir(parents=True)
        node = FakePostfix(root)
        os.makedirs(tmp_path / "etc", exist_ok=True)
        node.config_dir = shutil.move(node.config_dir, str(tmp_path / "etc" / name))
        return node

    return made


def planned(node, name, tool="other", run=None):
    live = "/etc/letsencrypt/live/mx" if not isinstance(tool, tuple) else tool[1]
    tool = tool if isinstance(tool, str) else tool[0]
    files = {"private_key": f"{live}/privkey.pem", "certificate": f"{live}/fullchain.pem"}
    options = task("external", {"tool": tool, "hook": True, **files}, name=name, config_dir=node.config_dir)
    postfix = Postfix(run or node.run, node.config_dir)
    asked = read_task(options, "mx1.example.com", lambda _option, _path: b"-----BEGIN")
    return hooks.plan_hook(postfix, node.state, asked, options)


def install(node, name, tool="other"):
    plan = planned(node, name, tool)
    hooks.install(node.postfix, node.state, name, plan)
    return plan


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("postfix-a", "b"), ("postfix", "a-b")),
        (("postfix-a", "b"), ("postfix/a", "b")),
        (("postfix/a", "b-c"), ("postfix/a-b", "c")),
        (("postfix\\x2da", "b"), ("postfix-a", "b")),
        (("p" * 120 + "/" + "p" * 120, "b"), ("p" * 120 + "/" + "p" * 120, "c")),
        (("postfix/" + "ü" * 80, "b"), ("postfix/" + "ü" * 79, "b")),
    ],
)
def test_no_two_instances_and_certificates_have_the_same_units(node, one, other):
    names = set()
    for folder, name in (one, other):
        state = node.state.__class__(**{**node.state.__dict__, "config_dir": f"/etc/{folder}"})
        names.add(hooks._unit(state, name))
        assert len(f"{hooks._unit(state, name)}.service") <= 255
    assert len(names) == 2


def test_the_name_of_a_common_instance_stays_as_it_was(node):
    state = node.state.__class__(**{**node.state.__dict__, "config_dir": "/etc/postfix/"})
    assert hooks._unit(state, "renewed") == "smtp-hardening-etc-postfix-renewed"


@pytest.mark.skipif(not shutil.which("systemd-escape"), reason="no systemd here")
@pytest.mark.parametrize("path", ["/etc/postfix-a", "/etc/.p o%st/fix\\", "/etc/pöst:fix", "/srv//x/"])
def test_names_are_escaped_as_systemd_escape_does(node, path):
    escaped = subprocess.run(["systemd-escape", "--path", path], check=True, stdout=subprocess.PIPE, timeout=30).stdout
    state = node.state.__class__(**{**node.state.__dict__, "config_dir": path})
    assert hooks._unit(state, "a") == f"smtp-hardening-{escaped.decode().strip()}-a"


def test_what_certbot_starts_by_a_shell_has_a_name_that_a_shell_leaves_alone(at, tmp_path):
    node, live = at("post fix-a"), f"{tmp_path}/live/mx"
    install(node, "mx-1", ("certbot", live))
    (hook,) = os.listdir(tmp_path / "renewal-hooks" / "deploy")
    path = f"{tmp_path}/renewal-hooks/deploy/{hook}"
    write(node.store("renewal", "renew.pyz"), "import sys\nprint(sys.argv[1:])\n")
    done = subprocess.run(
        ["/bin/sh", "-c", path], env={"RENEWED_LINEAGE": live}, stdout=subprocess.PIPE, check=True, timeout=60
    )
    assert done.stdout == b"['mx-1']\n"


# Under the former name


def former(node, name, tool="other"):
    """Leave a hook as it was left under the former name."""
    install(node, name, tool)
    old, new = hooks._former_unit(node.state, name), hooks._unit(node.state, name)
    for path in list(hooks._installed(node.state, name))[:-1]:
        base = os.path.basename(path).replace(new, old).replace(new.replace("\\", "%"), old)
        os.rename(path, os.path.join(os.path.dirname(path), base))
    del node.commands[:]


@pytest.mark.parametrize("tool", ["other", "certbot"])
def test_a_hook_under_its_former_name_is_taken_over_once(at, units, tmp_path, tool):
    node = at("postfix-a")
    given = (tool, f"{tmp_path}/live/mx")
    former(node, "mx", given)
    folder = units if tool == "other" else tmp_path / "renewal-hooks" / "deploy"
    before = set(os.listdir(folder))
    plan = install(node, "mx", given)
    assert before <= {os.path.basename(path) for path in plan.take_away}
    assert len(os.listdir(folder)) == len(before) and not before & set(os.listdir(folder))
    if tool == "other":
        assert node.commands[-5][1:3] == ["disable", "--now"]
    assert not planned(node, "mx", given).changed


@pytest.mark.parametrize("tool", ["other", "certbot"])
def test_a_hook_under_its_former_name_goes_with_its_certificate(at, units, tmp_path, tool):
    node = at("postfix-a")
    given = (tool, f"{tmp_path}/live/mx")
    former(node, "mx", given)
    plan = hooks.plan_no_hook(node.state, "mx")
    hooks.install(node.postfix, node.state, "mx", plan)
    folder = units if tool == "other" else tmp_path / "renewal-hooks" / "deploy"
    assert os.listdir(folder) == []
    assert not hooks.plan_no_hook(node.state, "mx").changed


def test_a_hook_of_another_instance_that_bears_our_former_name_stays(at, units):
    """It wrote last, and ours went then."""
    ours, other = at("postfix"), at("postfix-a")
    install(ours, "a-b")
    for name in os.listdir(units):
        os.unlink(units / name)
    former(other, "b")
    left = {name: read(str(units / name)) for name in os.listdir(units)}
    assert install(ours, "a-b").take_away == ()
    assert left.items() <= {name: read(str(units / name)) for name in os.listdir(units)}.items()


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"external": {}}', '{"external": null}'])
def test_kept_options_that_cannot_be_read_stand_in_nobodys_way(at, units, content):
    node = at("postfix")
    install(node, "mx")
    write(node.store("renewal", "mx.json"), content)
    assert hooks.renewed_by(node.state, "mx") is None
    plan = hooks.plan_no_hook(node.state, "mx")
    hooks.install(node.postfix, node.state, "mx", plan)
    assert os.listdir(units) == [] and not os.path.exists(node.store("renewal", "mx.json"))


# What starts it


@pytest.fixture
def started(units, at, monkeypatch):
    """The words of ExecStart where the node's own Python is there or not, and has the library or not."""

    def made(there, rc):
        node, own, asked = at("postfix"), sys.executable, []

        def run(argv, stdin=None):
            if argv[0] == own:
                asked.append(argv[1:])
                return Completed(rc, "", "")
            return node.run(argv, stdin)

        if there:
            monkeypatch.setattr(hooks, "PYTHON", own)
        monkeypatch.setattr(hooks.sys, "executable", "/usr/bin/python3.99")
        plan = planned(node, "mx", run=run)
        service = plan.write[str(units / f"{hooks._unit(node.state, 'mx')}.service")].content.decode()
        return shlex.split(service.partition("ExecStart=")[2].splitlines()[0])[0], asked

    return made


def test_a_hook_names_the_python_that_outlives_an_upgrade_where_that_has_what_it_needs(started):
    own = sys.executable
    assert started(True, 0) == (own, [["-I", "-c", "import cryptography.x509"]])


@pytest.mark.parametrize(("there", "rc"), [(True, 1), (False, 0)])
def test_a_hook_names_the_python_that_runs_where_the_nodes_own_will_not_do(started, there, rc):
    assert started(there, rc)[0] == "/usr/bin/python3.99"


def test_the_unit_keeps_the_key_out_of_cores_and_ends(at, units):
    node = at('post%fix "a$')
    install(node, "mx")
    service = read(str(units / f"{hooks._unit(node.state, 'mx')}.service")).splitlines()
    assert {"LimitCORE=0", "TimeoutStartSec=30min", "StartLimitIntervalSec=0", "ProtectSystem=yes"} <= set(service)
    path = node.config_dir.replace("%", "%%").replace('"', '\\"')
    assert f'ReadWritePaths="{path}"' in service


def test_a_run_of_the_program_is_told_nothing_by_a_tools_environment(at, tmp_path):
    node, live = at("postfix"), f"{tmp_path}/live/mx"
    install(node, "mx", ("certbot", live))
    (hook,) = os.listdir(tmp_path / "renewal-hooks" / "deploy")
    write(f"{tmp_path}/evil/json.py", "raise SystemExit('evil')\n")
    write(node.store("renewal", "renew.pyz"), "import json\nprint(json.dumps(1))\n")
    done = subprocess.run(
        [f"{tmp_path}/renewal-hooks/deploy/{hook}"],
        env={"RENEWED_LINEAGE": live, "PYTHONPATH": f"{tmp_path}/evil"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == 1
