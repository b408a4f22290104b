"""Kinds of users, `module:Class`: where their code lies, and who is asked before it is imported.

Importing a module runs it. So its file is found by Python's own finders without an import, not
even of the packages around it, and `before_import` lets a command say what is imported, or refuse.
"""

from __future__ import annotations

import ast
import contextlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

#: Called with the kind and its place in the spec; a `UserError` means that nothing is imported.
Guard = Callable[[str, str], None]
_guards: list[Guard] = []

#: How the names of our modules begin, whose kinds keep their promises by tests.
OURS = ("backdoor.", "sweeps.", "cluster.", "dashboards.")


@contextlib.contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Inside, `guard` is asked before a kind of users is imported, by this process only."""
    _guards.append(guard)
    try:
        yield
    finally:
        _guards.remove(guard)


def before_import(kind: str, place: str) -> None:
    """Asks all guards; without one, as in workers and in Python, everything may be imported."""
    for guard in _guards:
        guard(kind, place)


def is_ours(kind: object) -> bool:
    """Whether the class of this kind, or this class, is one of this project's."""
    cls = kind if isinstance(kind, type) else type(kind)
    return cls.__module__.startswith(OURS)


# --- kinds in plain values ---------------------------------------------------------------------

#: Joins the names of kinds that act together.
TOGETHER = "+"
#: How a kind is written, as a regular expression.
KIND = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def texts_in(value: object, key: str | None = None) -> Iterator[tuple[str | None, str]]:
    """All texts in plain values, such as a spec, with the key that each stands under; None in a
    list. Names that `TOGETHER` joins come one by one."""
    if isinstance(value, str):
        yield from ((key, name) for name in value.split(TOGETHER))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_in(inner, name)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner)


# --- files, without importing them -------------------------------------------------------------


def file_of(module: str) -> str | None:
    """The file that `import module` would run, or the folder of a package without a file.

    None where there is none, or where only the import itself shows it.
    """
    loaded = sys.modules.get(module)
    if loaded is not None:
        return getattr(loaded, "__file__", None)
    if not all(module.split(".")):
        return None
    found = _spec_of(module)
    if found is None:
        return None
    return found.origin or next(iter(locations_of(found)), None)


def _spec_of(module: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which imports the packages around a module; this does not."""
    first, *rest = module.split(".")
    found, name = top_spec(first), first
    for part in rest:
        name = f"{name}.{part}"
        found = None if found is None else _spec_inside(name, locations_of(found))
    return found


def top_spec(name: str) -> ModuleSpec | None:
    """How Python would import a top-level module; None where it finds none."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and (found := find(name, None)) is not None:
            return found  # type: ignore[no-any-return]
    return None


def _spec_inside(name: str, folders: list[str]) -> ModuleSpec | None:
    """The module `name` in one of the folders of its package."""
    portions: list[str] = []
    for folder in folders:
        finder: Any = pkgutil.get_importer(folder)
        found: ModuleSpec | None = None if finder is None else finder.find_spec(name)
        if found is not None and found.loader is not None:
            return found
        portions += [] if found is None else locations_of(found)
    if not portions:
        return None
    package = ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = portions
    return package


def locations_of(found: ModuleSpec) -> list[str]:
    """The folders of a package; none of a module that is one file."""
    return list(found.submodule_search_locations or ())


def in_current_folder(module: str) -> str | None:
    """The file or folder of this module in the current folder, if there is one."""
    name = module.partition(".")[0]
    here = (Path(f"{name}.py"), Path(name))
    return next((str(path) for path in here if name and path.exists()), None)


# --- defaults, without importing them ----------------------------------------------------------


def written_defaults(kind: str) -> dict[str, Any]:
    """Settings of a `module:Class` with their defaults: of the class where it is loaded, else those
    that its file writes as plain values; none where there is no such file."""
    module, _, name = kind.partition(":")
    loaded = getattr(sys.modules.get(module), name, None)
    if loaded is not None:
        fields: dict[str, Any] = getattr(loaded, "__dataclass_fields__", {})
        return {field: given.default for field, given in fields.items()}
    try:
        tree = ast.parse(Path(file_of(module) or "").read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    written = {key: value for node in classes for key, value in _plain_values(node)}
    return {key: value for key, value in written.items() if key != "kind"}


def _plain_values(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
            with contextlib.suppress(ValueError, TypeError):
                yield line.target.id, ast.literal_eval(line.value)
