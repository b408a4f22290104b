"""Class folders: each folder in a folder is a class, and what is wrong with them in words."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.folders.left_out import BESIDE, LeftOut
from backdoor.reading.folders.listing import UNPRINTABLE, Below, Listing, Scan, shown
from backdoor.reading.labels import MOST_CLASSES
from backdoor.settings.user_file import EXTENSIONS

#: Class → its files.
Classes = dict[str, list[Path]]


@dataclass
class Found:
    """What was read.

    parts: the training pool and the test set, or the only pool. left: what was not read. notes:
    what was assumed. warnings: what is probably a mistake.
    """

    parts: list[Classes] = field(default_factory=list)
    left: LeftOut = field(default_factory=LeftOut)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def class_folders(scan: Scan, folder: Path, found: Found) -> Iterable[Mistake]:
    """Adds a part to `found`, the classes in a folder; gives what is wrong with them instead."""
    listing = scan.listing(folder)
    if wrong := _wrong_names(scan, folder, listing.folders):
        return wrong
    below = {name: scan.below(folder / name) for name in listing.folders}
    if wrong := _too_few(scan, folder, below):
        return wrong
    found.left.add_all(listing, BESIDE)
    for each in below.values():
        found.left.add(each)
    found.parts.append({name: each.images for name, each in below.items()})
    return ()


def check_same_classes(places: tuple[str, str], parts: list[Classes]) -> None:
    """Raises `UserError` if a class is only in training or only in test images. places: names of
    their folders."""
    only = [sorted(set(a) - set(b)) for a, b in (parts, parts[::-1])]
    if not any(only):
        return
    sides = list(zip(places, only, strict=True))
    value = "; ".join(f"only in {place}/: {listed(names)}" for place, names in sides if names)
    rule = f"must have the same classes in {places[0]}/ and {places[1]}/"
    same = {_normalized(name): name for name in only[0]}
    pairs = [f"{same[n]} and {name}" for name in only[1] if (n := _normalized(name)) in same]
    remedy = "Add, rename or remove class folders."
    if pairs:
        remedy += f" Written differently, these are two classes: {listed(pairs)}."
    raise UserError(Mistake("root", rule, value, remedy))


def _wrong_names(scan: Scan, folder: Path, names: list[str]) -> list[Mistake]:
    if len(names) > MOST_CLASSES:
        rule = f"must hold {MOST_CLASSES:,} class folders at most"
        remedy = "Put the images of each class into one folder."
        return [Mistake("root", rule, f"{_place(scan, folder)}{len(names):,}", remedy)]
    if wrong := [shown(name) for name in names if UNPRINTABLE.search(name)]:
        rule = "must hold class folders whose names are UTF-8 without control characters"
        return [Mistake("root", rule, _place(scan, folder) + listed(wrong), "Rename them.")]
    return []


def _too_few(scan: Scan, folder: Path, below: dict[str, Below]) -> list[Mistake]:
    if len(below) < 2:
        rule = "must hold two or more class folders"
        remedy = "Put the images of each class into a folder of its own."
        if folder != scan.root and not below:
            remedy += " If they have no labels, move them out of data.root."
        for name in below:
            if len(scan.listing(folder / name).folders) > 1:
                remedy = f"Move the folders in {scan.relative(folder / name)}/ one folder up."
        if folder == scan.root and not below and _is_class(scan.listing(folder), folder):
            parent = shown(os.path.dirname(os.path.abspath(folder)))
            remedy = f"This seems to be the folder of one class: --set data.root={parent}."
        value = _place(scan, folder) + _what(list(below), scan.listing(folder))
        return [Mistake("root", rule, value, remedy)]
    if empty := [name for name, each in below.items() if not each.images]:
        rule = f"must hold images ({' '.join(EXTENSIONS)}) in every class folder"
        names = [scan.relative(folder / name) + _instead(below[name]) for name in empty]
        remedy = "Fill or remove these folders."
        if any(below[name].others for name in empty):
            remedy = "Convert the images in them to PNG, or remove these folders."
        return [Mistake("root", rule, listed(names), remedy)]
    return []


def _is_class(listing: Listing, folder: Path) -> bool:
    """Whether a folder with these images lies beside others, all of them with images."""
    folder = Path(os.path.abspath(folder))
    names = Scan(folder.parent).listing(folder.parent).folders
    others = [folder.parent / name for name in names if name != folder.name]
    if not listing.images or not others:
        return False
    return all(Scan(other).listing(other).images for other in others)


def _place(scan: Scan, folder: Path) -> str:
    return "" if folder == scan.root else f"{scan.relative(folder)}/: "


def _what(names: list[str], listing: Listing) -> str:
    """What a folder without class folders holds instead."""
    left = LeftOut()
    left.add_all(replace(listing, aside=Counter()), "")
    return ", ".join([*names, *left.texts()]) or "nothing"


def _instead(found: Below) -> str:
    """What a class folder without images holds, in brackets."""
    left = LeftOut()
    left.add(found)
    texts = left.texts()
    return f" ({', '.join(texts)})" if texts else ""


def _normalized(name: str) -> str:
    """What remains of a name without case, outer spaces, and ways to encode accents."""
    return unicodedata.normalize("NFC", name).casefold().strip()
