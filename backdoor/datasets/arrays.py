"""Arrays in one .npz file, as numpy.savez writes them; the set may be poisoned already."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset, Raw
from backdoor.datasets.files import content_hash, given_root, wrong_root
from backdoor.datasets.pixels import ImageArray
from backdoor.settings.schema import location, suggest

NEEDED = ("images", "labels")
OPTIONAL = ("test_images", "test_labels", "class_names", "poisoned")

#: What numpy and zipfile raise over files that are damaged, pickled, or no .npz at all.
UNREADABLE = (
    *(OSError, ValueError, EOFError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
#: Larger labels count as a mistake: every number up to the largest label is a class.
LARGEST_LABEL = 65_535

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Arrays(Dataset):
    """Arrays in the .npz file `root`: images, labels, and what else there is.

    images: (n, h, w), (n, h, w, c) or (n, c, h, w) uint8, c being 1 or 3. labels: (n,) whole
    numbers from 0. test_images, test_labels: the source's own test set; without them, there is one
    pool. class_names: (k,) text; by default the numbers. poisoned: (n,) bool, which of `images` are
    poisoned already, with poisoned labels. They are used for training only, never for validation or
    test, so that clean accuracy is measured on clean images. A trial at poison rate 0 trains on
    them as they are; a sweep poisons further images. Pickled content is never opened.
    """

    kind: ClassVar[str] = "arrays"
    cached = True

    root: str | None = location(None)

    def fingerprint(self) -> str:
        return hashlib.sha256(self.kind.encode() + content_hash(self._file())).hexdigest()

    def read(self) -> Raw:
        arrays = self._arrays()
        images, labels = _images(arrays, "images"), _labels(arrays, "labels", "images")
        poisoned = _mask(arrays)
        test_from = None
        if "test_images" in arrays:
            test, test_from = _images(arrays, "test_images"), len(images)
            if test.shape[1:] != images.shape[1:]:
                value = f"{images.shape[1:]} and {test.shape[1:]} as (c, h, w)"
                raise wrong_root("must hold images of one shape", value, "Resize them.")
            images = np.concatenate([images, test])
            labels = np.concatenate([labels, _labels(arrays, "test_labels", "test_images")])
            if poisoned is not None:
                poisoned = np.concatenate([poisoned, np.zeros(len(test), dtype=bool)])
        return Raw(images, labels, _class_names(arrays, labels), test_from, poisoned)

    def _file(self) -> Path:
        file = given_root(self.kind, self.root, "FILE.npz")
        if not file.is_file():
            raise wrong_root("must be an .npz file that exists", self.root, "Check the path.")
        return file

    def _arrays(self) -> Mapping[str, Array]:
        """All arrays of the file: their names are known, and none is missing."""
        file = self._file()
        try:
            # Opened here: numpy leaves a file open that it cannot read.
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as opened:
                arrays = {name: np.asarray(opened[name]) for name in opened.files}
        except UNREADABLE:
            rule = "must be an undamaged .npz file of plain arrays, without pickled objects"
            remedy = "Write it with numpy.savez(FILE, images=..., labels=...)."
            raise wrong_root(rule, str(file), remedy) from None
        known = [*NEEDED, *OPTIONAL]
        for name in arrays:
            if name not in known:
                rule = f"must hold no other arrays than {', '.join(known)}"
                raise wrong_root(rule, name, suggest(name, known))
        tests = [name for name in ("test_images", "test_labels") if name in arrays]
        needed = [*NEEDED, *(("test_images", "test_labels") if tests else ())]
        if missing := [name for name in needed if name not in arrays]:
            raise wrong_root(f"must hold {', '.join(missing)}", list(arrays), "Add what lacks.")
        return arrays


def _images(arrays: Mapping[str, Array], name: str) -> ImageArray:
    """(n, c, h, w) uint8. Of four axes, the second or the last is the channels if it is 1 or 3."""
    images = arrays[name]
    if images.dtype != np.uint8:
        remedy = "Scale fractions by 255, round, and store them as uint8."
        raise wrong_root(f"must hold `{name}` as uint8, 0 to 255", str(images.dtype), remedy)
    shape = images.shape
    if len(shape) not in (3, 4) or 0 in shape:
        rule = f"must hold `{name}` as (n, h, w), (n, h, w, c) or (n, c, h, w), none of them 0"
        raise wrong_root(rule, shape, "Reshape them.")
    if len(shape) == 3:
        return images[:, None]
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first and last:
        rule = f"must tell where the channels of `{name}` are: the second or last axis is 1 or 3"
        remedy = "Here both are. Store grey images as (n, h, w); let colour ones be larger."
        raise wrong_root(rule, shape, remedy)
    if not first and not last:
        rule = f"must hold `{name}` with 1 or 3 channels, as the second or the last axis"
        raise wrong_root(rule, shape, "Convert them to grey or to RGB.")
    return images if first else images.transpose(0, 3, 1, 2)


def _labels(arrays: Mapping[str, Array], name: str, beside: str) -> npt.NDArray[np.int64]:
    labels, count = arrays[name], len(arrays[beside])
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        rule = f"must hold `{name}` as {count} whole numbers, one an image"
        raise wrong_root(rule, f"{labels.dtype}, shape {labels.shape}", "Store class numbers.")
    if labels.min() < 0 or labels.max() > LARGEST_LABEL:
        value = f"{labels.min()} to {labels.max()}"
        raise wrong_root(f"must hold `{name}` from 0 on", value, "Number the classes 0, 1, ...")
    return labels.astype(np.int64)


def _class_names(arrays: Mapping[str, Array], labels: npt.NDArray[np.int64]) -> tuple[str, ...]:
    classes = int(labels.max()) + 1
    if "class_names" not in arrays:
        return tuple(str(i) for i in range(classes))
    names = arrays["class_names"]
    if names.dtype.kind != "U" or names.ndim != 1 or len(names) < classes:
        rule = f"must hold `class_names` as a list of text for the labels 0 to {classes - 1}"
        raise wrong_root(rule, f"{names.dtype}, shape {names.shape}", "Name every class.")
    return tuple(str(name) for name in names)


def _mask(arrays: Mapping[str, Array]) -> npt.NDArray[np.bool_] | None:
    mask = arrays.get("poisoned")
    if mask is not None and (mask.dtype != np.bool_ or mask.shape != (len(arrays["images"]),)):
        rule = f"must hold `poisoned` as {len(arrays['images'])} booleans, one a training image"
        raise wrong_root(rule, f"{mask.dtype}, shape {mask.shape}", "Store a mask, not numbers.")
    return mask
