# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of certificates and keys on the controller: where a path leads, and what lies there."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Iterable, List, TypeVar, Union

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.chain import read_certificates
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._edge import Facts
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.certificates import PEM_MARK

if TYPE_CHECKING:
    from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._certificates.kinds import Certificate

T = TypeVar("T")

EMPTIED = ("/tmp", "/var/tmp", "/run", "/dev/shm", "/runner")  # noqa: S108 -- nothing is made there: that is refused
"""Folders that a restart, a timer or the end of an execution environment empties."""

MAKE_OR_COPY = (
    "make a CA once with the playbook mailfleet.smtp_hardening.create_fleet_ca, "
    "or copy the fleet's from the controller that has it"
)
GIVE_ONE = "name one that is, or give its content"


class ControllerFiles:
    """The files that a task of one host names."""

    def __init__(self, loader: DataLoader, templar: Templar, variables: Facts) -> None:
        self._loader, self._templar, self._variables = loader, templar, variables

    def place(self, option: str, value: str) -> str:
        """Where a path leads: a relative one begins in the folder of the inventory that the host is from, and nowhere else."""
        path = os.path.expanduser(value)
        if os.path.isabs(path):
            return path
        folder = self._variables.get("inventory_dir")
        if not folder:
            raise InvalidValue(
                option,
                value,
                f"is relative to the inventory's folder, and {self._host} is from no inventory that lies in one",
                "write an absolute path, or put the host into an inventory file",
            )
        found = os.path.join(str(folder), path)
        if _in_a_collection(found):
            raise InvalidValue(
                option,
                value,
                f"leads to {found}, inside a collection, whose next installation deletes it",
                "put the inventory into a folder of its own, or write an absolute path",
            )
        return found

    def new_place(self, option: str, value: str) -> str:
        """Where a file is to be made that must last. An absolute path to a folder that is emptied is its author's wish."""
        found = self.place(option, value)
        if _in_a_collection(found):
            raise InvalidValue(
                option, value, "lies inside a collection, whose next installation deletes it", "name another folder"
            )
        if not os.path.isabs(os.path.expanduser(value)) and _is_beneath(found, [*EMPTIED, tempfile.gettempdir()]):
            raise InvalidValue(
                option,
                value,
                f"leads to {found}, which does not last",
                "put the inventory into a folder that is kept, or write an absolute path",
            )
        return found

    def shown(self, option: str, value: str) -> str:
        """Where it lies, for a sentence: of content, in which option."""
        return option if PEM_MARK in value else self.place(option, value)

    def is_there(self, option: str, value: str) -> bool:
        """Whether there is content, or a file that holds it."""
        return PEM_MARK in value or os.path.exists(self.place(option, value))

    def content(self, option: str, value: str, remedy: str = GIVE_ONE) -> str:
        """PEM as it is, or the file of that name, decrypted in memory where it is a vault."""
        if PEM_MARK in value:
            return value
        path = self.place(option, value)
        if not os.path.exists(path):
            where = "" if os.path.isabs(os.path.expanduser(value)) else f", in {self._variables['inventory_dir']}"
            raise InvalidValue(option, value, f"is not there on the controller{where}", remedy)
        lookup = lookup_loader.get("ansible.builtin.file", loader=self._loader, templar=self._templar)
        found: str = lookup.run([path], variables=self._variables)[0]
        return found

    def contents(self, option: str, values: Union[str, Iterable[object], None]) -> List[str]:
        """What each of these holds; one word stands for a list of one."""
        return [self.content(option, str(value)) for value in as_list(values or ())]

    def certificates(self, option: str, values: Union[str, Iterable[object], None]) -> List[Certificate]:
        """Every certificate that these hold."""
        contents = self.contents(option, values)
        return [found for content in contents for found in read_certificates(option, content.encode())]

    @property
    def _host(self) -> str:
        return str(self._variables.get("inventory_hostname", "the host"))


def as_list(values: Union[str, Iterable[T]]) -> List[Union[str, T]]:
    """A list as Ansible's options take it."""
    return [values] if isinstance(values, str) else list(values)


def _in_a_collection(path: str) -> bool:
    """Whether links lead into C(ansible_collections/NAMESPACE/NAME)."""
    *folders, _last = os.path.realpath(path).split(os.sep)
    return "ansible_collections" in folders[:-2]


def _is_beneath(path: str, folders: Iterable[str]) -> bool:
    found = os.path.realpath(path)
    return any(os.path.commonpath([found, real]) == real for real in map(os.path.realpath, folders))
