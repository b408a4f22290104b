"""All images of a source, decoded: what data sets of users return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.errors import Mistake, UserError
from backdoor.reading.contents import ArrayImages, Contents


@dataclass(frozen=True)
class Raw:
    """All images of a source, decoded.

    images: (n, c, h, w) uint8. labels: (n,) int64, 0 to len(class_names) - 1.
    test_from: the index at which the source's own test set begins; None if it has no test set, and
    training, validation and test images are all drawn from one pool.
    poisoned: (n,) bool, images that are already poisoned in the source; None if it has no such
    information.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    test_from: int | None = None
    poisoned: npt.NDArray[np.bool_] | None = None


def contents_of(raw: Raw, kind: str) -> Contents:
    """The same images and labels, as every reader hands them on.

    kind: the name of the data set, for messages.

    Raises:
        UserError: with all mistakes: arrays of another type or shape than `Raw` says.
    """
    images, labels = np.asarray(raw.images), np.asarray(raw.labels)
    names, n = tuple(map(str, raw.class_names)), len(images)
    whole = labels.dtype.kind in "iu" and labels.ndim == 1 and len(labels) > 0
    wrong: list[Mistake] = []

    def expect(right: bool, rule: str, value: object) -> None:
        if not right:
            remedy = f"`read` of {kind} has to return them so."
            wrong.append(Mistake("data", rule, value, remedy))

    shaped = images.ndim == 4 and images.shape[1] in (1, 3) and images.size > 0
    expect(
        images.dtype == np.uint8 and shaped,
        "must have images (n, c, h, w) uint8 with 1 or 3 channels",
        f"{images.dtype} {images.shape}",
    )
    expect(labels.shape == (n,), f"must have one label for each of {n} images", f"{labels.shape}")
    expect(
        not whole or int(labels.max()) < len(names),
        f"must have labels from 0 to {len(names) - 1}, as there are {len(names)} class names",
        int(labels.max()) if whole else 0,
    )
    expect(
        raw.test_from is None or 0 < raw.test_from < n,
        f"must have `test_from` between 1 and {n - 1}, or None",
        raw.test_from,
    )
    mask = raw.poisoned
    expect(
        mask is None or (mask.shape == (n,) and mask.dtype == np.bool_),
        f"must have `poisoned` as {n} booleans",
        None if mask is None else f"{mask.dtype} {mask.shape}",
    )
    if wrong:
        raise UserError(wrong)
    return Contents(labels, ArrayImages(images), names, raw.test_from, mask)
