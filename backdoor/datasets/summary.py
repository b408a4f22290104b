"""What was read: figures of a data set that show whether it is the one that was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from backdoor.datasets.base import Dataset
from backdoor.datasets.equal_images import equal_images
from backdoor.datasets.source import Source
from backdoor.datasets.splits import Split, draw_split
from backdoor.reading.contents import Ids
from backdoor.reading.pixels import TRAITS
from backdoor.reading.printed_names import class_name, class_names, listed
from backdoor.wording import counted


@dataclass(frozen=True)
class DataSummary:
    """A data set as it was read.

    kind, root: of the data set, root None where it has none. seed: the one whose images are
    counted; None where all seeds have the same. train, validation, test: images of each split.
    pool: images that training and validation images are drawn from, and test images too where
    test_pool, the images of the source's own test set, is None. height, width, channels: of an
    image; 1 channel is grey, 3 are RGB. value_range: lowest and highest of 0 to 255 in the pool.
    class_names, train_by_class: by class number, the latter training images. left_out: what is
    there and was not read. notes: what was assumed, and what images were read by a rule of their
    own. warnings: what makes results doubtful.
    """

    kind: str
    root: str | None
    seed: int | None
    train: int
    validation: int
    test: int
    pool: int
    test_pool: int | None
    height: int
    width: int
    channels: int
    value_range: tuple[int, int]
    class_names: tuple[str, ...]
    train_by_class: tuple[int, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Two lines for people, and a third one where something was assumed; without warnings."""
        return [self._images(), self._classes(), *([listed(self.notes)] if self.notes else [])]

    def _images(self) -> str:
        used, there = self.train + self.validation + self.test, self.pool + (self.test_pool or 0)
        remarks = [f"of {there:,}"] if used < there else []
        remarks += [] if self.seed is None else [f"seed {self.seed}"]
        which = f" ({', '.join(remarks)})" if remarks else ""
        size = f"{self.height} x {self.width} pixels"
        size += "" if self.height == self.width else " (height x width)"
        colour = {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels} channels")
        low, high = self.value_range
        return (
            f"{self.train:,} training, {self.validation:,} validation and "
            f"{counted(self.test, 'test image')}{which} of {size}, {colour}, values {low} to {high}"
        )

    def _classes(self) -> str:
        least, most = self.fewest, self.most
        if (low := self.train_by_class[least]) == (high := self.train_by_class[most]):
            each = counted(high, "training image")
        else:
            low_name, high_name = (class_name(self.class_names[i]) for i in (least, most))
            each = f"{low:,} (class {low_name}) to {high:,} (class {high_name}) training images"
        classes = counted(len(self.class_names), "class")
        text = f"{classes} ({class_names(self.class_names)}), each with {each}"
        return (
            f"{text}; left out: {listed(self.left_out, all_of_them=True)}"
            if self.left_out
            else text
        )

    @property
    def fewest(self) -> int:
        """Number of the class with the fewest training images, the first of several."""
        return int(np.argmin(self.train_by_class))

    @property
    def most(self) -> int:
        """Number of the class with the most training images, the first of several."""
        return int(np.argmax(self.train_by_class))

    def as_json(self) -> dict[str, Any]:
        """All fields as plain values, and `lines()` as `text`."""
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"text": self.lines(), **given}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataSummary:
        """The summary that `as_json` was called on."""
        given: dict[str, Any] = {f.name: values[f.name] for f in fields(cls)}
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        return cls(**plain)


def summarize(dataset: Dataset, source: Source, seed: int) -> DataSummary:
    """What was read of a data set, and how it is split for a seed.

    Args:
        dataset: what the source was read from.
        source: its images; none of them is read again.
        seed: of a trial; it counts where the data set has no `split_seed`.

    Raises:
        UserError: there are too few images for the splits.
    """
    facts = source.facts
    parts = draw_split(dataset, source.kept, source.test_from, source.poisoned, seed)
    channels, height, width = source.shape
    own_test = None if source.test_from is None else int((source.kept >= source.test_from).sum())
    root = getattr(dataset, "root", None)
    names = source.class_names
    low, high = facts.value_range
    return DataSummary(
        kind=dataset.kind_name(),
        root=None if root is None else str(root),
        seed=None if dataset.split_seed is not None else seed,
        train=len(parts.train),
        validation=len(parts.validation),
        test=len(parts.test),
        pool=len(source.kept) - (own_test or 0),
        test_pool=own_test,
        height=height,
        width=width,
        channels=channels,
        value_range=(int(low), int(high)),
        class_names=names,
        train_by_class=tuple(_by_class(source, parts.train).tolist()),
        left_out=tuple(sorted(facts.left_out, key=_is_hidden)),
        notes=(*facts.notes, *_traits(facts.traits, dataset)),
        warnings=(*facts.warnings, *_warnings(source, parts)),
    )


def _by_class(source: Source, ids: Ids) -> Ids:
    return np.bincount(source.labels[ids], minlength=len(source.class_names))


def _is_hidden(left_out: str) -> bool:
    """Hidden files come last: they are hardly ever missed."""
    return "hidden" in left_out


def _traits(traits: Mapping[str, int], dataset: Dataset) -> Iterator[str]:
    background = getattr(dataset, "background", None)
    for trait, rule in TRAITS.items():
        if background is not None:
            rule = rule.replace("the background", f"{background} (data.background)")
        if count := traits.get(trait, 0):
            yield f"{counted(count, 'image')}: {rule}"


def _warnings(source: Source, parts: Split) -> Iterator[str]:
    """What the pixels and the labels of the images in use say against them."""
    yield from _constant(source, parts)
    yield from equal_images(source)
    for ids, word in ((parts.train, "training"), (parts.test, "test")):
        empty = np.flatnonzero(_by_class(source, ids) == 0)
        if len(empty):
            names = class_names([source.class_names[i] for i in empty])
            yield f"{counted(len(empty), 'class')} without {word} images: {names}"


def _constant(source: Source, parts: Split) -> Iterator[str]:
    used = np.concatenate(parts.parts)
    constant = used[source.facts.constant[used]]
    if len(constant):
        first = int(constant.min())
        name = class_name(source.class_names[source.labels[first]])
        example = f"image {first} (counted from 0), of class {name}"
        yield f"{counted(len(constant), 'image')} of one value only, such as {example}"
