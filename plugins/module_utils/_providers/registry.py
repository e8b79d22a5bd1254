# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All providers of certificates, and what follows from which there are. One more is a file of its own and a line here."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Type

from .._edge import Arguments, Options
from .._model.certificates import ReadFile, Reading, read_wish
from .._model.trust import read_trust
from .._postfix.supply import Asked, Provider
from .csr import Csr
from .external import External
from .own_ca import OwnCa
from .pem import Pem
from .pkcs12 import Pkcs12
from .self_signed import SelfSigned
from .stored import Stored

PROVIDERS: Dict[str, Type[Provider]] = {
    provider.name: provider for provider in (SelfSigned, Csr, OwnCa, Pem, Pkcs12, External, Stored)
}
"""By the words of the option C(provider), in the order of the documentation."""

SUBOPTIONS: Arguments = {
    name: {"type": "dict", "options": provider.options} for name, provider in PROVIDERS.items() if provider.options
}
"""The suboption of each provider that has one, for an argument_spec."""

REQUIRED_IF = [("provider", name, [name]) for name, provider in PROVIDERS.items() if provider.needs_options]
"""Which providers cannot do without theirs, as a module of Ansible takes it."""


def read_task(options: Options, host: str, read_file: ReadFile) -> Asked:
    """The options of one task. ``host`` is whom a certificate names where no names are given.

    What cannot be meant is an ``InvalidValue``; of a file that cannot be used, ``read_file`` raises a ``HardeningError``.
    """
    wish = read_wish(options)
    name = options["provider"]
    given = {option: value for option, value in (options.get(name) or {}).items() if value is not None}
    provider = PROVIDERS[name].read(given, Reading(host, wish.renew_before, read_file))
    return Asked(replace(wish, trust=read_trust(options["trust"] or {}, provider.authorities)), provider)
