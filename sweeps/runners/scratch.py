"""Scratch folders in the folder for temporary files: each is locked while its process lives.

A killed process leaves its folder behind. The next one sees that nobody holds its lock, and
removes it. Folders of other users, and folders without our lock, stay.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "backdoor-sweeps-tune-"
LOCK = "in-use.lock"
#: Folders that this process uses now.
_used: set[Path] = set()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder that is removed at the end; those of processes that were killed go first."""
    clear_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    _used.add(folder)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
        _used.discard(folder)


def remove_used() -> None:
    """Removes the folders of this process, which is about to end."""
    for folder in list(_used):
        shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned() -> None:
    """Removes folders of this user whose process has ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder not in _used and _is_ours(folder):
                _remove_unless_locked(folder)


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid()


def _remove_unless_locked(folder: Path) -> None:
    """`OSError` where there is no lock of ours, or somebody holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
