# SPDX-License-Identifier: GPL-3.0-or-later
"""What another tool renews goes live, however its files change, and whatever Postfix does meanwhile."""

import os
import shutil
import time

import pytest
from conftest import STORE, sh, start, succeed
from pems import Authority, key

PLACES = ["/root/tool", "/dev/shm/tool"]
"""In the container's overlay, and in a tmpfs."""


def wait_for(condition, seconds=100):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as handle:
        handle.write(content)


def in_place(folder, _turn, pair):
    for name, content in pair.items():
        write(f"{folder}/{name}", content)


def renamed(folder, _turn, pair):
    for name, content in pair.items():
        write(f"{folder}/{name}.new", content)
        os.replace(f"{folder}/{name}.new", f"{folder}/{name}")


def relinked(folder, turn, pair):
    """As dehydrated keeps its files."""
    for name, content in pair.items():
        write(f"{folder}/{turn}-{name}", content)
        os.path.lexists(f"{folder}/{name}") and os.unlink(f"{folder}/{name}")
        os.symlink(f"{turn}-{name}", f"{folder}/{name}")


def switched(folder, turn, pair):
    """A folder for each renewal, and a link to the one that counts."""
    in_place(f"{os.path.dirname(folder)}/{turn}-switched", turn, pair)
    os.path.lexists(folder) and os.unlink(folder)
    os.symlink(f"{turn}-switched", folder)


WAYS = [in_place, renamed, relinked, switched]


@pytest.fixture
def tool(tmp_path):
    """A tool that has put its pairs into folders, and the module that has taken each of them."""
    authority = Authority(tmp_path)
    names = []

    def made(usage="serverAuth,clientAuth"):
        private = key()
        return {"mx.key": private, "mx.pem": authority.issue(private, usage=usage)}

    def install(name, folder, **over):
        names.append(name)
        external = {"tool": "other", "private_key": f"{folder}/mx.key", "certificate": f"{folder}/mx.pem"}
        succeed("smtp_tls_cert", name=name, provider="external", external=external, accept=["incomplete_chain"], **over)

    made.install = install
    yield made
    for name in names:
        unit = f"smtp-hardening-etc-postfix-{name}"
        for kind in ("path", "timer", "service"):
            sh("systemctl", "disable", "--now", f"{unit}.{kind}", check=False)
            os.unlink(f"/etc/systemd/system/{unit}.{kind}")
    sh("systemctl", "daemon-reload")
    for place in PLACES:
        shutil.rmtree(place, ignore_errors=True)


def stored(name):
    """The newest chain file of a certificate."""
    folder = f"{STORE}/certificates/{name}"
    newest = max(os.listdir(folder), key=lambda entry: int(entry.partition(".")[0]))
    with open(f"{folder}/{newest}") as handle:
        return handle.read()


def test_a_renewal_is_noticed_however_the_files_are_replaced(tool):
    places = [PLACES[number % 2] for number in range(len(WAYS))]
    folders = {way.__name__: (way, f"{place}/{way.__name__}") for way, place in zip(WAYS, places)}
    for name, (way, folder) in folders.items():
        way(folder, 1, tool())
        tool.install(name, folder)
    renewed = {name: tool() for name in folders}
    for name, (way, folder) in folders.items():
        way(folder, 2, {"mx.key": renewed[name]["mx.key"]})
        if way is switched:
            way(folder, 3, renewed[name])
        else:
            way(folder, 2, {"mx.pem": renewed[name]["mx.pem"]})
    wait_for(lambda: all(pair["mx.pem"].strip() in stored(name) for name, pair in renewed.items()))


def test_a_renewal_while_postfix_is_stopped_goes_live_when_it_starts_and_until_then_is_seen(tool):
    folder = f"{PLACES[0]}/stopped"
    in_place(folder, 1, tool())
    tool.install("stopped", folder, use=["server"])
    sh("systemctl", "stop", "postfix")
    try:
        pair = tool()
        in_place(folder, 2, pair)
        wait_for(lambda: told()["problem"])
        assert "is not running" in told()["problem"] and "problem" in str(succeed("smtp_tls_info")["findings"])
        assert sh("systemctl", "is-failed", "smtp-hardening-etc-postfix-stopped.service", check=False) != "failed\n"
    finally:
        begun = time.monotonic()
        start()
    wait_for(lambda: pair["mx.pem"].strip() in stored("stopped"), 20)
    wait_for(lambda: told()["problem"] is None, 20)
    assert time.monotonic() - begun < 25


def told():
    return succeed("smtp_tls_info")["certificates"]["stopped"]["renewal"] or {"problem": None}


def test_the_side_that_a_renewal_fits_is_renewed_alone_and_the_journal_says_until_when_the_other_lasts(tool):
    folder = f"{PLACES[0]}/both"
    in_place(folder, 1, tool())
    tool.install("both", folder, use=["server", "client"])
    before = sh("postconf", "-h", "smtp_tls_chain_files")
    in_place(folder, 2, tool("serverAuth"))
    wait_for(lambda: sh("postconf", "-h", "smtpd_tls_chain_files") != before)
    assert sh("postconf", "-h", "smtp_tls_chain_files") == before
    unit = "smtp-hardening-etc-postfix-both"
    wait_for(
        lambda: (
            "so the client side keeps the one before, which has 2" in sh("journalctl", "-u", unit, "--since", "-2min")
        )
    )
