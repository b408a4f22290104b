"""Which other kind reads what `root` is, for remedies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from backdoor.settings.user_file import EXTENSIONS

#: Kind → how the names of its files end.
ENDS = {
    "parquet": (".parquet",),
    "csv": (".csv", ".tsv"),
    "arrays": (".npz",),
    "image_folder": EXTENSIONS,
}
#: Files that are looked at, as they come.
MOST = 2000
CLASSES = "point data.root at the folder that holds a folder for each class"


def other_kind(kind: str, root: Path) -> str:
    """The remedy that names the kind by which `root` can be read; "" if it is not seen, or if it is
    `kind` itself."""
    return _of_file(kind, root) if root.is_file() else _of_folder(kind, root)


def _of_file(kind: str, file: Path) -> str:
    other = _kind_of(file.name)
    if other == "image_folder":
        setting = "" if kind == other else ": --set data.kind=image_folder"
        return f"It is one image: {CLASSES}{setting}."
    if other in (None, kind):
        return ""
    folder = f" --set data.root={file.parent}" if other == "parquet" else ""
    return f"Name the kind that reads it: --set data.kind={other}{folder}."


def _of_folder(kind: str, folder: Path) -> str:
    found: dict[str | None, Path] = {}
    for file in islice(_files(folder), MOST):
        other = _kind_of(file.name)
        # Images in no folder of a class are no data set.
        if other != "image_folder" or file.parent != folder:
            found.setdefault(other, file)
    if kind in found:
        return ""
    for other in ENDS:
        if other in found:
            also = f" --set data.root={found[other]}" if other == "arrays" else ""
            return f"Name the kind that reads it: --set data.kind={other}{also}."
    return ""


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "."]
        yield from (Path(place, name) for name in names if name[0] != ".")


def _kind_of(name: str) -> str | None:
    return next((kind for kind, ends in ENDS.items() if name.lower().endswith(ends)), None)
