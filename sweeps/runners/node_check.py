"""Whether a worker's node has what its packs need: modules, files, a disk, the data and a GPU.

A node that lacks something fails whatever it is handed, and fast, so that it gets most of the work.
So a worker asks before its first pack. What the check reads stays in memory for that pack.

Code of users that cannot be imported anywhere fails the check on every node; that all nodes fail by
the same line is for the sweep to see.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from backdoor.settings.outside import TOGETHER
from sweeps.packs.chunk import Chunk
from sweeps.runners.node_checks import CHECKS, Check, Needs
from sweeps.runners.node_lines import lines_of


def check_chunk_text(
    text: str, data_fingerprint: str | None = None
) -> tuple[Chunk | None, list[str]]:
    """The packs of `Chunk.to_json`, None if they cannot be read here, and what the node lacks."""
    read = list[Chunk]()
    for step in (partial(_module_lines, text), partial(_parse, text, read)):
        if lines := lines_of("cannot read the packs", step):
            return None, lines
    return read[0], check_node(read[0], data_fingerprint)


def check_node(
    chunk: Chunk,
    data_fingerprint: str | None = None,
    checks: Mapping[str, Check] | None = None,
) -> list[str]:
    """What this node lacks for the packs, a line each; [] if it is fit.

    data_fingerprint: of the data that the sweep began with; others are the node's fault. checks: by
    what cannot be done if one raises; by default `CHECKS`. Only a Ctrl-C is raised.
    """
    trials = tuple(trial for pack in chunk.packs for trial in pack.trials)
    needs = Needs(trials, chunk.packs[0].settings, data_fingerprint)
    found = list[str]()
    for what, check in (CHECKS if checks is None else checks).items():
        found += lines_of(what, partial(check, needs))
    return list(dict.fromkeys(found))


def _module_lines(text: str) -> Iterator[str]:
    """Imports the modules of users' kinds, `module:Class`, that a chunk names."""
    importlib.invalidate_caches()  # a module may have come since the last check
    for name in sorted(set(_modules(json.loads(text)))):
        yield from lines_of(f"cannot import {name}", partial(_import, name))


def _parse(text: str, read: list[Chunk]) -> Iterable[str]:
    read.append(Chunk.from_json(text))
    return ()


def _import(name: str) -> Iterable[str]:
    importlib.import_module(name)
    return ()


def _modules(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        kind = value.get("kind")
        if isinstance(kind, str):
            yield from (each.partition(":")[0] for each in kind.split(TOGETHER) if ":" in each)
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _modules(each)
