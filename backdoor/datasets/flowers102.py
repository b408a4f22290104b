"""Oxford 102 Flowers (Nilsback and Zisserman 2008), in torchvision's layout."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.io

from backdoor.datasets.published_folders import PublishedFolders
from backdoor.reading.files import wrong_root
from backdoor.reading.folders.classes import Classes
from backdoor.settings.schema import Count

#: What scipy raises for files that are damaged, or not MATLAB files at all.
DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, NotImplementedError),
    *(zlib.error, scipy.io.matlab.MatReadError),
)


@dataclass(frozen=True, kw_only=True)
class Flowers102(PublishedFolders):
    """Photographs of 102 flowers: 2,040 for training, 6,149 for testing.

    `root` holds flowers-102 as torchvision unpacks it, or is that folder: jpg/image_00001.jpg and
    so on, imagelabels.mat and setid.mat. The published training and validation images together are
    the training pool, from which `validation` is drawn. image_size: side in pixels to which the
    square in the middle of each image is resized. The five kinds of flower_photos are read by
    `image_folder`.
    """

    kind: ClassVar[str] = "flowers102"
    LABEL_FILES = ("imagelabels.mat", "setid.mat")

    image_size: Count | None = 64

    def _folder(self) -> Path:
        return self._inside("flowers-102")

    def _parts(self) -> list[Classes]:
        folder = self._folder()
        self._need(folder / "jpg", folder / "imagelabels.mat", folder / "setid.mat")
        labels = _numbers(folder / "imagelabels.mat", "labels")
        names = [str(number) for number in range(1, int(labels.max(initial=0)) + 1)]
        own = [_numbers(folder / "setid.mat", part) for part in ("trnid", "valid", "tstid")]
        parts = []
        for ids in (np.sort(np.concatenate(own[:2])), np.sort(own[2])):
            if len(ids) and not 1 <= ids[0] <= ids[-1] <= len(labels):
                rule = f"must number images in setid.mat from 1 to {len(labels)}"
                raise wrong_root(rule, f"{ids[0]} to {ids[-1]}", "Fetch it again.")
            files = [folder / "jpg" / f"image_{number:05d}.jpg" for number in ids.tolist()]
            parts.append(self._grouped(files, (labels[ids - 1] - 1).tolist(), names))
        return parts

    def _names(self, classes: Classes) -> tuple[str, ...]:
        from torchvision.datasets import Flowers102 as Published  # slow to import

        names = getattr(Published, "classes", list(classes))
        return tuple(names[: len(classes)]) if len(names) >= len(classes) else tuple(classes)


def _numbers(file: Path, name: str) -> npt.NDArray[np.int64]:
    """The whole numbers (n,) called `name` in a MATLAB file."""
    try:
        found: Any = scipy.io.loadmat(file, variable_names=[name])[name]
        return np.asarray(found).ravel().astype(np.int64)
    except DAMAGED as error:
        rule = f"must hold an undamaged MATLAB file with the variable {name}"
        remedy = f"Fetch it again ({type(error).__name__})."
        raise wrong_root(rule, str(file), remedy) from None
