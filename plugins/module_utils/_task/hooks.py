# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets the tool that renews a certificate on the node bring the renewal in, without a run from the controller.

certbot calls what lies in its renewal-hooks; other tools' files are watched by a systemd path unit
(systemd.path(5)). Both start the program in ``smtp_hardening/renewal/``, which is this collection's
own code in one archive: the node needs python3 and python3-cryptography, and no Ansible.

Neither is enough. A path unit does not see that a link above the file leads elsewhere, nor what comes while the program runs,
and a renewal may come while Postfix is stopped. So a timer starts the program as well, and so does Postfix when it starts; it
looks whether there is anything that was not brought in yet (due.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .. import _files as files
from .. import _program
from .._edge import Facts, Options
from .._errors import InvalidValue, PostfixError
from .._postfix import renewals
from .._postfix.commands import Postfix
from .._postfix.plan import Diff
from .._postfix.state import State
from .._postfix.supply import Asked
from .._providers.external import External, Renewed
from .._providers.registry import SUBOPTIONS
from .._providers.stored import Stored
from .._transaction.change import put_beside, take_away

UNITS = "/etc/systemd/system"
SYSTEMD = "/run/systemd/system"
"""Is there where systemd runs, and only there (sd_booted(3)): a container may have another init, and systemctl with it."""
PYTHON = "/usr/bin/python3"
"""The node's own. An upgrade puts another one under this name, and takes away what the name leads to now."""
LONGEST = 255 - len(".service")
"""Of a unit's name without its kind (systemd.unit(5))."""
INTERVAL = "30s"
"""Between two looks, each of which reads both files."""
_HEAD = "# Made by mailfleet.smtp_hardening.smtp_tls_cert.\n"
_SANDBOX = """\
# A key is read, Postfix's files are written, a Postfix of its own is started and Postfix is signalled. NoNewPrivileges and
# PrivateTmp stay out: what confines Postfix (SELinux, AppArmor) is entered by execve(2), and a tool may keep its files in /tmp.
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_SETGID CAP_SETUID CAP_SYS_CHROOT CAP_SYS_PTRACE
LimitCORE=0
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
TimeoutStartSec=30min
"""


class HookFile(NamedTuple):
    content: bytes
    mode: int


class HookPlan(NamedTuple):
    """What differs on the node. Empty: nothing to do."""

    write: Mapping[str, HookFile]
    take_away: Tuple[str, ...]
    units: Tuple[str, ...] = ()
    """What systemd is to watch, and to start at boot."""
    unwatched: Optional[str] = None
    """What a person must do where nothing on the node can watch the tool's files."""

    @property
    def changed(self) -> bool:
        return bool(self.write or self.take_away)

    def diff(self) -> Diff:
        """The files' names say enough."""
        written = [{"prepared": f"{path}: written, a hook for renewals\n"} for path in self.write]
        return written + [{"prepared": f"{path}: taken away, a hook for renewals\n"} for path in self.take_away]


def plan_hook(postfix: Postfix, state: State, asked: Asked, options: Options) -> HookPlan:
    """Have a hook for a certificate that another tool renews, and none for any other. Writes nothing."""
    wish, provider = asked
    if isinstance(provider, Stored):
        return HookPlan({}, ())
    if not isinstance(provider, External):
        return plan_no_hook(state, wish.name)
    if not options["external"]["hook"]:
        return HookPlan({}, ())
    wanted = _files(state, wish.name, provider.renewed, options, _interpreter(postfix))
    different = {path: new for path, new in wanted.items() if _read(path) != new.content}
    units = tuple(os.path.basename(path) for path in wanted if path.startswith(UNITS))
    obsolete = tuple(path for path in _installed(state, wish.name) if path not in wanted)
    unwatched = (
        None
        if provider.renewed.tool == "certbot" or _has_systemd()
        else _unwatched(postfix, state, wish.name, provider)
    )
    return HookPlan(different, obsolete, units if different else (), unwatched)


def plan_no_hook(state: State, name: str) -> HookPlan:
    """Take the hook of a certificate away, where it has one."""
    last = renewals.last_path(renewals.folder(state.store), name)
    return HookPlan({}, (*([last] if files.exists(last) else ()), *_installed(state, name)))


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
    renewed = _kept(state, name)
    return renewed.tool if renewed else None


def _interpreter(postfix: Postfix) -> str:
    """The node's Python where it has what a renewal needs, else the one that runs."""
    if files.exists(PYTHON) and postfix.run([PYTHON, "-I", "-c", "import cryptography.x509"]).rc == 0:
        return PYTHON
    return sys.executable or PYTHON


def _files(state: State, name: str, renewed: Renewed, options: Options, python: str) -> Dict[str, HookFile]:
    command = _command(state, name, python)
    files = {
        _program_path(state): HookFile(_program.archive(_program.RENEWAL), 0o644),
        _options_path(state, name): HookFile(_kept_options(options, renewed), 0o600),
    }
    if renewed.tool == "certbot":
        path, content = _certbot_hook(state, name, renewed, command)
        files[path] = HookFile(content, 0o755)
    if _has_systemd():
        for kind, text in _units(state, name, renewed, command).items():
            files[f"{UNITS}/{_unit(state, name)}.{kind}"] = HookFile(text.encode(), 0o644)
    return files


def _command(state: State, name: str, python: str) -> List[str]:
    """What brings a renewal in. -I: a tool's PYTHONPATH, or a home folder that is not root's, has no say in what root runs."""
    return [python, "-I", "-B", _program_path(state), name]


def _has_systemd() -> bool:
    return files.is_folder(SYSTEMD)


def _unwatched(postfix: Postfix, state: State, name: str, provider: External) -> str:
    command = " ".join(map(shlex.quote, _command(state, name, _interpreter(postfix))))
    return (
        f"external.hook: systemd does not run here, so no path unit can watch {provider.renewed.certificate}; have "
        f"{provider.renewed.tool} or cron run this as root after each renewal: {command}"
    )


def _kept_options(options: Options, renewed: Renewed) -> bytes:
    """What a renewal needs of the task's options. What is active, served, trusted and unproven stays what it is then."""
    kept = {**options, **dict.fromkeys(SUBOPTIONS), "task": f"a renewal by {renewed.tool}"}
    kept.update(use=[], withdraw=[], sni=None, trust=None, unproven=None)
    kept["external"] = {**options["external"], "hook": False}
    return json.dumps(kept, indent=1, sort_keys=True).encode() + b"\n"


def _certbot_hook(state: State, name: str, renewed: Renewed, command: Sequence[str]) -> Tuple[str, bytes]:
    """certbot runs every file there after a renewal, with the lineage in the environment."""
    lineage = os.path.dirname(renewed.certificate)
    live, _slash, _name = lineage.rpartition("/")
    if os.path.basename(live) != "live":
        raise InvalidValue(
            "external.certificate",
            renewed.certificate,
            "is not where certbot keeps certificates",
            "give the file in certbot's folder live, as in /etc/letsencrypt/live/mx1.example.com/fullchain.pem",
        )
    script = (
        f"#!/bin/sh\n{_HEAD}"
        f'[ "$RENEWED_LINEAGE" = {shlex.quote(lineage)} ] || exit 0\n'
        f"exec {' '.join(map(shlex.quote, command))}\n"
    )
    return _certbot_path(renewed, _unit(state, name)), script.encode()


def _certbot_path(renewed: Renewed, unit: str) -> str:
    """certbot starts what lies there by a shell, without quotes: no backslash. What systemd-escape(1) makes holds no '%'."""
    above = os.path.dirname(os.path.dirname(os.path.dirname(renewed.certificate)))
    return os.path.join(above, "renewal-hooks", "deploy", unit.replace("\\", "%"))


def _units(state: State, name: str, renewed: Renewed, command: Sequence[str]) -> Dict[str, str]:
    what = f"the certificate {name}, renewed by {renewed.tool},"
    units = {
        "timer": (
            f"{_HEAD}[Unit]\nDescription=Look for {what} for Postfix\n\n"
            f"[Timer]\nOnActiveSec={INTERVAL}\nOnUnitInactiveSec={INTERVAL}\nAccuracySec=1s\n\n"
            "[Install]\nWantedBy=timers.target\n"
        ),
        # Enabled too: a renewal may have come while nobody watched, or while Postfix was stopped.
        "service": (
            # However often a tool writes: a service that may not start any more takes the path unit down with it.
            f"{_HEAD}[Unit]\nDescription=Bring {what} into Postfix\nAfter=postfix.service postfix@-.service\n"
            "StartLimitIntervalSec=0\n\n"
            # The log has what the program says, and not that it was started, which is every half minute.
            f"[Service]\nType=oneshot\nExecStart={' '.join(map(_quoted, command))}\nSyslogLevel=notice\nLogLevelMax=notice\n"
            f"ReadWritePaths={_quoted_path(state.config_dir)}\n{_SANDBOX}\n"
            "[Install]\nWantedBy=multi-user.target postfix.service\n"
        ),
    }
    if renewed.tool == "certbot":
        return units
    paths = "".join(f"PathChanged={_escaped(path)}\n" for path in (renewed.certificate, renewed.private_key))
    path_unit = (
        f"[Unit]\nDescription=Watch {what} for Postfix\n\n[Path]\n{paths}\n[Install]\nWantedBy=multi-user.target\n"
    )
    return {"path": f"{_HEAD}{path_unit}", **units}


def _escaped(word: str) -> str:
    """As systemd.syntax(7) reads it."""
    return word.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command line (systemd.service(5))."""
    return _quoted_path(word).replace("$", "$$")


def _quoted_path(path: str) -> str:
    escaped = _escaped(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _kept(state: State, name: str) -> Optional[Renewed]:
    """Of which files the kept options speak; None where there are none, or none that can be read."""
    try:
        found: Facts = json.loads(_read(_options_path(state, name)) or b"")["external"]
        return Renewed(found["tool"], found["private_key"], found["certificate"])
    except (ValueError, KeyError, TypeError):
        return None


def _installed(state: State, name: str) -> Tuple[str, ...]:
    """The files of a certificate's hook that are there; not the program, which all share. The options come last."""
    options = _options_path(state, name)
    if not files.exists(options):
        return ()
    renewed = _kept(state, name)
    paths = [path for path in _places(renewed, _unit(state, name)) if files.exists(path)]
    return (*paths, *_under_former_name(state, name, renewed), options)


def _places(renewed: Optional[Renewed], unit: str) -> Tuple[str, ...]:
    """Where a hook lies. What starts the program comes last, so that nothing is left that would start what is gone."""
    units = tuple(f"{UNITS}/{unit}.{kind}" for kind in ("path", "timer", "service"))
    return (*units, _certbot_path(renewed, unit)) if renewed is not None and renewed.tool == "certbot" else units


def _under_former_name(state: State, name: str, renewed: Optional[Renewed]) -> Tuple[str, ...]:
    """A hook under the name that it had once, and that another instance's could have as well: it is ours if it says so."""
    places = _places(renewed, _former_unit(state, name))
    if places == _places(renewed, _unit(state, name)):
        return ()
    text = (_read(places[-1]) or b"").decode("utf-8", "replace")
    command = (_program_path(state), name)
    if any(f" {' '.join(map(quote, command))}\n" in text for quote in (_quoted, shlex.quote)):
        return tuple(path for path in places if files.exists(path))
    return ()


def _start(postfix: Postfix, units: Sequence[str]) -> None:
    if units:
        _systemctl(postfix, "daemon-reload")
        _systemctl(postfix, "enable", *units)
        _systemctl(postfix, "restart", *(unit for unit in units if not unit.endswith(".service")))


def _stop(postfix: Postfix, paths: Iterable[str]) -> None:
    units = [os.path.basename(path) for path in paths if path.startswith(UNITS)]
    if units and _has_systemd():
        _systemctl(postfix, "disable", "--now", *units)
        postfix.run(["systemctl", "reset-failed", *units])  # or one whose last run failed is listed for ever


def _systemctl(postfix: Postfix, *words: str) -> None:
    done = postfix.run(["systemctl", *words])
    if done.rc:
        raise PostfixError(
            f"systemctl {' '.join(words)} fails: {done.stderr.strip()}; the certificate is in place, but its renewals are not "
            "watched: put systemd right and run the task again, or set external.hook to false."
        )


def _unit(state: State, name: str) -> str:
    """No two instances and certificates have the same: with '-' escaped, the last one parts them."""
    folder = "/".join(filter(None, state.config_dir.split("/")))
    unit = f"smtp-hardening-{_systemd_escaped(folder)}-{_systemd_escaped(name)}"
    if len(unit) <= LONGEST:
        return unit
    return f"smtp-hardening-{hashlib.sha256(os.fsencode(f'{folder}//{name}')).hexdigest()}"


def _former_unit(state: State, name: str) -> str:
    return f"smtp-hardening-{state.config_dir.strip('/').replace('/', '-')}-{name}"


def _systemd_escaped(text: str) -> str:
    """As systemd-escape(1) does."""
    escaped = re.sub(rb"\A\.|[^\w:./]", lambda found: b"\\x%02x" % found[0][0], os.fsencode(text), flags=re.ASCII)
    return escaped.replace(b"/", b"-").decode("ascii")


def _program_path(state: State) -> str:
    return os.path.join(renewals.folder(state.store), "renew.pyz")


def _options_path(state: State, name: str) -> str:
    return os.path.join(renewals.folder(state.store), f"{name}.json")


def _read(path: str) -> Optional[bytes]:
    try:
        return files.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
