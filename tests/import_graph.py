"""The graph of imports of our packages, of files and of folders, read from syntax trees.

Imports inside functions count; those under `if TYPE_CHECKING:` do not, since they never run. A
folder ("room") is a sub-package; the files at the top of a package are rooms of their own, and
`dashboards` and `cluster`, which have no sub-packages, are one room each.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("backdoor", "sweeps", "cluster", "dashboards")
FLAT = ("cluster", "dashboards")
Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Imports:
    """files: module → modules of ours that it imports. rooms: the same of rooms."""

    files: Graph
    rooms: Graph


def read_imports(root: Path) -> Imports:
    """The imports of the packages in a folder."""
    modules = {_module(root, file): file for p in PACKAGES for file in (root / p).rglob("*.py")}
    files = {name: frozenset(_imported(file, name, modules)) for name, file in modules.items()}
    rooms: dict[str, set[str]] = defaultdict(set)
    for name, targets in files.items():
        rooms[room_of(name)] |= {room_of(target) for target in targets} - {room_of(name)}
    return Imports(files, {room: frozenset(targets) for room, targets in rooms.items()})


def room_of(module: str) -> str:
    """The folder that a module lives in."""
    package, *rest = module.split(".")
    return package if package in FLAT or not rest else f"{package}.{rest[0]}"


def circle_of(graph: Graph) -> list[str] | None:
    """One circle of imports, as the names along it; None where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def upward(rooms: Graph, floors: Sequence[Sequence[str]]) -> list[str]:
    """Imports between rooms that do not run down, and rooms without a floor. floors: lowest first;
    rooms of one floor do not import each other."""
    floor = {room: number for number, several in enumerate(floors) for room in several}
    wrong = [f"{room} has no floor" for room in rooms if room not in floor]
    wrong += [f"{room} does not exist" for room in floor if room not in rooms]
    for room, targets in rooms.items():
        for target in targets:
            if room in floor and target in floor and floor[target] >= floor[room]:
                wrong.append(f"{room} (floor {floor[room]}) → {target} (floor {floor[target]})")
    return wrong


def _module(root: Path, file: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imported(file: Path, name: str, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in _running(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert not node.level, f"{file}: imports are absolute"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [each if each in modules else node.module for each in whole]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        yield from (target for target in targets if target in modules and target != name)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            children: Sequence[ast.AST] = node.orelse
        else:
            children = [node]
        for child in children:
            yield child
            yield from _running(child)
