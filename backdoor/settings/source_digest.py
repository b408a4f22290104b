"""A digest of the source code of users' kinds: results of two versions of a kind do not mix."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from backdoor.settings.digest import digest

#: Joins the names of kinds that act together.
TOGETHER = "+"
MAIN = "__main__"


def source_digest(config: Mapping[str, Any]) -> str | None:
    """Sixteen hex digits of the code that a trial's kinds of users are defined by.

    That is the module of each kind, with the modules that it refers to and that lie outside of the
    standard library and of installed packages, or in the same package. None where all kinds are
    ours, and where a module has no source (a notebook's class that Python no longer finds).

    config: a canonical configuration.
    """
    kinds = sorted(set(_outside(config)))
    return _digest(tuple(kinds)) if kinds else None


def has_outside_kinds(config: Mapping[str, Any]) -> bool:
    """Whether a canonical configuration names a kind that is not ours."""
    return any(True for _ in _outside(config))


@functools.lru_cache(maxsize=256)
def _digest(kinds: tuple[str, ...]) -> str | None:
    sources = [_source(kind) for kind in kinds]
    if any(source is None for source in sources):
        return None
    return digest("source", [[k, s] for k, s in zip(kinds, sources, strict=True)])


def _outside(value: object) -> Iterator[str]:
    """The kinds `module:Class` in plain values."""
    if isinstance(value, Mapping):
        kind = value.get("kind")
        if isinstance(kind, str):
            yield from (name for name in kind.split(TOGETHER) if ":" in name)
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _outside(each)


def _source(kind: str) -> list[str] | None:
    """Digests of the files behind a kind, in the order of their names."""
    name, _, attribute = kind.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception:  # code of users can raise anything; who trains with it says so
        return None
    if name == MAIN:
        return _of_class(getattr(module, attribute, None))
    files = _files(module)
    return None if files is None else [_content(file) for file in files]


def _of_class(cls: object) -> list[str] | None:
    """Of a class of the script or notebook that runs: its own lines, since those around it change
    all the time."""
    try:
        return [hashlib.sha256(inspect.getsource(cls).encode()).hexdigest()]  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None


def _files(module: ModuleType) -> list[Path] | None:
    """The files of a module and of those that it refers to; None where it has no source."""
    package = module.__name__.partition(".")[0]
    known, waiting = dict[str, Path](), [module]
    while waiting:
        one = waiting.pop()
        file = getattr(one, "__file__", None)
        if one.__name__ in known or not file or not Path(file).is_file():
            continue
        own = one is module or one.__name__.partition(".")[0] == package
        if not own and is_installed(Path(file)):
            continue
        known[one.__name__] = Path(file)
        waiting += _referred(one)
    return [known[name] for name in sorted(known)] if module.__name__ in known else None


def _referred(module: ModuleType) -> list[ModuleType]:
    """Modules that stand in a module, or that define what stands in it."""
    found = []
    for value in list(vars(module).values()):
        name = getattr(value, "__module__", None)
        other = value if isinstance(value, ModuleType) else sys.modules.get(str(name))
        if other is not None and other.__name__ != MAIN:
            found.append(other)
    return found


@functools.cache
def _installed_roots() -> tuple[Path, ...]:
    """Folders of the standard library, of installed packages, and of this project."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += site.getsitepackages() if hasattr(site, "getsitepackages") else []
    ours = Path(__file__).resolve().parents[1]
    return (*(Path(place).resolve() for place in places if place), ours, ours.parent / "sweeps")


def is_installed(file: Path) -> bool:
    """Whether a file is of the standard library, of an installed package, or of this project."""
    return any(file.resolve().is_relative_to(root) for root in _installed_roots())


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
