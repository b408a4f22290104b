"""Which folders beside each other are those of splits; what could be classes too is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.reading.folders.listing import Scan, shown
from backdoor.reading.layout import Split, is_unlabelled, rest_of, split_of, splits_in

#: What to type where folders that are called like splits are classes.
AS_CLASSES = "If all folders are classes: --set data.layout=classes."


@dataclass(frozen=True)
class SplitFolders:
    """The folders of training and of test images, and those beside them that are not read."""

    train: Path
    test: Path
    left_out: tuple[Path, ...]

    def notes(self) -> list[str]:
        """Which images serve for what, where that is not what their folders are called."""
        if split_of(self.test.name) == "validation":
            return [f"the images in {self.test.name}/ are the test set"]
        return [
            f"{folder.name}/ is not read: validation images are drawn from {self.train.name}/"
            for folder in self.left_out
            if split_of(folder.name) == "validation" and Scan(folder).holds_images(folder)
        ]


@dataclass(frozen=True)
class _Sorted:
    """Names of folders by what they are; named: all that say a split."""

    named: list[str]
    splits: dict[Split, list[str]]
    unclear: list[str]
    classes: list[str]
    left_out: list[str]


def split_folders(scan: Scan) -> SplitFolders:
    """Those under `scan.root`, one folder of which at least is called like a split.

    Raises:
        UserError: with all that is wrong.
    """
    names = _sort(scan)
    wrong = [*_mixed(names), *_unclear(names), *_repeated(names)]
    wrong = wrong or _lacking(scan, names) or _different(names)
    if wrong:
        raise UserError(wrong)
    (train,), *tests = (names.splits[s] for s in ("train", "test", "validation") if names.splits[s])
    (test,), *rest = tests
    left = [*names.left_out, *(name for (name,) in rest)]
    return SplitFolders(scan.root / train, scan.root / test, tuple(scan.root / n for n in left))


def beside_root(root: Path) -> list[str]:
    """Warnings of folders of other splits beside `root`, if that is called like a split itself."""
    folder = Path(os.path.abspath(root))
    own = split_of(folder.name)
    if own is None:
        return []
    return [
        f"{shown(name)}/ beside data.root is not read: to use it, point data.root at "
        f"{shown(str(folder.parent))}"
        for name in Scan(folder.parent).listing(folder.parent).folders
        if split_of(name) not in (None, own)
        and rest_of(name) == rest_of(folder.name)
        and Scan(folder.parent / name).holds_images(folder.parent / name)
    ]


def _sort(scan: Scan) -> _Sorted:
    splits: dict[Split, list[str]] = {"train": [], "test": [], "validation": []}
    folders = scan.listing(scan.root).folders
    found = _Sorted(list(filter(splits_in, folders)), splits, [], [], [])
    holding = {name for name in folders if scan.holds_images(scan.root / name)}
    full = {split_of(name) for name in holding if not is_unlabelled(name)}
    for name in folders:
        split = split_of(name)
        if is_unlabelled(name):
            found.left_out.append(name)
        elif split and (name in holding or split not in full):
            found.splits[split].append(name)
        elif name not in holding:  # annotations and the like
            found.left_out.append(name)
        else:
            (found.unclear if splits_in(name) else found.classes).append(name)
    return found


def _mixed(names: _Sorted) -> list[Mistake]:
    """Class folders beside those of splits."""
    if not names.classes:
        return []
    rule = "must hold folders of splits, or class folders, not both"
    value = f"named as splits: {listed(names.named)}; others: {listed(names.classes)}"
    remedy = "Move the others into the folder of a split, or out of data.root."
    return [Mistake("root", rule, value, f"{remedy} {AS_CLASSES}")]


def _unclear(names: _Sorted) -> list[Mistake]:
    if not names.unclear:
        return []
    rule = "must hold folders whose names say one split each"
    remedy = f"Rename or remove them. {AS_CLASSES}"
    return [Mistake("root", rule, listed(names.unclear), remedy)]


def _repeated(names: _Sorted) -> list[Mistake]:
    repeated = {split: found for split, found in names.splits.items() if len(found) > 1}
    if not repeated:
        return []
    value = "; ".join(f"{split}: {listed(found)}" for split, found in repeated.items())
    remedy = f"Merge them, or move all but one out of data.root. {AS_CLASSES}"
    return [Mistake("root", "must hold one folder for each split", value, remedy)]


def _lacking(scan: Scan, names: _Sorted) -> list[Mistake]:
    train, test = names.splits["train"], names.splits["test"] or names.splits["validation"]
    if train and test:
        return []
    lacking = "train/" if test else "test/ or val/"
    rule = "must hold train/ and test/ (or val/), or neither and a folder for each class"
    value = listed(scan.listing(scan.root).folders)
    remedy = f"Add {lacking}, with a folder for each class."
    return [Mistake("root", rule, value, remedy)]


def _different(names: _Sorted) -> list[Mistake]:
    """Names that say more than a split, and not the same: `steam_train` and `test_tube`."""
    found = [name for (name,) in filter(None, names.splits.values())]
    if len({rest_of(name) for name in found}) == 1:
        return []
    rule = "must hold folders of splits whose names say the same but for the split"
    remedy = f"Rename those of splits to train, test and val. {AS_CLASSES}"
    return [Mistake("root", rule, listed(found), remedy)]
