"""Where the source code of users' kinds lies: whole top-level packages, found without imports.

A kind `module:Class` needs the top-level package of its module, or that module if it is one file,
and all that these import from outside of the standard library, of installed packages and of this
project. Imports are read from the source; one whose name is only made at run time is not seen.
"""

from __future__ import annotations

import ast
import functools
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backdoor.settings.outside import OURS, locations_of, top_spec

MAIN = "__main__"
#: Folders inside a package that hold no code of it.
CACHES = ("__pycache__", "node_modules")
_OUR_NAMES = frozenset(name.rstrip(".") for name in OURS)


@dataclass(frozen=True)
class SourceUnit:
    """A top-level package or module. places: its folders (several of a namespace package), or its
    one file, which need not be Python's source."""

    name: str
    places: tuple[Path, ...]

    @property
    def is_package(self) -> bool:
        return self.places[0].is_dir()

    @property
    def installed(self) -> bool:
        """Whether it is of the standard library, an installed package, or ours."""
        return all(is_installed(place) for place in self.places)

    def sources(self) -> list[tuple[str, Path]]:
        """Its .py files with their names from the top, such as `my_package/stamps.py`, sorted."""
        if not self.is_package:
            file = self.places[0]
            return [(file.name, file)] if file.suffix == ".py" else []
        found = (
            (f"{self.name}/{name}", file)
            for folder in self.places
            for name, file in files_below(folder)
            if name.endswith(".py")
        )
        return sorted(found)


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a package, sorted in each folder, with their names relative to it."""
    return ((name, file) for name, file, why in all_files_below(folder) if not why)


def all_files_below(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """The same, and those that are none of the package's, with why: `hidden`, `cached`, or
    `special`, such as a pipe; else "". Virtual environments are passed over.

    Links are followed, each folder once.
    """
    seen = set[str]()
    for home, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(home)
        if real in seen or "pyvenv.cfg" in names:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            file = Path(home, name)
            yield file.relative_to(folder).as_posix(), file, _why_not(file)
        for name in sorted(name for name in folders if _is_passed_over(name)):
            why = "hidden" if name.startswith(".") else "cached"
            for inside, _, left in os.walk(Path(home, name)):
                for each in left:
                    file = Path(inside, each)
                    yield file.relative_to(folder).as_posix(), file, why
        folders[:] = sorted(name for name in folders if not _is_passed_over(name))


def _is_passed_over(name: str) -> bool:
    """Whether a folder of this name holds no code of its package."""
    return name.startswith(".") or name in CACHES or name.endswith(".egg-info")


def _why_not(file: Path) -> str:
    if file.name.startswith("."):
        return "hidden"
    if file.suffix in (".pyc", ".pyo"):
        return "cached"
    return "" if file.is_file() else "special"


def top_name(module: str) -> str:
    """The top-level package or module of `module`, or of a kind `module:Class`."""
    return module.partition(":")[0].partition(".")[0]


def unit_of(name: str) -> SourceUnit | None:
    """The top-level module of this name; None where Python finds no file or folder of it."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        file, folders = getattr(loaded, "__file__", None), getattr(loaded, "__path__", ())
    else:
        found = top_spec(name)
        if found is None:
            return None
        file, folders = found.origin, locations_of(found)
    there = [Path(folder) for folder in folders if Path(folder).is_dir()]
    # A namespace package may have a part that is installed and one that is the user's.
    places = [place for place in there if not is_installed(place)] or there
    if not places and file and Path(file).is_file():
        places = [Path(file)]
    return SourceUnit(name, tuple(places)) if places else None


def user_code(modules: Iterable[str]) -> dict[str, SourceUnit]:
    """The units of these modules by name, and those of users' modules that they import. Packages
    that are installed are among them only where they are named. None of ours."""
    named = {top_name(module) for module in modules}
    found, waiting = dict[str, SourceUnit](), sorted(named)
    while waiting:
        name = waiting.pop()
        if name in found or name == MAIN or name in _OUR_NAMES | sys.stdlib_module_names:
            continue
        unit = unit_of(name)
        if unit is None or (unit.installed and name not in named):
            continue
        found[name] = unit
        if not unit.installed:
            waiting += sorted({top for _, file in unit.sources() for top in _imported(file)})
    return found


def _imported(file: Path) -> set[str]:
    """Top-level names that a file imports anywhere; none where it cannot be read as Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return set()
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(top_name(each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(top_name(node.module))
    return found


@functools.cache
def _installed_roots() -> tuple[Path, ...]:
    """Folders of the standard library, of installed packages, and of this project."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    ours = Path(__file__).resolve().parents[1]
    own = [ours.parent / name for name in sorted(_OUR_NAMES)]
    return (*(Path(place).resolve() for place in places if place), ours, *own)


def is_installed(place: Path) -> bool:
    """Whether a file is of the standard library, of an installed package, or of this project."""
    return any(place.resolve().is_relative_to(root) for root in _installed_roots())
