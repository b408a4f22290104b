"""German Traffic Sign Recognition Benchmark (Stallkamp et al. 2012), in torchvision's layout."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from backdoor.datasets.published_folders import PublishedFolders
from backdoor.reading.files import wrong_root
from backdoor.reading.folders.classes import Classes
from backdoor.settings.schema import Count


@dataclass(frozen=True, kw_only=True)
class Gtsrb(PublishedFolders):
    """Photographs of 43 traffic signs, 15 to 250 pixels a side: 26,640 for training, 12,630 for
    testing.

    `root` holds gtsrb as torchvision unpacks it, or is that folder: GTSRB/Training/CLASS,
    GTSRB/Final_Test/Images, and GT-final_test.csv with the classes of the latter. image_size: side
    in pixels to which the square in the middle of each image is resized.
    """

    kind: ClassVar[str] = "gtsrb"
    LABEL_FILES = ("GT-final_test.csv",)

    image_size: Count | None = 32

    def _folder(self) -> Path:
        return self._inside("gtsrb")

    def _parts(self) -> list[Classes]:
        folder = self._folder()
        training, images = folder / "GTSRB" / "Training", folder / "GTSRB" / "Final_Test" / "Images"
        truth = folder / "GT-final_test.csv"
        self._need(training, images, truth)
        train = self._classes(training)
        with truth.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter=";", skipinitialspace=True))
        try:
            files = [images / row["Filename"] for row in rows]
            labels = [int(row["ClassId"]) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            rule = "must hold GT-final_test.csv with the columns Filename and ClassId"
            remedy = f"Fetch it again ({type(error).__name__}: {error})."
            raise wrong_root(rule, str(truth), remedy) from None
        return [train, self._grouped(files, labels, list(train))]
