"""The base class of datasets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Annotated

from backdoor.datasets.raw import Raw, contents_of
from backdoor.errors import Mistake
from backdoor.reading.contents import Contents
from backdoor.settings.registry import Kind
from backdoor.settings.schema import Count, Range


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
        return contents_of(self.read(), self.kind_name())

    #: Whether decoding is so expensive that the result is kept on disk.
    cached = False
    #: Whether `open` costs little: then every process calls it, and labels are not kept on disk.
    quick_open = False
