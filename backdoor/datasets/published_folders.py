"""Shared by published sets of image files: photographs of many sizes, cropped and resized.

The kinds are in files of their own. Each says which files belong to which class, and its name.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backdoor.datasets.folder_dataset import FolderDataset, readable_folder
from backdoor.reading.files import listed, wrong_root
from backdoor.reading.folders.classes import Classes, Found
from backdoor.reading.folders.layout import read_one
from backdoor.reading.folders.left_out import LeftOut
from backdoor.reading.folders.listing import Scan, extension
from backdoor.reading.pixels import Resize


@dataclass(frozen=True, kw_only=True)
class PublishedFolders(FolderDataset):
    """Image files in their published layout, which are cropped by default."""

    resize: Resize = "crop"

    def inert(self) -> frozenset[str]:
        # Unlike in other sets, `resize` is part of the ids whatever it is.
        return super().inert() - {"resize"} | ({"resize"} if not self.image_size else set())

    #: Files that are read beside the images, relative to the folder.
    LABEL_FILES: ClassVar[tuple[str, ...]] = ()

    def found(self) -> Found:
        try:
            parts = self._parts()
            return Found(parts, self._left_out(parts))
        except (OSError, UnicodeError, csv.Error) as error:
            place = getattr(error, "filename", None) or self.root
            remedy = f"Fix it, or fetch it again ({type(error).__name__}: {error})."
            raise wrong_root("must hold files that can be read", str(place), remedy) from None

    def _parts(self) -> list[Classes]:
        """The training pool and the test set, each is class → its files."""
        raise NotImplementedError

    def _classes(self, folder: Path) -> Classes:
        """The class folders in a folder."""
        return read_one(self._folder(), folder).parts[0]

    def _left_out(self, parts: list[Classes]) -> LeftOut:
        """What the folder holds beside the files that are read."""
        folder, left = self._folder(), LeftOut()
        read = {file for part in parts for files in part.values() for file in files}
        below = Scan(folder).below(folder)
        left.add(below)
        for name in self.LABEL_FILES:
            left.files[("", extension(name))] -= (folder / name).is_file()
        for file in below.images:
            if file not in read:
                left.add_images([file], f" in {file.relative_to(folder).parts[0]}/")
        return left

    def _inside(self, *names: str) -> Path:
        """The first of these folders that exists in `root`, else `root` itself."""
        root = readable_folder(self.kind, self.root)
        return next((root / name for name in names if os.path.isdir(root / name)), root)

    def _need(self, *places: Path) -> None:
        """Raises `UserError` if files or folders of the layout are missing."""
        missing = [str(place.relative_to(self._folder())) for place in places if not place.exists()]
        if missing:
            rule = f"must be the folder of `{self.kind}` in its published layout"
            raise wrong_root(rule, self.root, f"Missing: {listed(missing)}. Point data.root at it.")

    def _grouped(self, files: list[Path], labels: list[int], names: list[str]) -> Classes:
        """Class name → its files; labels: numbers of the names, from 0."""
        if wrong := [label for label in labels if not 0 <= label < len(names)]:
            rule = f"must have labels from 0 to {len(names) - 1} once they are numbered from 0"
            raise wrong_root(rule, wrong[0], "Fetch the files again.")
        if missing := [file.name for file in files if not file.is_file()]:
            rule = "must hold every image that its labels name"
            raise wrong_root(rule, listed(missing), "Fetch the images again.")
        classes: Classes = {name: [] for name in names}
        for file, label in zip(files, labels, strict=True):
            classes[names[label]].append(file)
        return classes
