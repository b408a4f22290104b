"""Unfinished files that killed processes left in a results folder."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from sweeps.storage.paths import SweepPaths

#: The names that `sweeps.storage.files` and the ledger give to files until they are whole.
UNFINISHED = re.compile(r"\.(part|fold)-.+\.tmp|\..+\.[0-9a-f]{8}\.tmp")


def clear_leftovers(paths: SweepPaths) -> int:
    """Removes them, and says how many there were. The folder's lock must be held.

    The ledger is written by the holder of the lock only. Other files are also written without it,
    for instance by `sweeps region`: those that a process has open stay.
    """
    ledger = [file for folder in (paths.ledger, paths.ledger / "probes") for file in _of(folder)]
    others = _of(paths.root)
    opened = _open_files() if others else set()
    removed = 0
    for file in [*ledger, *(file for file in others if str(file.resolve()) not in opened)]:
        with contextlib.suppress(OSError):
            file.unlink()
            removed += 1
    return removed


def _of(folder: Path) -> list[Path]:
    """Unfinished files of this user; links and folders are none."""
    try:
        return [each for each in folder.iterdir() if UNFINISHED.fullmatch(each.name) and _our(each)]
    except OSError:
        return []


def _our(file: Path) -> bool:
    found = file.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _open_files() -> set[str]:
    """Paths that processes of this user have open on this machine."""
    paths = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            paths.add(os.readlink(entry))
    return paths
