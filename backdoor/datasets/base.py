"""The base class of datasets, and what a dataset returns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from backdoor.datasets.contents import ArrayImages, Contents
from backdoor.errors import Mistake
from backdoor.settings.registry import Kind
from backdoor.settings.schema import Count, Range


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


@dataclass(frozen=True, kw_only=True)
class Dataset(Kind):
    """A source of labelled images, limited to some classes and sizes.

    A kind implements `fingerprint`, and `read`, or `open` where images can be decoded one by one.

    classes: numbers or names of the classes to keep, renumbered 0, 1, ... in the given order; None
    keeps all. train, validation, test: number of images in each split; None takes what is left.
    Validation images come from the training pool and are no training images. split_seed: seed of
    the split; None takes the seed of the trial, so that intervals over seeds include the choice of
    images.
    """

    classes: tuple[int | str, ...] | None = None
    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None
    split_seed: Annotated[int | None, Range(ge=0)] = None

    def rules(self) -> Iterable[Mistake]:
        if self.classes is not None:
            given = list(self.classes)
            if len(given) < 2:
                remedy = "Name two or more, or leave it out."
                yield Mistake("classes", "must name at least two classes", given, remedy)
            if len(set(given)) != len(given):
                yield Mistake("classes", "must not repeat a class", given, "Name each class once.")

    def fingerprint(self) -> str:
        """Hex digest of the content and of how it is decoded; `UserError` if data are missing."""
        raise NotImplementedError

    def signature(self) -> Hashable:
        """Says cheaply, in this process, whether the source is what it was. By default the
        fingerprint; sources in large files compare their sizes and times."""
        return self.fingerprint()

    def former_fingerprints(self) -> Iterable[tuple[str, str]]:
        """Fingerprints by which earlier versions knew this source where they read it otherwise,
        each with the rule that has changed."""
        return ()

    def read(self) -> Raw:
        """The whole source, decoded."""
        raise NotImplementedError

    def open(self) -> Contents:
        """The source before its pixels are decoded, with labels as they are written."""
        raw = self.read()
        names, poisoned = raw.class_names, raw.poisoned
        return Contents(raw.labels, ArrayImages(raw.images), names, raw.test_from, poisoned)

    #: Whether decoding is so expensive that the result is kept on disk.
    cached = False
