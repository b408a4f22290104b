"""Image files, one folder for each class, as torchvision.datasets.ImageFolder reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backdoor.datasets.folder_dataset import FolderDataset
from backdoor.datasets.former_folders import former_fingerprints
from backdoor.reading.files import wrong_root
from backdoor.reading.folders.classes import Found
from backdoor.reading.folders.layout import Layout, read_folders
from backdoor.reading.other_kinds import other_kind


@dataclass(frozen=True, kw_only=True)
class ImageFolder(FolderDataset):
    """Image files under `root`: train/CLASS/ and test/CLASS/ (or val/CLASS/), or CLASS/ alone.

    Classes are numbered in alphabetical order. All images below the folder of a class belong to it;
    hidden files and folders are ignored. Without folders of splits there is one pool. layout:
    `auto` takes folders that are called like splits for splits, `classes` takes all for classes.
    """

    kind: ClassVar[str] = "image_folder"

    layout: Layout = "auto"

    def inert(self) -> frozenset[str]:
        # Trials on folders that are read by their names keep the ids of before there was a choice.
        return super().inert() | ({"layout"} if self.layout == "auto" else set())

    def how(self) -> list[object]:
        return [*super().how(), *([] if self.layout == "auto" else [{"layout": self.layout}])]

    def _folder(self) -> Path:
        file = os.path.expanduser(self.root or "")
        if os.path.isfile(file) and (remedy := other_kind(self.kind, Path(file))):
            raise wrong_root("must be a folder", self.root, remedy)
        return super()._folder()

    def found(self) -> Found:
        return read_folders(self._folder(), self.layout)

    def former_fingerprints(self) -> Iterator[tuple[str, str]]:
        if {"layout", "background", "bits"} <= self.inert():
            how = [self.kind, self.image_size, *self.how()]
            yield from former_fingerprints(self._folder(), how)
