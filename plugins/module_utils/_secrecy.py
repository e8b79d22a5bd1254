# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is a secret among the options of a task, and how it is kept out of everything that is said.

Ansible masks the values of ``no_log`` options string by string. The same secret in another spelling, such as the repr of a
list or one line of a key, passes that, and so does a key in an option that is no secret's. Here a secret is known by its
option, by what it looks like, and in each of its spellings. Where a key lies is no secret.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Match, Optional, Set

from ._edge import Arguments, Options
from ._shown import in_each_text, shown

NOT_SHOWN = "(not shown)"

PASSPHRASES = ("passphrase", "ca_passphrase")
"""Options that hold a secret, whatever it looks like."""

ENTRIES = "secrets"
"""The option of tables whose values are secrets."""

KEYS = ("private_key", "ca_private_key", "archive")
"""Options that hold a secret, or where it lies."""

PUBLIC = ("certificate", "ca_certificate", "authorities", "ca_file")
"""Options of PEM, or where it lies. Anything else in them is a secret that has lost its way."""

_SECRET = (*PASSPHRASES, *KEYS, ENTRIES)

_B = "[A-Za-z0-9+/]"
# How DER begins in Base64, by its length: PKCS#8, PKCS#1 and SEC 1 (version 0 or 1), PKCS#12 (3); then PKCS#8 that is
# encrypted, by PBES2 or a scheme of PKCS#12.
_DER = "|".join(
    (
        f"MI[I-L]{_B}{{2}}[AQgw]IBA",
        f"MI[E-H]{_B}AgE[ABD]",
        f"M[A-H]{_B}CAQ",
        f"MI[I-L]{_B}{{5}}BgkqhkiG9w0B[BD]",
        f"MI[I-L]{_B}{{7}}GCSqGSIb3DQE[FM]",
        f"MI[E-H]{_B}M{_B}{{2}}GCSqGSIb3DQE[FM]",
    )
)
_BREAK = r"(?:\\+[rn]|\s)+"
KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    rf"|(?:(?<![A-Za-z0-9+])|(?<=\\[nrt]))(?:{_DER}){_B}{{24,}}=*(?:{_BREAK}(?:{_B}{{20,}}=*|{_B}+=+))*",
    re.S,
)
"""A private key, or what may hold one: in PEM, to its end or to that of the text, or in Base64 alone."""

_SHORTEST = 40
"""No key in any spelling is shorter."""

_PUBLIC = (
    r"-----BEGIN (?P<what>CERTIFICATE|CERTIFICATE REQUEST|PUBLIC KEY)-----[A-Za-z0-9+/=\s]+-----END (?P=what)-----"
)
"""What everybody may see, though an elliptic curve's key ends with the same half as its certificate holds."""

_PLACE = re.compile(
    r"(?:/|~[\w-]*/|\.\.?/)[\w./ @:+=,~$-]*\Z"
    r"|[\w.-]+(?:/[\w.-]+)+\Z"
    r"|[\w.-]+\.(?:key|pem|crt|cer|der|csr|p12|pfx|vault|ya?ml|json|csv)\Z"
)
_TABLE = re.compile(r"(?!.*\b(?:static|inline|randmap):)(?:[a-z]+:|/|\$)\S+\Z")


def is_place(text: str) -> bool:
    """Whether this is the path of a file rather than what one holds."""
    return len(text) < 256 and _PLACE.match(text) is not None and KEY.search(text) is None


def holds_password(parameter: str, text: str) -> bool:
    """Whether the value of a parameter of Postfix is a password, and not the name of a table (SASL_README, ldap_table(5))."""
    if parameter.endswith("password_maps"):
        return not all(_TABLE.match(word) for word in re.split(r"[\s,]+", text) if word)
    return parameter.endswith(("passwd", "password", "_pw")) and not text.startswith("$") and text != ""


def tellable(option: str, value: object) -> object:
    """``value`` as a sentence about ``option`` may repeat it."""
    name = re.sub(r"\[.*\]", "", option).rpartition(".")[2]
    return NOT_SHOWN if name != ENTRIES and any(_in_option(name, {}, value)) else value


def without_keys(text: str) -> str:
    """``text`` without what looks like a private key."""
    return text if len(text) < _SHORTEST else KEY.sub(NOT_SHOWN, text)


def secrets_in(given: Options, spec: Arguments) -> FrozenSet[str]:
    """The secrets among the options of a task, in each spelling. ``spec`` may be empty: on the controller none is known."""
    found = (secret for name, value in given.items() for secret in _in_option(name, spec.get(name, {}), value))
    return frozenset(spelling for secret in found for spelling in _spellings(secret))


def strayed_key(given: Options, above: str = "") -> Optional[str]:
    """The first option that holds a key and is none of those that may; what is done with its value, nobody can know."""
    for name, value in given.items():
        if name in (*_SECRET, *PUBLIC, "task"):
            continue
        if _keys(str(name)):
            return above.rstrip(".") or NOT_SHOWN
        for item in _items(value):
            within = strayed_key(item, f"{above}{name}.") if isinstance(item, Mapping) else None
            if within or (isinstance(item, str) and _keys(item)):
                return within or f"{above}{name}"
    return None


def hiding(secrets: Iterable[str]) -> Callable[[object], object]:
    """What takes these secrets, and all that looks like a key, out of what a module says."""
    known = sorted(filter(None, secrets), key=len, reverse=True)
    pattern = re.compile("|".join([_PUBLIC, *map(re.escape, known)]))

    def replaced(found: Match[str]) -> str:
        return found[0] if found["what"] else NOT_SHOWN

    def without(text: str) -> str:
        there = any(secret in text for secret in known)
        return without_keys(pattern.sub(replaced, text) if there else text)

    return lambda value: in_each_text(value, without, without_keys)  # a short secret would maim our own names


def invocation(given: Options, spec: Arguments) -> Dict[str, object]:
    """The options of a task as its results may show them; what else shows them hides secrets first."""
    return {name: _as_given(name, spec.get(name), value) for name, value in given.items()}


def noted(given: Options, spec: Arguments, above: str = "") -> Iterator[str]:
    """The options of a task for the node's log: names, with values where a few words are all that can be meant."""
    for name, value in given.items():
        option = spec.get(name)
        if value is None or option is None:
            continue
        within = [item for item in _items(value) if isinstance(item, Mapping)] if "options" in option else []
        if within:
            words = dict.fromkeys(word for item in within for word in noted(item, option["options"], f"{above}{name}."))
            yield from words
        elif isinstance(value, bool) or "choices" in option:
            yield f"{above}{name}={value}"
        else:
            yield f"{above}{name}"


def _in_option(name: str, option: Options, value: object) -> Iterator[str]:
    """The secrets in one option and below it, as they were given."""
    if isinstance(value, Mapping):
        entries = name == ENTRIES or option.get("no_log")
        for key, item in value.items():
            yield from _keys(str(key))
            yield from _texts(item) if entries else _in_option(str(key), option.get("options", {}).get(key, {}), item)
    elif isinstance(value, (list, tuple)):
        yield from (secret for item in value for secret in _in_option(name, option, item))
    elif value not in (None, "") and not isinstance(value, bool):
        text = str(value)
        yield from [text] if _is_secret(name, option, text) else _keys(text)


def _is_secret(name: str, option: Options, text: str) -> bool:
    """Whether a text is a secret by the option that it stands in."""
    if name in KEYS:
        return not is_place(text)
    if name in PUBLIC:
        return not is_place(text) and "-----BEGIN " not in text
    if "options" in option:  # a text where suboptions belong is taken for the worst of them
        return any(_holds_secret(below, within) for below, within in option["options"].items())
    return _holds_secret(name, option) or holds_password(name, text)


def _holds_secret(name: str, option: Options) -> bool:
    return name in _SECRET or bool(option.get("no_log"))


def _keys(text: str) -> List[str]:
    return [] if len(text) < _SHORTEST else [found[0] for found in KEY.finditer(text)]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (key for name in value for key in _keys(str(name)))
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        yield from (text for item in value for text in _texts(item))
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _as_given(name: str, option: object, value: object) -> object:
    if not isinstance(option, Mapping):
        return NOT_SHOWN
    if name == ENTRIES:
        return NOT_SHOWN if value else value
    if isinstance(value, (list, tuple)):
        return [_as_given(name, option, item) for item in value]
    if isinstance(value, Mapping) and "options" in option:
        return invocation(value, option["options"])
    return value


def _spellings(secret: str) -> Set[str]:
    """A secret as it may come out of a program: whole, in lines, quoted, escaped once and twice, in Base64."""
    parts = {secret, secret.strip(), *_lines(secret)}
    for _again in range(2):
        parts |= {spelling for part in parts for spelling in _escaped(part)}
    whole = {secret, secret.strip(), f"{secret.strip()}\n"}
    return parts | {base64.b64encode(text.encode("utf-8", "surrogatepass")).decode() for text in whole}


def _escaped(text: str) -> Iterator[str]:
    yield repr(text)[1:-1]
    yield repr(text + "'\"")[1:-4]  # as beside quotes of both kinds
    yield ascii(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield shown(text)


def _lines(secret: str) -> Iterator[str]:
    """The lines that give something away: of PEM those of keys alone, and none that are too short to be told from words."""
    blocks = _keys(secret)
    if not blocks and "-----BEGIN " in secret:
        return
    for block in blocks or [secret]:
        lines = re.split(rf"-----[A-Z0-9 ]+-----|{_BREAK}" if blocks else r"\r?\n", block)
        yield from (line for line in lines if len(line) >= 6)
