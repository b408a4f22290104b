"""A digest of the source code of users' kinds: results of two versions of a kind do not mix."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backdoor.settings.digest import digest
from backdoor.settings.outside import OURS, texts_in
from backdoor.settings.source_files import MAIN, top_name, user_code

#: How digests by today's rule begin. Those of earlier releases, by another rule, begin otherwise.
RULE = "2:"


def source_digest(config: Mapping[str, Any]) -> str | None:
    """`2:` and sixteen hex digits of the code that a trial's kinds of users are defined by: all .py
    files of the top-level package of each kind's module, or the module itself if it is one file,
    and of what these import from outside of installed packages. Of an installed package only its
    own files count: with other modules of users it has another digest where it is editable.

    It stays what it was when this process first asked, as the code does that it has imported. None
    where all kinds are ours, and where a kind has no source (a notebook's class that Python no
    longer finds, compiled code).

    config: a canonical configuration.
    """
    kinds = outside_kinds(config)
    return _digest(kinds) if kinds else None


def present_digest(kinds: Sequence[str]) -> str | None:
    """The digest of kinds `module:Class` by the files as they are now, without importing them."""
    sources = [_source(kind) for kind in kinds]
    if any(source is None for source in sources):
        return None
    return RULE + digest("source", [[k, s] for k, s in zip(kinds, sources, strict=True)])


_digest = functools.lru_cache(maxsize=256)(present_digest)


def has_outside_kinds(config: Mapping[str, Any]) -> bool:
    """Whether a canonical configuration names a kind that is not ours."""
    return bool(outside_kinds(config))


def outside_kinds(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds `module:Class` of users that a canonical configuration names, sorted."""
    named = {name for key, name in texts_in(config) if key == "kind" and ":" in name}
    return tuple(sorted(name for name in named if not name.startswith(OURS)))


def _source(kind: str) -> list[list[str]] | None:
    """Names and digests of the files behind a kind, in the order of their names."""
    module, _, attribute = kind.partition(":")
    if module == MAIN:
        return _of_class(getattr(sys.modules.get(MAIN), attribute, None))
    units = user_code([module])
    own = units.get(top_name(module))
    if own is None or not own.sources():
        return None
    files = (source for name in sorted(units) for source in units[name].sources())
    return [[name, _content(file)] for name, file in files]


def _of_class(cls: object) -> list[list[str]] | None:
    """Of a class of the script or notebook that runs: its own lines, since those around it change
    all the time."""
    try:
        lines = inspect.getsource(cls)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None
    return [[MAIN, hashlib.sha256(lines.encode()).hexdigest()]]


def _content(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
