"""Images with their labels as arrays, for code of your own around `backdoor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset
from backdoor.datasets.class_names import numbered
from backdoor.datasets.source import Source, load_source, split
from backdoor.datasets.summary import DataSummary, summarize
from backdoor.errors import Mistake, UserError
from backdoor.reading.contents import Ids
from backdoor.settings.plain import plain_settings
from backdoor.settings.registry import DATASETS
from backdoor.settings.schema import LARGEST

Images = npt.NDArray[np.uint8]

#: More classes than any data set has: labels beyond are a mistake, and would take all memory.
MOST_CLASSES = 1_000_000


@dataclass(frozen=True)
class LabelledImages:
    """Some images of a data set.

    images: (n, c, h, w) uint8, 0 black to 255 white. labels: (n,) int64, from 0.
    ids: (n,) int64, the number of each image in the whole data set.
    """

    images: Images
    labels: Ids
    ids: Ids

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """A data set, split as the trials of a sweep with the same seed see it; no image is in two of
    the splits. class_names: by label. summary: what was read and left out, with warnings;
    `print(*data.summary.lines(), sep="\\n")`."""

    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    class_names: tuple[str, ...]
    summary: DataSummary


def load_data(data: str | Mapping[str, Any] | Dataset = "digits", seed: int = 0) -> Data:
    """Reads a data set and splits it into training, validation and test images.

    Example:
        data = load_data({"kind": "image_folder", "root": "my-images", "image_size": 32})
        data.train.images.shape, data.class_names

    Args:
        data: what a spec may say under `data`: a name that `sweeps list datasets` lists, or a
            mapping with `kind` and its settings, such as the numbers or names of the `classes` to
            keep. Decoded files are kept in a cache.
        seed: decides which images are in which split, unless the data set has its own splits or
            `split_seed`.

    Raises:
        UserError: the setting is wrong, or the files are not as this kind of data set expects.
    """
    seed = whole("seed", seed)
    # In a data set that is built already, numbers of classes are what they are.
    dataset = data if isinstance(data, Dataset) else numbered(DATASETS.build(_named(data)))
    source = load_source(dataset)
    parts = split(dataset, source, seed)
    train, validation, test = (
        _chosen(source, ids) for ids in (parts.train, parts.validation, parts.test)
    )
    return Data(train, validation, test, source.class_names, summarize(dataset, source, seed))


def _chosen(source: Source, ids: Ids) -> LabelledImages:
    return LabelledImages(source.images[ids], source.labels[ids], ids)


def _named(data: object) -> str | dict[str, Any]:
    return data if isinstance(data, str) else plain_settings(data, "data")


def whole(place: str, value: object, least: int = 0, most: int = LARGEST) -> int:
    """A number of Python, whose streams differ from those of a number of numpy.

    Raises:
        UserError: it is no whole number in this range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        number = least - 1
    else:
        number = int(value)
    if least <= number <= most:
        return number
    rule = f"must be a whole number from {least} to {most}"
    raise UserError(Mistake(place, rule, repr(value), "Change the value."))


def checked_arrays(images: object, labels: object, classes: int | None) -> tuple[Images, Ids]:
    """The arrays that a caller gave, as (n, c, h, w) uint8 and (n,) int64.

    Anything that numpy can read is accepted, such as CPU tensors. classes: how many there are, if
    the caller said so.

    Raises:
        UserError: with all mistakes: wrong shape, dtype or range, or different lengths.
    """
    if classes is not None:
        classes = whole("classes", classes, least=1, most=MOST_CLASSES)
    pixels, numbers = as_array("images", images), as_array("labels", labels)
    found = (_wrong_images(pixels), _wrong_labels(numbers, classes))
    mistakes = [mistake for mistake in found if mistake is not None]
    if not mistakes and len(pixels) != len(numbers):
        rule = f"must be as many as the {len(pixels)} images"
        mistakes.append(Mistake("labels", rule, len(numbers), "Give each image one label."))
    if mistakes:
        raise UserError(mistakes)
    return pixels, numbers.astype(np.int64)


def as_array(place: str, given: object) -> npt.NDArray[Any]:
    """What the caller gave, as numpy reads it; `UserError` where it cannot."""
    try:
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        remedy = f"Give an array, or a tensor as tensor.detach().cpu() ({reason})."
        what = f"{type(given).__module__}.{type(given).__name__}"
        raise UserError(Mistake(place, "must be an array", what, remedy)) from None


def checked_ids(ids: object, images: int) -> Ids:
    """Numbers of the images, (n,) int64; by default their positions."""
    if ids is None:
        return np.arange(images)
    numbers = as_array("ids", ids)
    if numbers.shape != (images,) or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        rule = f"must be ({images},) whole numbers from 0, one for each image"
        given = f"{numbers.dtype} {numbers.shape}"
        raise UserError(Mistake("ids", rule, given, "Leave them out to take positions."))
    return numbers.astype(np.int64)


def _wrong_images(pixels: npt.NDArray[Any]) -> Mistake | None:
    given = f"{pixels.dtype} {pixels.shape}"
    rule = "must be (n, c, h, w) uint8 with 1 or 3 channels, and at least one image"
    if pixels.ndim == 4 and pixels.shape[1] not in (1, 3) and pixels.shape[3] in (1, 3):
        return Mistake("images", rule, given, "Use images.transpose(0, 3, 1, 2).")
    if pixels.ndim == 3:
        return Mistake("images", rule, given, "Add the channel: images[:, None] of grey images.")
    if pixels.dtype != np.uint8:
        remedy = "Give pixels from 0 to 255: (255 * images).round().astype('uint8') of fractions."
        return Mistake("images", rule, given, remedy)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or not pixels.size:
        return Mistake("images", rule, given, "Bring the array into this form.")
    return None


def _wrong_labels(numbers: npt.NDArray[Any], classes: int | None) -> Mistake | None:
    rule = "must be (n,) whole numbers from 0"
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        given = f"{numbers.dtype} {numbers.shape}"
        return Mistake("labels", rule, given, "Number the classes 0, 1, ...")
    if numbers.size and numbers.min() < 0:
        return Mistake("labels", rule, int(numbers.min()), "Leave out images without a class.")
    known = MOST_CLASSES if classes is None else classes
    if numbers.size and numbers.max() >= known:
        rule = f"must be from 0 to {known - 1}"
        rule += "" if classes is None else f", as there are {classes} classes"
        return Mistake("labels", rule, int(numbers.max()), "Number the classes 0, 1, ...")
    return None
