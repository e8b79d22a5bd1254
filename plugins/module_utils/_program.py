# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs of this collection's own code, each in one archive that Python runs (zipapp), for nodes without Ansible."""

from __future__ import annotations

import ast
import importlib.util
import io
import zipfile
from functools import cache
from importlib.machinery import ModuleSpec
from typing import Dict, Iterator, Optional

PACKAGE = __name__.rpartition(".")[0]
RENEWAL, METRICS, VALIDATOR = "_task.due", "_metrics.main", "_proof.validator"
"""The modules that programs begin with."""


def archive(entry: str) -> bytes:
    """The program that begins with ``main`` of one module of this package: that module, and what it imports."""
    return archive_of(f"import sys\n\nfrom {PACKAGE}.{entry} import main\n\nsys.exit(main(sys.argv))\n")


def archive_of(program: str) -> bytes:
    """A program by its source, with what it imports of this package.

    The same bytes for the same code, so that a second run finds nothing to change.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, source in sorted(_files(program).items()):
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source)
    return packed.getvalue()


def _files(program: str) -> Dict[str, str]:
    files = {"__main__.py": program}
    above = PACKAGE.split(".")
    files.update((f"{'/'.join(above[: depth + 1])}/__init__.py", "") for depth in range(len(above)))
    for name, source in _closure(program).items():
        path = name.replace(".", "/")
        files[f"{path}/__init__.py" if _is_package(name) else f"{path}.py"] = source
    return files


def _closure(program: str) -> Dict[str, str]:
    """The sources of the modules of this package that a program imports, and of all that these import."""
    found: Dict[str, str] = {}
    left = list(_imported("__main__", program))
    while left:
        name = left.pop()
        spec = None if name in found else _spec(name)
        if spec is not None:
            found[name] = _source(spec.loader, name)
            left += [name.rpartition(".")[0], *_imported(name, found[name])]
    return found


def _imported(name: str, source: str) -> Iterator[str]:
    """What a module imports by name; of ``from x import y``, y may be a module or something in the module x."""
    package = name if _is_package(name) else name.rpartition(".")[0]
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (module, *(f"{module}.{one.name}" for one in node.names))
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement, in functions too, but not what stands there for a type checker alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, (ast.stmt, ast.excepthandler)):
            yield child
            yield from _statements(child)


@cache
def _spec(name: str) -> Optional[ModuleSpec]:
    """How Python has a module of this package, be it a file or in Ansible's archive; ``None`` for what is none."""
    above = name.rpartition(".")[0]
    if above != PACKAGE and not (above.startswith(f"{PACKAGE}.") and _is_package(above)):
        return None
    return importlib.util.find_spec(name)


def _is_package(name: str) -> bool:
    spec = _spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _source(loader: object, name: str) -> str:
    """Ansible's importers have ``get_source`` without being what importlib calls an InspectLoader."""
    found: Optional[str] = loader.get_source(name) if hasattr(loader, "get_source") else None
    return found or ""
