"""The layout of a folder of image files: one folder for each class, or splits with those in them.

Whether folders are splits is decided by their names alone (`backdoor.reading.layout`). What could
be read in two ways is refused, with the folders by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.folders.classes import Found, check_same_classes, class_folders
from backdoor.reading.folders.left_out import BESIDE
from backdoor.reading.folders.listing import Scan, extension, shown
from backdoor.reading.folders.splits import AS_CLASSES, beside_root, split_folders
from backdoor.reading.layout import is_unlabelled, split_of, splits_in
from backdoor.reading.other_kinds import other_kind

Layout = Literal["auto", "classes"]
#: How deep folders that hold nothing but one folder are looked into, for a remedy.
DEEPEST = 8


def read_folders(root: Path, layout: Layout = "auto") -> Found:
    """The images under `root`.

    Raises:
        UserError: the folders could be read in two ways, lack something, or cannot be read.
    """
    scan = Scan(root)
    try:
        found = _read(scan, layout)
    except UserError as error:
        scan.check()
        raise _with_inner(scan, error) from None
    scan.check()
    return found


def read_two(root: Path, train: Path, test: Path) -> Found:
    """Class folders for training and for testing, which must have the same classes."""
    return _checked(Scan(root), (train, test))


def read_one(root: Path, folder: Path) -> Found:
    """The class folders in a folder, as one part."""
    return _checked(Scan(root), (folder,))


def _checked(scan: Scan, folders: Iterable[Path]) -> Found:
    try:
        return _parts(scan, folders, Found())
    finally:
        scan.check()


def _parts(scan: Scan, folders: Iterable[Path], found: Found) -> Found:
    """Adds the classes in one or two folders to `found`."""
    places = [scan.relative(folder) for folder in folders]
    if wrong := [w for folder in folders for w in class_folders(scan, folder, found)]:
        raise UserError(wrong)
    if len(places) > 1:
        check_same_classes((places[0], places[1]), found.parts)
    return found


def _read(scan: Scan, layout: Layout) -> Found:
    if layout == "classes":
        return _parts(scan, [scan.root], Found())
    if not any(splits_in(name) for name in scan.listing(scan.root).folders):
        _no_splits_inside(scan, [scan.root])
        found = _parts(scan, [scan.root], Found())
        if odd := [name for name in found.parts[0] if is_unlabelled(name)]:
            text = f"classes whose names say that they have no labels: {listed(odd)}"
            found.warnings.append(text)
        found.warnings += beside_root(scan.root)
        return found
    splits, found = split_folders(scan), Found()
    folders = [_entered(scan, folder, found) for folder in (splits.train, splits.test)]
    _no_splits_inside(scan, folders)
    _parts(scan, folders, found)
    found.left.add_all(scan.listing(scan.root), BESIDE)
    for folder in splits.left_out:
        found.left.add_all(scan.below(folder), f" in {scan.relative(folder)}/")
    found.notes += splits.notes()
    return found


def _entered(scan: Scan, folder: Path, found: Found) -> Path:
    """The folder inside, as long as there is one only, and it names the same split: archives often
    unpack to `seg_train/seg_train`."""
    while len(inner := scan.listing(folder).folders) == 1 and split_of(inner[0]) is not None:
        if split_of(inner[0]) != split_of(folder.name):
            break
        found.left.add_all(scan.listing(folder), BESIDE)
        folder = folder / inner[0]
    return folder


def _no_splits_inside(scan: Scan, folders: list[Path]) -> None:
    """Raises `UserError` if class folders hold folders of splits, or folders of splits hold nothing
    else than those."""
    inside: dict[Path, None] = {}
    for folder in folders:
        names = scan.listing(folder).folders
        if len(names) > 1 and all(map(splits_in, names)):
            inside |= dict.fromkeys(folder / name for name in names)
        for name in names:
            for place in scan.image_places(folder / name):
                inside |= dict.fromkeys(_first_split(place, folder / name))
    if inside:
        rule = "must not hold folders of splits inside class folders"
        value = listed(sorted(map(scan.relative, inside)))
        remedy = "Rename them, or move them out of data.root."
        if folders == [scan.root]:
            remedy = (
                f"Point data.root at {shown(str(min(inside).parent))} if that is a data set, "
                f"or move them up, as train/CLASS and test/CLASS. {AS_CLASSES}"
            )
        raise UserError(Mistake("root", rule, value, remedy))


def _first_split(place: Path, top: Path) -> list[Path]:
    """The first folder on the way from `top` to `place` that is named as a split."""
    names = place.relative_to(top).parts
    named = [number for number, name in enumerate(names, 1) if splits_in(name)]
    return [top.joinpath(*names[:number]) for number in named[:1]]


def _with_inner(scan: Scan, error: UserError) -> UserError:
    """The error, with the remedy to name the only folder in `root` instead, if that can be read."""
    inner = _inner(scan.root)
    if inner is None:
        first, other = error.mistakes[0], _other_kind(scan, error.mistakes[0].remedy)
        return UserError(replace(first, remedy=other)) if other else error
    first = error.mistakes[0]
    remedy = f"Point data.root at {shown(str(inner))}, which can be read."
    if splits_in(inner.name) and inner.parent == scan.root:
        remedy = f"{first.remedy} Or {remedy[0].lower()}{remedy[1:]}"
    return UserError(replace(first, remedy=remedy))


def _other_kind(scan: Scan, remedy: str) -> str:
    """The remedy to name another kind: images without class folders may be listed in a table."""
    if not scan.holds_images(scan.root):
        return other_kind("image_folder", scan.root)
    listing = scan.listing(scan.root)
    if len(listing.folders) > 1 or listing.others[".csv"] != 1:
        return ""
    tables = (p for p in scan.root.iterdir() if extension(p.name) == ".csv" and p.is_file())
    file = next((p for p in tables if p.name[0] != "."), None)
    if file is None:  # a link to nothing, which is refused by name
        return ""
    say = f"--set data.kind=csv --set data.root={shown(str(file))}"
    return f"{remedy} If {shown(file.name)} lists the images: {say}."


def _inner(folder: Path) -> Path | None:
    for _ in range(DEEPEST):
        names = Scan(folder).listing(folder).folders
        if len(names) != 1:
            return None
        folder = folder / names[0]
        scan = Scan(folder)
        try:
            _read(scan, "auto")
            scan.check()
        except UserError:
            continue
        return folder
    return None
