"""Whether files under a folder have changed: sizes and times, without reading them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from backdoor.reading.folders.listing import SYSTEM_FOLDERS


def signature(folder: Path) -> str:
    """A digest of path, size, times and inode of every file at any depth, through links.

    It changes when a file is written, replaced, renamed, added or removed, and is the same for the
    same files in one process. Hidden folders are not looked into.
    """
    digest, seen, todo = hashlib.blake2b(digest_size=16), set[tuple[int, int]](), [str(folder)]
    while todo:
        place = todo.pop()
        lines, folders = _entries(place, seen)
        digest.update(os.fsencode(f"{place}\0{len(lines)}\0"))
        digest.update(os.fsencode("\0".join(sorted(lines))))
        todo += sorted(folders)
    return digest.hexdigest()


def _entries(place: str, seen: set[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """A line for each file in a folder, and the paths of the folders in it; nothing for a folder
    that was seen already under another path."""
    lines: list[str] = []
    folders: list[str] = []
    try:
        own = os.stat(place)
        if (own.st_dev, own.st_ino) in seen:
            return [], []
        seen.add((own.st_dev, own.st_ino))
        with os.scandir(place) as entries:
            for entry in entries:
                _add(entry, lines, folders)
    except OSError as error:
        lines.append(f"unreadable {error.errno}")
    return lines, folders


def _add(entry: os.DirEntry[str], lines: list[str], folders: list[str]) -> None:
    try:
        if not entry.is_dir():
            now = entry.stat()
            parts = (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)
            lines.append(f"{entry.name} {parts}")
        elif entry.name[0] != "." and entry.name not in SYSTEM_FOLDERS:
            folders.append(entry.path)
        else:
            lines.append(entry.name)
    except OSError as error:  # a link to nothing, or removed just now
        lines.append(f"{entry.name} unreadable {error.errno}")
