# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may send to anywhere through a server of master.cf, and whom it takes for somebody who may."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterator, Mapping, Optional, Tuple

from .._model.networks import is_own, public_networks, read_network
from .._postfix.ports import is_private
from .._postfix.state import Service, split_list
from .._postfix.values import is_yes
from .configuration import Configuration
from .protections import AtMost, Covering, Protection, Switch
from .routing import class_transport

_REFUSALS = ("reject_unauth_destination", "defer_unauth_destination", "reject", "defer")
_OPEN = ("permit", "permit_tls_all_clientcerts")
"""What lets anybody relay, or anybody with a certificate of any CA that is trusted (postconf(5), smtpd_relay_restrictions)."""
_CLOSED = ("permit_mynetworks", "permit_sasl_authenticated", "permit_auth_destination", "permit_inet_interfaces")
"""What lets nobody in of whom nothing else is told here, or this host."""
_CONCERNS = {
    "permit_tls_clientcerts": "relay_clientcerts",
    "permit_mx_backup": "permit_mx_backup_networks",
}
"""Parameters without which a word says nothing."""
_STRANGERS = tuple(f"a-stranger.{domain}" for domain in ("com", "net", "org", "invalid"))
"""Domains that no node has mail for."""


def protections(
    configuration: Configuration, found: Mapping[str, str], service: Optional[Service]
) -> Dict[str, Optional[Protection]]:
    """Strangers are refused where one of two lists refuses them, each read to its first refusal, and the addresses of
    recipients that are none of ours are known as such."""
    values: Dict[str, Optional[Protection]] = {
        "relay_networks": AtMost(_networks(configuration, found)),
        "client_addresses": AtMost(_told_by(configuration, found, service)),
        "parent_domain_matches_subdomains": _covering(found),
    }
    lists = [f"smtpd_{name}_restrictions" for name in ("relay", "recipient")]
    if any(found.get(name) for name in lists):
        before = [_before_refusal(tuple(_words(found, name))) for name in lists]
        refusing = [words for words in before if words is not None and not {w.lower() for w in words} & {*_OPEN}]
        closed = refusing and not _takes_any_recipient(configuration, found)
        values["relay"] = Switch(bool(closed), "refused to strangers" if closed else "open to strangers")
        excepted = [frozenset(_exceptions(found, words)) for words in refusing]
        values["relay_exceptions"] = AtMost(min(excepted, key=len, default=frozenset()))
    return values


def _networks(configuration: Configuration, found: Mapping[str, str]) -> FrozenSet[str]:
    """Networks that hosts of others may be in, those in files too, and tables, of which nobody knows whom they let relay."""
    patterns = tuple(configuration.patterns(found.get("mynetworks", "")))
    tables = (item for item in patterns if ":" in item and not item.startswith("!") and read_network(item) is None)
    return public_networks(" ".join(patterns)) | frozenset(tables)


_LETTING_IN = ("mynetworks", "permit_mx_backup_networks", "qmqpd_authorized_clients", "relay_domains")
"""Lists whose every entry lets somebody in."""


def _covering(found: Mapping[str, str]) -> Covering:
    """Where a domain stands for those below it, which lets more of them in; tables of access let in or refuse, so there any
    change counts (postconf(5), parent_domain_matches_subdomains)."""
    listed = split_list(found.get("parent_domain_matches_subdomains", "").lower())
    access = "smtpd_access_maps"
    names = [*(name for name in _LETTING_IN if name in listed), access if access in listed else f"no {access}"]
    return Covering(frozenset(names), frozenset(name for name in _LETTING_IN if not found.get(name)))


def _words(found: Mapping[str, str], name: str, within: Tuple[str, ...] = (), warned: bool = False) -> Iterator[str]:
    """The words of a list, without refusals that are only warnings (warn_if_reject); for a class of restrictions, its own
    (RESTRICTION_CLASS_README)."""
    classes = {*split_list(found.get("smtpd_restriction_classes", ""))} - {*within, name}
    before = ""
    for word in split_list(found.get(name, "")):
        only = warned or before == "warn_if_reject"
        before = word.lower()
        if word in classes:
            yield from _words(found, word, (*within, name), only)
        elif not (only and before.startswith(("reject", "defer"))):
            yield word


def _before_refusal(words: Tuple[str, ...]) -> Optional[Tuple[str, ...]]:
    """What a list asks before it refuses strangers; ``None`` where it never does."""
    first = next((index for index, word in enumerate(words) if word.lower() in _REFUSALS), None)
    return None if first is None else words[:first]


def _exceptions(found: Mapping[str, str], words: Tuple[str, ...]) -> Iterator[str]:
    """Tables, servers that are asked, and whatever else may let somebody in."""
    for word in words:
        name = word.lower()
        if ":" in word:
            yield word
        elif name.startswith("permit_") and name not in _CLOSED:
            concern = _CONCERNS.get(name)
            yield f"{name} ({concern} = {found.get(concern, '')})" if concern else name
        elif name == "permit_sasl_authenticated" and _takes_anonymous(found):
            yield "anonymous logins"


def _takes_anonymous(found: Mapping[str, str]) -> bool:
    """Whether who gives no name counts as logged in (postconf(5), smtpd_sasl_security_options)."""
    options = [found.get(f"smtpd_sasl_{name}options", "noanonymous") for name in ("security_", "tls_security_")]
    return is_yes(found.get("smtpd_sasl_auth_enable", "")) and any("noanonymous" not in text for text in options)


def _takes_any_recipient(configuration: Configuration, found: Mapping[str, str]) -> bool:
    """Whether addresses of strangers count as ours, or one of ours may hold a stranger's (postconf(5),
    allow_untrusted_routing)."""
    ours = any(class_transport(configuration, domain) != "default_transport" for domain in _STRANGERS)
    return ours or is_yes(found.get("allow_untrusted_routing", ""))


def _told_by(configuration: Configuration, found: Mapping[str, str], service: Optional[Service]) -> FrozenSet[str]:
    """Who says from where a client comes: hosts of others by XCLIENT, and who stands before a port of the network
    (XCLIENT_README, postconf(5), smtpd_upstream_proxy_protocol)."""
    hosts = configuration.patterns(found.get("smtpd_authorized_xclient_hosts", ""))
    told = [f"XCLIENT of {host}" for host in hosts if _is_of_others(host)]
    if service is None or not is_private(service.key):
        command = service.command if service else "smtpd"
        protocol = found.get(f"{command}_upstream_proxy_protocol", "")
        told += [f"whoever speaks {protocol}"] if protocol else []
    return frozenset(told)


def _is_of_others(host: str) -> bool:
    network = read_network(host)
    return network is None or not is_own(network)
