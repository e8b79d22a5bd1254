# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.domains import read_domains
from ansible_collections.mailfleet.smtp_hardening.plugins.modules.smtp_domain_policy import DOMAIN_ARGUMENTS
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils import _record_file
from ansible_collections.mailfleet.smtp_hardening.plugins.plugin_utils._record_file import read_records
from ansible_collections.mailfleet.smtp_hardening.tests.unit.domain_tasks import PINS

BOM = "\ufeff"


@pytest.mark.parametrize("suffix", [".yml", ".yaml", ".json", ".YML"])
def test_json_is_read_whatever_the_suffix_calls_it(suffix):
    text = '[{"name": "a.example", "local": true}, {"name": "b.example", "match": ["c", "d"], "level": null}]\n'
    assert read_records(suffix, text) == [
        {"name": "a.example", "local": True},
        {"name": "b.example", "match": ["c", "d"], "level": None},
    ]


@pytest.mark.parametrize("suffix", [".yml", ".json"])
def test_a_mark_of_the_byte_order_is_no_part_of_the_records(suffix):
    assert read_records(suffix, BOM + '[{"name": "a.example"}]') == [{"name": "a.example"}]


@pytest.mark.parametrize(
    "text",
    [
        '[\n\t{\n\t\t"name": "a.example",\n\t\t"reason": "x"\n\t}\n]\n',
        '[{"name":"a.example","reason":"x"}]',
        '[{"name": "a.example", "reason": "\\u0078"}]',
    ],
)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_json_may_be_laid_out_as_json_allows(monkeypatch, text, loader):
    """PyYAML has the first one only where it was built with LibYAML."""
    monkeypatch.setattr(_record_file, "_LOADER", getattr(yaml, loader))
    assert read_records(".json", text) == [{"name": "a.example", "reason": "x"}]


@pytest.mark.parametrize(("escaped", "text"), [("\\ud83d\\ude00", "\U0001f600"), ("a\\/b", "a/b"), ("\\u00fc", "ü")])
def test_json_may_escape_what_it_likes(escaped, text):
    assert read_records(".json", f'[{{"name": "a.example", "reason": "{escaped}"}}]')[0]["reason"] == text


def test_yaml_keeps_its_types():
    text = """
    # who and what
    - name: a.example
      subdomains: yes
      expires: 2027-03-31
      incoming:
        pins: [X, Y]
    - {name: b.example, owner: "", reason: ~}
    """
    assert read_records(".yml", text) == [
        {
            "name": "a.example",
            "subdomains": True,
            "expires": datetime.date(2027, 3, 31),
            "incoming": {"pins": ["X", "Y"]},
        },
        {"name": "b.example", "owner": "", "reason": None},
    ]
    assert read_records(".yml", "[]") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "name: a.example\n",
        "- a.example\n",
        "- {name: a.example}\n- b.example\n",
        "a.example",
        "1",
        "- - a\n",
        "null",
    ],
)
def test_what_is_no_list_of_records_is_refused(text):
    with pytest.raises(ValueError) as refusal:
        read_records(".yml", text)
    assert str(refusal.value) == "it does not hold a list of records; begin each with '- name:'"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("- {name: [}\n", "line 1, column 11"),
        ("- name: a\n bad\n", "line 2"),
        ("- name: !vault |\n    $ANSIBLE_VAULT\n", "!vault"),
        ("- name: !!python/object/apply:os.system [id]\n", "python/object"),
        ("- {name: a}\n---\n- {name: b}\n", "another document"),
        ("- name: a\x07\n", "control characters"),
        ("- name: a\n  expires: 2027-13-45\n", "month"),
        ("- ? [a]\n  : b\n", "unhashable"),
        ("- name: *unknown\n", "undefined alias"),
    ],
)
def test_broken_yaml_is_told_in_one_line(text, part):
    with pytest.raises(ValueError) as refusal:
        read_records(".yml", text)
    assert part in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("suffix", ["", ".txt", ".xlsx", ".j2"])
def test_a_file_of_another_kind_is_refused_by_its_suffix(suffix):
    with pytest.raises(ValueError) as refusal:
        read_records(suffix, "[]")
    assert str(refusal.value) == f"the suffix {suffix!r} is not known; name it .yml, .yaml, .json or .csv"


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("name\n", []),
        ("name\na.example\n", [{"name": "a.example"}]),
        ("name\r\na.example\r\nb.example", [{"name": "a.example"}, {"name": "b.example"}]),
        (f"{BOM}name,level\na.example,may\n", [{"name": "a.example", "level": "may"}]),
        (f'{BOM}"name","level"\n"a.example","may"\n', [{"name": "a.example", "level": "may"}]),
        ("name,level,route\na.example,,\n", [{"name": "a.example"}]),
        ("name,level,route\na.example, , [mx.example] \n", [{"name": "a.example", "route": "[mx.example]"}]),
        ("level,name\nmay,a.example\n", [{"level": "may", "name": "a.example"}]),
        ("name, level\na.example,may\n", [{"name": "a.example", "level": "may"}]),
        ("name,match\na.example,b  c\td\n", [{"name": "a.example", "match": ["b", "c", "d"]}]),
        ("name,match\na.example,b\n", [{"name": "a.example", "match": ["b"]}]),
        ('name,match\na.example,"b\nc"\n', [{"name": "a.example", "match": ["b", "c"]}]),
        ('name,reason\na.example,"one, ""two"""\n', [{"name": "a.example", "reason": 'one, "two"'}]),
        ("name\n\na.example\n\n", [{"name": "a.example"}]),
        (" name ,level \na.example,may\n", [{"name": "a.example", "level": "may"}]),
        ("name,level\ra.example,may\r", [{"name": "a.example", "level": "may"}]),
        (
            "name,incoming.level,incoming.pins,incoming.client_certificates\na.example,encrypt,P Q,\nb.example,,,\n",
            [{"name": "a.example", "incoming": {"level": "encrypt", "pins": ["P", "Q"]}}, {"name": "b.example"}],
        ),
        ("name,,level\na.example,,may\n", [{"name": "a.example", "level": "may"}]),
    ],
)
def test_a_row_is_a_record_and_an_empty_cell_leaves_an_option_out(text, records):
    assert read_records(".csv", text) == records


@pytest.mark.parametrize(
    "text", ["", "\n", "domain,level\na.example,may\n", "name;level\na.example;may\n", "Name\na\n"]
)
def test_the_first_row_must_name_the_names(text):
    with pytest.raises(ValueError) as refusal:
        read_records(".csv", text)
    assert str(refusal.value) == "its first row has no column 'name' (commas part columns)"


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("name,level\na.example\n", 2),
        ("name,level\na.example,may,\n", 2),
        ("name,level\na.example,may\nb.example,may,x\n", 3),
        ("name,level\na.example,may\n \n", 3),
        ("name\na.example\nb.example,secure\n", 3),
        ("name,level\n\n\na.example\n", 4),
        ('name,reason\na.example,"one\ntwo"\nb.example\n', 4),
    ],
)
def test_a_row_that_is_too_short_or_too_long_is_named(text, row):
    with pytest.raises(ValueError) as refusal:
        read_records(".csv", text)
    assert str(refusal.value) == f"line {row} has not as many cells as the first row"


@pytest.mark.parametrize(
    "text",
    ["name,incoming,incoming.level\na.example,x,encrypt\n", "name,level,level\na.example,secure,none\n"],
    ids=["an option and its suboption", "a column twice"],
)
def test_columns_that_contradict_each_other_are_refused(text):
    with pytest.raises(ValueError):
        read_records(".csv", text)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("name,level\ra.example,may\r", {"name": "a.example", "level": "may"}),
        (f"name,reason\na.example,{'x' * 200_000}\n", {"name": "a.example", "reason": "x" * 200_000}),
    ],
    ids=["line ends of old", "a huge cell"],
)
def test_what_the_csv_reader_does_not_like_is_read_or_refused_and_no_crash(text, record):
    try:
        assert read_records(".csv", text) == [record]
    except ValueError as refusal:
        assert str(refusal)


def test_rows_without_any_cell_filled_are_passed_over():
    """Spreadsheets export them below the last record."""
    assert read_records(".csv", "name,level\na.example,may\n,\n,\n") == [{"name": "a.example", "level": "may"}]


def test_all_options_of_a_record_fit_into_a_row_and_mean_what_they_mean_in_a_task():
    columns = {
        "name": "a.example",
        "state": "present",
        "subdomains": "yes",
        "level": "secure",
        "match": "mx.a.example .b.example",
        "minimum_protocol": "TLSv1.2",
        "ciphers": "high",
        "servername": "nexthop",
        "route": "[2001:db8::25]:26",
        "implicit_tls": "yes",
        "local": "true",
        "incoming.level": "encrypt",
        "incoming.client_certificates": "require",
        "incoming.pins": " ".join(PINS[:2]),
        "mode": "testing",
        "expires": "2027-03-31",
        "owner": "mail team",
        "reason": '"because, so"',
    }
    text = f"{','.join(columns)}\n{','.join(columns.values())}\n"
    spec = {"domains": {"type": "list", "elements": "dict", "options": DOMAIN_ARGUMENTS}}
    checked = ArgumentSpecValidator(spec).validate({"domains": read_records(".csv", text)})
    assert checked.error_messages == []
    ((policy,), absent) = read_domains(checked.validated_parameters["domains"])
    assert absent == []
    assert policy.as_facts() == {
        "name": "a.example",
        "subdomains": True,
        "level": "secure",
        "match": ["mx.a.example", ".b.example"],
        "minimum_protocol": "TLSv1.2",
        "ciphers": "high",
        "servername": "nexthop",
        "requiretls": None,
        "route": "smtps:[ipv6:2001:db8::25]:26",
        "implicit_tls": True,
        "local": True,
        "incoming": {"level": "encrypt", "client_certificates": "require", "pins": PINS[:2]},
        "mode": "testing",
        "expires": "2027-03-31",
        "owner": "mail team",
        "reason": "because, so",
    }


def test_a_file_that_holds_something_else_is_not_repeated():
    with pytest.raises(ValueError, match=r"^line 3, column 1: ") as refusal:
        read_records(".yml", "- name: x\n  route: 'ok'\nS3cr3tLine: [\n")
    assert "S3cr3tLine" not in str(refusal.value)
