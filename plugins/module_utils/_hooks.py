# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets the tool that renews a certificate on the node bring the renewal in, without a run from the controller.

certbot calls what lies in its renewal-hooks; other tools' files are watched by a systemd path unit
(systemd.path(5)). Both start the program in ``smtp_hardening/renewal/``, which is this collection's
own code in one archive: the node needs python3 and python3-cryptography, and no Ansible.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import Dict, Iterable, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import _program
from ._edge import Facts, Options
from ._errors import InvalidValue, PostfixError
from ._model.certificates import PROVIDERS, CertificateWish, External
from ._postfix.commands import Postfix
from ._postfix.plan import Diff
from ._postfix.state import State
from ._transaction.change import put_beside, take_away

UNITS = "/etc/systemd/system"
_HEAD = "# Made by mailfleet.smtp_hardening.smtp_tls_cert.\n"


class HookFile(NamedTuple):
    content: bytes
    mode: int


class HookPlan(NamedTuple):
    """What differs on the node. Empty: nothing to do."""

    write: Mapping[str, HookFile]
    take_away: Tuple[str, ...]
    units: Tuple[str, ...] = ()
    """What systemd is to watch, and to start at boot."""

    @property
    def changed(self) -> bool:
        return bool(self.write or self.take_away)

    def diff(self) -> Diff:
        """The files' names say enough."""
        written = [{"prepared": f"{path}: written, a hook for renewals\n"} for path in self.write]
        return written + [{"prepared": f"{path}: taken away, a hook for renewals\n"} for path in self.take_away]


def plan_hook(state: State, wish: CertificateWish, options: Options) -> HookPlan:
    """Have a hook for a certificate that another tool renews, and none for any other. Writes nothing."""
    if wish.provider == "stored":
        return HookPlan({}, ())
    if wish.external is None:
        return plan_no_hook(state, wish.name)
    if not options["external"]["hook"]:
        return HookPlan({}, ())
    wanted = _files(state, wish, wish.external, options)
    different = {path: new for path, new in wanted.items() if _read(path) != new.content}
    units = tuple(os.path.basename(path) for path in wanted if path.startswith(UNITS))
    obsolete = tuple(path for path in _installed(state, wish.name) if path not in wanted)
    return HookPlan(different, obsolete, units if different else ())


def plan_no_hook(state: State, name: str) -> HookPlan:
    """Take the hook of a certificate away, where it has one."""
    return HookPlan({}, _installed(state, name))


def install(postfix: Postfix, state: State, name: str, plan: HookPlan) -> None:
    """Make the plan come true, units started and stopped. The options come last: where they are, all else is done."""
    _stop(postfix, plan.take_away)
    take_away(plan.take_away)
    last = _options_path(state, name)
    for path, new in plan.write.items():
        if path != last:
            put_beside(path, new.content, new.mode)
    _start(postfix, plan.units)
    if last in plan.write:
        put_beside(last, plan.write[last].content, plan.write[last].mode)


def renewed_by(state: State, name: str) -> Optional[str]:
    """The tool that renews a certificate on this node."""
    content = _read(_options_path(state, name))
    return _external(content).tool if content else None


def _files(state: State, wish: CertificateWish, external: External, options: Options) -> Dict[str, HookFile]:
    command = [sys.executable or "/usr/bin/python3", "-B", _program_path(state), wish.name]
    files = {
        _program_path(state): HookFile(_program.archive(), 0o644),
        _options_path(state, wish.name): HookFile(_kept_options(options, external), 0o600),
    }
    if external.tool == "certbot":
        path, content = _certbot_hook(state, wish.name, external, command)
        files[path] = HookFile(content, 0o755)
    else:
        for kind, text in _units(wish.name, external, command).items():
            files[f"{UNITS}/{_unit(state, wish.name)}.{kind}"] = HookFile(text.encode(), 0o644)
    return files


def _kept_options(options: Options, external: External) -> bytes:
    """What a renewal needs of the task's options. What is active, served and trusted stays what it is then."""
    kept = {**options, **dict.fromkeys(PROVIDERS[:-1]), "task": f"a renewal by {external.tool}"}
    kept.update(use=[], withdraw=[], sni=None, trust=None)
    kept["external"] = {**options["external"], "hook": False}
    return json.dumps(kept, indent=1, sort_keys=True).encode() + b"\n"


def _certbot_hook(state: State, name: str, external: External, command: Sequence[str]) -> Tuple[str, bytes]:
    """certbot runs every file there after a renewal, with the lineage in the environment."""
    lineage = os.path.dirname(external.certificate)
    live, _slash, _name = lineage.rpartition("/")
    if os.path.basename(live) != "live":
        raise InvalidValue(
            "external.certificate",
            external.certificate,
            "is not where certbot keeps certificates",
            "give the file in certbot's folder live, as in /etc/letsencrypt/live/mx1.example.com/fullchain.pem",
        )
    script = (
        f"#!/bin/sh\n{_HEAD}"
        f'[ "$RENEWED_LINEAGE" = {shlex.quote(lineage)} ] || exit 0\n'
        f"exec {' '.join(map(shlex.quote, command))}\n"
    )
    return os.path.join(os.path.dirname(live), "renewal-hooks", "deploy", _unit(state, name)), script.encode()


def _units(name: str, external: External, command: Sequence[str]) -> Dict[str, str]:
    what = f"the certificate {name}, renewed by {external.tool},"
    paths = "".join(f"PathChanged={_escaped(path)}\n" for path in (external.certificate, external.private_key))
    return {
        "path": (
            f"{_HEAD}[Unit]\nDescription=Watch {what} for Postfix\n\n[Path]\n{paths}\n"
            "[Install]\nWantedBy=multi-user.target\n"
        ),
        # Enabled too: a renewal may have come while nobody watched.
        "service": (
            f"{_HEAD}[Unit]\nDescription=Bring {what} into Postfix\nAfter=postfix.service\n\n"
            f"[Service]\nType=oneshot\nExecStart={' '.join(map(_quoted, command))}\n\n"
            "[Install]\nWantedBy=multi-user.target\n"
        ),
    }


def _escaped(word: str) -> str:
    """As systemd.syntax(7) reads it."""
    return word.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command line (systemd.service(5))."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def _external(content: bytes) -> External:
    """Of which files the kept options speak."""
    found: Facts = json.loads(content)["external"]
    return External(found["tool"], found["private_key"], found["certificate"])


def _installed(state: State, name: str) -> Tuple[str, ...]:
    """The files of a certificate's hook that are there; not the program, which all share."""
    content = _read(_options_path(state, name))
    if content is None:
        return ()
    external = _external(content)
    paths = [f"{UNITS}/{_unit(state, name)}.{kind}" for kind in ("path", "service")]
    if external.tool == "certbot":
        paths = [_certbot_hook(state, name, external, [])[0]]
    return (*(path for path in paths if os.path.exists(path)), _options_path(state, name))


def _start(postfix: Postfix, units: Sequence[str]) -> None:
    if units:
        _systemctl(postfix, "daemon-reload")
        _systemctl(postfix, "enable", *units)
        _systemctl(postfix, "restart", *(unit for unit in units if unit.endswith(".path")))


def _stop(postfix: Postfix, paths: Iterable[str]) -> None:
    units = [os.path.basename(path) for path in paths if path.startswith(UNITS)]
    if units:
        _systemctl(postfix, "disable", "--now", *units)


def _systemctl(postfix: Postfix, *words: str) -> None:
    done = postfix.run(["systemctl", *words])
    if done.rc:
        raise PostfixError(
            f"systemctl {' '.join(words)} fails: {done.stderr.strip()}; the certificate is in place, but its renewals are not "
            "watched: put systemd right and run the task again, or set external.hook to false."
        )


def _unit(state: State, name: str) -> str:
    return f"smtp-hardening-{state.config_dir.strip('/').replace('/', '-')}-{name}"


def _program_path(state: State) -> str:
    return os.path.join(state.store, "renewal", "renew.pyz")


def _options_path(state: State, name: str) -> str:
    return os.path.join(state.store, "renewal", f"{name}.json")


def _read(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None
