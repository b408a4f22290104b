"""All files under a folder of Parquet files, through links, and what cannot be read."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from backdoor.reading.files import listed, wrong_root

#: Folders of other programs, whose content is no data.
FOREIGN = ("__MACOSX", "_temporary", "_delta_log")


@dataclass
class Walked:
    """files: sorted. again: how many links lead to folders that are read under another path.
    folders: those that are called like Parquet files. wrong: what cannot be read → why."""

    files: list[Path] = field(default_factory=list)
    again: int = 0
    folders: list[Path] = field(default_factory=list)
    wrong: dict[Path, str] = field(default_factory=dict)


def walked(root: Path) -> Walked:
    """What lies under `root`.

    Raises:
        UserError: with the names of folders, links and pipes that cannot be read as files.
    """
    found = Walked()
    seen = {_inode(folder) for folder in root.resolve().parents}
    real, linked = [root], deque[Path]()
    while real or linked:
        place = real.pop() if real else linked.popleft()
        if (inode := _inode(place)) in seen:
            found.again += 1
            continue
        seen.add(inode)
        for entry in _entries(root, place, found):
            path = place / entry.name
            is_hidden = hidden(path.relative_to(root))
            if entry.is_file(follow_symlinks=False) or not path.is_dir():
                _add(path, is_hidden, found)
                continue
            if not entry.is_symlink():
                real.append(path)
            elif not is_hidden:
                linked.append(path)
            if ends_as_table(path) and not is_hidden:
                found.folders.append(path)
    found.files.sort()
    _check(root, found)
    return found


def ends_as_table(path: PurePath) -> bool:
    """Whether a name ends as those of Parquet files do."""
    return path.suffix.lower() == ".parquet"


def hidden(path: PurePath) -> bool:
    """Whether a path from `root` is hidden, or in a folder of another program."""
    return any(name.startswith(".") or name in FOREIGN for name in path.parts)


def _inode(folder: Path) -> tuple[int, int]:
    try:
        status = os.stat(folder)
    except OSError:  # it is named where it is listed
        return (-1, hash(folder))
    return status.st_dev, status.st_ino


def _entries(root: Path, folder: Path, found: Walked) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        if not hidden(folder.relative_to(root)):
            found.wrong[folder] = error.strerror or "unknown reason"
        return []


def _add(path: Path, is_hidden: bool, found: Walked) -> None:
    found.files.append(path)
    if is_hidden or (path.suffix and not ends_as_table(path)):
        return
    if not path.exists():
        found.wrong[path] = "a link to nothing"
    elif ends_as_table(path) and not path.is_file():
        # Opening a pipe would wait for ever.
        found.wrong[path] = "no file"


def _check(root: Path, found: Walked) -> None:
    holding = {folder for file in found.files if ends_as_table(file) for folder in file.parents}
    empty = [folder for folder in found.folders if folder not in holding]
    found.wrong.update(dict.fromkeys(empty, "a folder without Parquet files"))
    if found.wrong:
        names = [path.relative_to(root).as_posix() or "." for path in sorted(found.wrong)]
        reasons = ", ".join(sorted(set(found.wrong.values())))
        rule = "must hold folders and files that can be read"
        raise wrong_root(rule, listed(names), f"Fix or remove them ({reasons}).")
