"""The digest of the source code of users' kinds as earlier releases recorded it.

It was of the modules that a kind's module refers to once it is imported. Rows that have it are
compared by it where the modules are loaded anyway.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from backdoor.settings.digest import digest
from backdoor.settings.source_digest import outside_kinds
from backdoor.settings.source_files import MAIN


def former_source_digest(config: Mapping[str, Any]) -> str | None:
    """Sixteen hex digits; None where a module is not loaded or has no source."""
    kinds = outside_kinds(config)
    return _digest(kinds) if kinds else None


@functools.lru_cache(maxsize=256)
def _digest(kinds: tuple[str, ...]) -> str | None:
    sources = [_source(kind) for kind in kinds]
    if any(source is None for source in sources):
        return None
    return digest("source", [[k, s] for k, s in zip(kinds, sources, strict=True)])


def _source(kind: str) -> list[str] | None:
    """Digests of the files behind a kind, in the order of their names."""
    name, _, attribute = kind.partition(":")
    module = sys.modules.get(name)
    if module is None:
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
        if not own and _installed(Path(file)):
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


def _installed(file: Path) -> bool:
    return any(file.resolve().is_relative_to(root) for root in _installed_roots())


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
