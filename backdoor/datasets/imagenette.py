"""Imagenette: ten classes of ImageNet that are easy to distinguish (fastai)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backdoor.datasets.published_folders import PublishedFolders
from backdoor.reading.folders.classes import Classes
from backdoor.reading.folders.layout import read_two
from backdoor.settings.schema import Count

NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


@dataclass(frozen=True, kw_only=True)
class Imagenette(PublishedFolders):
    """Photographs of ten things from ImageNet: 9,469 for training, 3,925 for testing.

    `root` holds imagenette2, imagenette2-320 or imagenette2-160 as torchvision unpacks them, or is
    one of them: train/ and val/ with a folder for each class. image_size: side in pixels to which
    the square in the middle of each image is resized.
    """

    kind: ClassVar[str] = "imagenette"

    image_size: Count | None = 64

    def _folder(self) -> Path:
        return self._inside("imagenette2", "imagenette2-320", "imagenette2-160")

    def _parts(self) -> list[Classes]:
        train, test = self._folder() / "train", self._folder() / "val"
        self._need(train, test)
        return read_two(self._folder(), train, test).parts

    def _names(self, classes: Classes) -> tuple[str, ...]:
        return tuple(NAMES.get(number, number) for number in classes)
