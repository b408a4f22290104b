"""Packages and modules of users that a job's `--packages` names."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from backdoor.errors import Mistake, UserError
from backdoor.settings.sent_package import Package, sent_files, too_large

#: This project's import packages.
OURS = ("backdoor", "sweeps", "cluster", "dashboards")
#: Files beside packages that are no modules of them.
_TOOLS = ("setup.py", "conftest.py", "noxfile.py")


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
    mistakes += too_large(found.values(), "--packages")
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
    return any(relative.endswith(".py") for relative, _, why in sent_files(folder) if not why)


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


def _mistake(rule: str, value: str, remedy: str) -> Mistake:
    return Mistake("--packages", rule, value, remedy)
