"""Whether files have changed, without reading them: no file is known by its path alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def state_of(files: Iterable[Path]) -> tuple[tuple[object, ...], ...]:
    """What says cheaply whether files have changed: path, size, times and number on the disk."""

    def state(file: Path) -> tuple[object, ...]:
        try:
            now = file.stat()
        except (OSError, ValueError) as error:
            return str(file), str(error)
        return str(file), now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino

    return tuple(map(state, files))
