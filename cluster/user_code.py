"""Packages and modules of users that travel to a cluster, and what of them stays here.

What is sent of a package are its files, without hidden ones, caches and large data; `Package.left`
says what was left out.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backdoor.errors import Mistake, UserError

#: Most bytes of one file that is no source code, and of all that is sent.
DATA_MOST, MOST = 2**20, 50 * 2**20
#: Compiled code, which works only on the same platform and minor version of Python.
COMPILED = (".so", ".pyd", ".dylib")
#: This project's import packages.
OURS = ("backdoor", "sweeps", "cluster", "dashboards")
#: Files beside packages that are no modules of them.
_TOOLS = ("setup.py", "conftest.py", "noxfile.py")
_CACHES = ("__pycache__", "node_modules")


@dataclass(frozen=True)
class Package:
    """A top-level package, or a module that is one file. place: its folder or file. files: what is
    sent, with the name of the package at the top → where it lies. left: what is not, in words;
    large: files of it that are no code and too large."""

    name: str
    place: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    large: tuple[str, ...] = ()

    @staticmethod
    def of(name: str, *places: Path) -> Package:
        """Of its folder (or several of a namespace package), or its file."""
        if not places[0].is_dir():
            return Package(name, places[0], {places[0].name: places[0]})
        files, left, large = dict[str, Path](), Counter[str](), list[str]()
        for relative, file, why in (found for place in places for found in _files(place)):
            if why == "large":
                large.append(f"{name}/{relative} ({file.stat().st_size / 2**20:.1f} MB)")
            elif why:
                left[why] += 1
            else:
                files[f"{name}/{relative}"] = file
        counts = [f"{count} {what} file{'' if count == 1 else 's'}" for what, count in left.items()]
        return Package(name, places[0], files, (*counts, *large), tuple(large))

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files.values())

    @property
    def compiled(self) -> list[str]:
        """Its files that are compiled code."""
        return [name for name in self.files if name.endswith(COMPILED)]

    def copy_to(self, folder: Path) -> Path:
        """Copies what is sent into this folder; its own folder or file there."""
        for relative, file in self.files.items():
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        return folder / (self.name if self.place.is_dir() else self.place.name)


def _files(package: Path) -> Iterator[tuple[str, Path, str]]:
    """The files of a package, relative, with why each is left out, else "". Links are followed,
    each folder once; whole folders that are left out count as one file."""
    seen = set[str]()
    for home, folders, names in os.walk(package, followlinks=True):
        real = os.path.realpath(home)
        if real in seen or "pyvenv.cfg" in names:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(names):
            file = Path(home, name)
            yield file.relative_to(package).as_posix(), file, _left_out(file)
        kept = [f for f in folders if not f.startswith(".") and f not in _CACHES]
        kept = [f for f in kept if not f.endswith(".egg-info")]
        for name in set(folders) - set(kept):
            why = "hidden" if name.startswith(".") else "cached"
            for inside, _, cached in os.walk(Path(home, name)):
                yield from (("", Path(inside, each), why) for each in cached)
        folders[:] = sorted(kept)


def _left_out(file: Path) -> str:
    if file.name.startswith("."):
        return "hidden"
    if file.suffix in (".pyc", ".pyo"):
        return "cached"
    if not file.is_file():
        return "special"
    code = file.suffix in (".py", *COMPILED)
    return "large" if not code and file.stat().st_size > DATA_MOST else ""


# --- what `--packages` names -------------------------------------------------------------------


def packages_at(places: Sequence[str], named: Collection[str] = ()) -> list[Package]:
    """The packages and modules that a user names: .py files, folders of packages, or folders that
    hold some.

    named: top-level names that the spec needs: a folder of such a name is that package even without
    an `__init__.py`.

    Raises:
        UserError: with all that cannot be sent.
    """
    mistakes, found = list[Mistake](), dict[str, Package]()
    for place in places:
        try:
            chosen = _at(Path(os.path.expanduser(place)), named)
        except OSError as error:
            mistakes.append(_mistake("must be readable", place, f"{error.strerror}."))
            continue
        if isinstance(chosen, str):
            mistakes.append(_mistake(chosen, place, _NOTHING))
            continue
        for package in chosen:
            other = found.setdefault(package.name, package)
            if not os.path.samefile(other.place, package.place):
                rule = f"must not have two of the name {package.name}"
                remedy = f"One lies in {other.place}; leave one out."
                mistakes.append(_mistake(rule, str(package.place), remedy))
            elif other is package and (wrong := _wrong_name(package)) is not None:
                mistakes.append(wrong)
    mistakes += _too_large(found.values())
    if mistakes:
        raise UserError(mistakes)
    return list(found.values())


_NOTHING = "Name the folder of a package, a folder that holds packages, or a .py file."


def _at(place: Path, named: Collection[str]) -> list[Package] | str:
    """The packages there, or the rule that is broken."""
    place = Path(os.path.abspath(place))
    if not place.exists():
        return "must exist"
    if not place.is_dir():
        return [_package(place)] if place.suffix == ".py" else "must be a folder or a .py file"
    if (place / "__init__.py").is_file() or (place.name in named and _has_source(place)):
        return [_package(place)]
    inside = [p for p in sorted(place.iterdir()) if not p.name.startswith((".", "__"))]
    packages = [
        p
        for p in inside
        if p.is_dir() and ((p / "__init__.py").is_file() or (p.name in named and _has_source(p)))
    ]
    modules = [p for p in inside if p.is_file() and p.suffix == ".py" and p.name not in _TOOLS]
    return [_package(p) for p in [*packages, *modules]] or "must hold a package or a module"


def _package(place: Path) -> Package:
    return Package.of(place.stem if place.is_file() else place.name, place)


def _has_source(folder: Path) -> bool:
    return any(relative.endswith(".py") for relative, _, why in _files(folder) if not why)


def _wrong_name(package: Package) -> Mistake | None:
    name, place = package.name, str(package.place)
    if not name.isidentifier():
        rule = "must have a name that Python can import"
        return _mistake(rule, place, "Use letters, digits and underscores only.")
    if name in OURS:
        rule, remedy = f"must not be called {name}, as a package of this project is", "Rename it."
        return _mistake(rule, place, remedy)
    if name in sys.stdlib_module_names:
        rule = f"must not be called {name}, as a module of Python is"
        return _mistake(rule, place, "Rename it.")
    if (library := library_of(name)) is not None:
        rule = f"must not be called {name}, as the installed library {library} is"
        return _mistake(rule, place, "Rename it: it would hide the library on the cluster.")
    return None


def library_of(name: str) -> str | None:
    """The installed distribution that has this top-level module; None where there is none, or
    where it is installed from a folder of this machine, as packages of users are."""
    for distribution in _distributions().get(name, ()):
        try:
            origin = importlib.metadata.distribution(distribution).read_text("direct_url.json")
            local = origin is not None and "dir_info" in json.loads(origin)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            local = False
        if not local:
            return distribution
    return None


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _too_large(packages: Iterable[Package]) -> list[Mistake]:
    sizes = {package.name: package.bytes for package in packages}
    if sum(sizes.values()) <= MOST:
        return []
    largest = max(sizes, key=lambda name: sizes[name])
    rule = f"must hold at most {MOST // 2**20} MB in all"
    remedy = f"The largest is {largest} with {sizes[largest] / 2**20:.1f} MB; move data out."
    return [_mistake(rule, f"{sum(sizes.values()) / 2**20:.1f} MB", remedy)]


def _mistake(rule: str, value: str, remedy: str) -> Mistake:
    return Mistake("--packages", rule, value, remedy)
