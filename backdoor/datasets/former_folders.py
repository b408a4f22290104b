"""Folders of image files as earlier versions read them: `train` and `test` or `val` were splits, in
lower case and alone, and every other folder was a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backdoor.datasets.folder_dataset import fingerprint_of
from backdoor.errors import UserError
from backdoor.reading.files import listed
from backdoor.reading.folders.classes import Classes
from backdoor.reading.folders.layout import read_folders
from backdoor.reading.folders.listing import Scan
from backdoor.reading.layout import splits_in
from backdoor.settings.user_file import image_files


def former_fingerprints(root: Path, how: list[object]) -> Iterator[tuple[str, str]]:
    """The fingerprint that a folder had, if it was read otherwise, and the rule that has changed.

    Nothing for folders that were refused, and for those with links that lead back, of which earlier
    versions read each file many times.
    """
    try:
        former = None if Scan(root).leads_back() else _former_parts(root)
    except OSError:  # what cannot be read was refused
        return
    if former is None:
        return
    try:
        parts, rule = read_folders(root).parts, "folders of the system are left out"
    except UserError as error:
        parts, rule = [], error.mistakes[0].rule
    if parts != former:
        named = [name for name in former[0] if splits_in(name)]
        if parts and len(former) == 1 and named:
            rule = f"folders that are called like splits are no classes: {listed(named)}"
        yield fingerprint_of(how, former), rule


def _former_parts(root: Path) -> list[Classes] | None:
    """Each part as class → its files; None where earlier versions refused the folder."""
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    train = root / "train"
    if not train.is_dir() and test is None:
        parts = [_former_classes(root)]
    elif train.is_dir() and test is not None:
        parts = [_former_classes(train), _former_classes(test)]
    else:
        return None
    wrong = any(len(part) < 2 or not all(part.values()) for part in parts)
    return None if wrong or set(parts[0]) != set(parts[-1]) else parts


def _former_classes(folder: Path) -> Classes:
    names = sorted(e.name for e in folder.iterdir() if e.is_dir() and e.name[0] != ".")
    return {name: image_files(folder / name) for name in names}
