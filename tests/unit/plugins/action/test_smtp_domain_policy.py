# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import os
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.mailfleet.smtp_hardening.plugins.action import smtp_domain_policy as action
from ansible_collections.mailfleet.smtp_hardening.tests.unit.fake_postfix import write

NAME = "Route it"
SECRETS = [("default", VaultSecret(b"open sesame"))]
RECORDS = [{"name": "a.example", "level": "may"}, {"name": "b.example", "local": True}]
YAML = "- {name: a.example, level: may}\n- {name: b.example, local: true}\n"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the action in a playbook that lies in ``tmp_path``; what the node gets."""

    def go(args, secrets=None):
        calls = []

        def execute(self, module_args=None, task_vars=None, wrap_async=None):
            calls.append(module_args)
            return {"changed": True}

        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        if secrets:
            loader.set_vault_secrets(secrets)
        task = SimpleNamespace(
            args=args,
            async_val=0,
            check_mode=False,
            action="smtp_domain_policy",
            get_name=lambda: NAME,
            get_search_path=lambda: [str(tmp_path / "role"), str(tmp_path)],
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp"))
        monkeypatch.setattr(action.ActionModule, "_execute_module", execute)
        try:
            result = action.ActionModule(task, connection, None, loader, None, None).run(None, {})
        finally:
            loader.cleanup_all_tmp_files()
        assert result == {"changed": True}
        (call,) = calls
        return call

    return go


@pytest.mark.parametrize("args", [{}, {"domains": RECORDS}, {"domains": RECORDS, "src": None}, {"exclusive": True}])
def test_a_task_without_a_file_goes_to_the_node_as_it_is(run, args):
    assert run(args) == {"task": NAME, **args}


@pytest.mark.parametrize(
    ("name", "text", "records"),
    [
        ("domains.yml", YAML, RECORDS),
        ("domains.YAML", YAML, RECORDS),
        ("domains.json", '[{"name": "a.example"}]', [{"name": "a.example"}]),
        ("domains.csv", "\ufeffname,level\r\na.example,may\r\n", [{"name": "a.example", "level": "may"}]),
        (
            "domains.csv",
            'name,reason\n"a.example","Zürich\r\nBern"\n',
            [{"name": "a.example", "reason": "Zürich\r\nBern"}],
        ),
        ("domains.yml", "[]\n", []),
        ("v1.2.csv", "name\na.example\n", [{"name": "a.example"}]),
    ],
)
def test_the_node_gets_the_records_of_a_file(run, tmp_path, name, text, records):
    write(str(tmp_path / "files" / name), text)
    assert run({"src": name, "exclusive": True}) == {"task": NAME, "exclusive": True, "domains": records}


@pytest.mark.parametrize("folder", ["", "files", "role/files", "role"])
def test_a_file_is_found_as_those_of_a_role_are(run, tmp_path, folder):
    write(os.path.join(tmp_path, folder, "domains.yml"), YAML)
    assert run({"src": "domains.yml"})["domains"] == RECORDS


def test_a_file_may_be_named_by_its_whole_path(run, tmp_path):
    path = write(str(tmp_path / "elsewhere" / "domains.yml"), YAML)
    assert run({"src": path})["domains"] == RECORDS


def test_a_date_of_yaml_reaches_the_node_as_one(run, tmp_path):
    write(str(tmp_path / "domains.yml"), "- {name: a.example, expires: 2027-03-31}\n")
    assert str(run({"src": "domains.yml"})["domains"][0]["expires"]) == str(datetime.date(2027, 3, 31))


@pytest.mark.parametrize(("name", "text"), [("domains.yml", YAML), ("domains.csv", "name,level\na.example,may\n")])
def test_a_vaulted_file_is_opened_with_the_secrets_of_the_run(run, tmp_path, name, text):
    write(str(tmp_path / name), VaultLib(SECRETS).encrypt(text))
    assert run({"src": name}, SECRETS)["domains"][0] == {"name": "a.example", "level": "may"}


@pytest.mark.parametrize("secrets", [None, [("default", VaultSecret(b"wrong"))]])
def test_a_vaulted_file_that_cannot_be_opened_is_named(run, tmp_path, secrets):
    write(str(tmp_path / "domains.yml"), VaultLib(SECRETS).encrypt(YAML))
    with pytest.raises(AnsibleActionFail, match="^src: 'domains.yml' cannot be read: "):
        run({"src": "domains.yml"}, secrets)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("domains.txt", "", "the suffix '.txt' is not known; name it .yml, .yaml, .json or .csv"),
        ("domains", "", "the suffix '' is not known; name it .yml, .yaml, .json or .csv"),
        ("domains.yml", "a: 1\n", "it does not hold a list of records; begin each with '- name:'"),
        ("domains.csv", "a\n", "its first row has no column 'name' (commas part columns)"),
        ("domains.csv", "name,level\na\n", "line 2 has not as many cells as the first row"),
        ("domains.yml", b"- name: \xff\n", "'utf-8' codec can't decode byte 0xff in position 8: invalid start byte"),
    ],
)
def test_a_file_without_records_is_refused_with_its_name_and_the_reason(run, tmp_path, name, content, problem):
    write(str(tmp_path / name), content)
    with pytest.raises(AnsibleActionFail) as refusal:
        run({"src": name})
    assert str(refusal.value).startswith(f"src: {name!r} cannot be read: {problem}")


@pytest.mark.parametrize("name", ["missing.yml", "/nowhere/domains.yml", ""])
def test_a_file_that_is_not_there_is_named(run, name):
    with pytest.raises(AnsibleActionFail, match=f"^src: '{name}' cannot be read: "):
        run({"src": name})


def test_a_folder_is_no_file(run, tmp_path):
    (tmp_path / "domains.yml").mkdir()
    with pytest.raises(AnsibleActionFail, match=r"^src: 'domains.yml' cannot be read: "):
        run({"src": "domains.yml"})


@pytest.mark.parametrize("src", [5, True, ["domains.yml"], {"name": "domains.yml"}])
def test_a_name_that_is_no_text_is_refused_and_no_crash(run, src):
    with pytest.raises(AnsibleActionFail):
        run({"src": src})


@pytest.mark.parametrize("domains", [RECORDS, []])
def test_records_stand_in_one_place(run, tmp_path, domains):
    write(str(tmp_path / "domains.yml"), YAML)
    with pytest.raises(AnsibleActionFail) as refusal:
        run({"src": "domains.yml", "domains": domains})
    assert str(refusal.value).startswith("src and domains exclude each other; keep the records in one place.")


def test_a_huge_table_is_read_or_refused_but_no_crash(run, tmp_path):
    write(str(tmp_path / "domains.csv"), f"name,reason\na.example,{'x' * 200_000}\n")
    with pytest.raises(AnsibleActionFail, match="^src: 'domains.csv' cannot be read: "):
        run({"src": "domains.csv"})
