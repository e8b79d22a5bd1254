# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""This collection's own code in one archive that Python runs (zipapp), for nodes without Ansible."""

from __future__ import annotations

import io
import sys
import zipfile
from typing import Dict, Optional

from ._errors import present

PACKAGE = __name__.rpartition(".")[0]
MAIN = f"import sys\n\nfrom {PACKAGE}._renewal import main\n\nsys.exit(main(sys.argv))\n"


def archive() -> bytes:
    """The same bytes for the same code, so that a second run finds nothing to change."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, source in sorted(_sources().items()):
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source)
    return packed.getvalue()


def _sources() -> Dict[str, str]:
    """Every module of this package that has been imported, from wherever Python had it: a file, or Ansible's archive."""
    files = {"__main__.py": MAIN}
    above = PACKAGE.split(".")
    files.update((f"{'/'.join(above[: depth + 1])}/__init__.py", "") for depth in range(len(above)))
    for name, module in list(sys.modules.items()):
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            spec = present(module.__spec__)
            source = _source(spec.loader, name)
            path = name.replace(".", "/")
            files[f"{path}/__init__.py" if spec.submodule_search_locations is not None else f"{path}.py"] = source
    return files


def _source(loader: object, name: str) -> str:
    """Ansible's importers have ``get_source`` without being what importlib calls an InspectLoader."""
    found: Optional[str] = loader.get_source(name) if hasattr(loader, "get_source") else None
    return found or ""
