"""From a dataset to arrays of uint8: read once, select classes, split.

Decoded images are kept by `backdoor.reading.cache`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset
from backdoor.datasets.splits import Split, draw_split
from backdoor.errors import Mistake, UserError
from backdoor.reading.cache import Entry, SomeImages, changed, open_entry
from backdoor.reading.contents import Contents, Ids, Images
from backdoor.reading.files import listed
from backdoor.reading.labels import Classes, class_number, classes_of
from backdoor.reading.pixels import NEW_RULES, TRAITS, ImageArray
from backdoor.reading.scan import Scan, Shape, scan

#: Sources that a process remembers.
REMEMBERED = 4

#: What changed for sources whose classes had no images, in messages.
LABELS_RULE = "classes are those that training images have"


@dataclass(frozen=True)
class SourceFacts:
    """What else was found in a source's files.

    left_out: what is there and was not read, by kind. notes: what was assumed. warnings: what is
    probably a mistake. traits: how many images have each of `pixels.TRAITS`. digests: (n,) uint64,
    a hash of each image's pixels. constant: (n,) bool, images whose pixels are all equal.
    value_range: lowest and highest value in the training pool. former: the fingerprint by which
    earlier versions knew these files, if they read them otherwise, and what has changed.
    """

    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    traits: dict[str, int] = field(default_factory=dict)
    digests: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    constant: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    value_range: tuple[int, int] = (0, 255)
    former: tuple[str, str] | None = None


@dataclass(frozen=True)
class Source:
    """A dataset, read and limited to its classes.

    images: (n, c, h, w) uint8, possibly memory-mapped and read-only; where few images of a large
    source are in use, only those of splits that were drawn. labels: (n,) int64, -1 for images of
    classes that are left out. kept: (m,) int64, ascending numbers of the images whose class is
    kept. test_from: number of the first image of the source's own test set; None if it has none.
    mean, std: (c,) float32 in [0, 1], over the kept images of the training pool. poisoned: (n,)
    bool, images that are poisoned in the source: they are used for training only. label_numbers:
    where the source's whole numbers had holes or did not begin at 0, the label of each class, else
    (). entry: the place in the cache, None for sources that are decoded quickly.
    """

    images: ImageArray | SomeImages
    labels: Ids
    kept: Ids
    test_from: int | None
    class_names: tuple[str, ...]
    fingerprint: str
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    poisoned: npt.NDArray[np.bool_]
    label_numbers: tuple[int, ...] = ()
    facts: SourceFacts = field(default_factory=SourceFacts)
    entry: Entry | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of one image."""
        _, c, h, w = self.images.shape
        return c, h, w

    @property
    def renumbered(self) -> bool:
        """Whether a class number is not the label that the source gives the class."""
        return bool(self.label_numbers)


_remembered: dict[Dataset, tuple[Hashable, Source]] = {}


def load_source(dataset: Dataset, seeds: Sequence[int] = ()) -> Source:
    """The dataset's images: from memory, else from the cache, else from its files.

    seeds: those whose splits will be drawn. If `dataset` limits the number of images, theirs are
    kept when the source is first decoded.

    Raises:
        UserError: files are missing, damaged, or not as this kind of data set expects.
    """
    signature = dataset.signature()
    before, source = _remembered.pop(dataset, (None, None))

    def unchanged() -> None:
        if dataset.signature() != signature:
            raise changed(str(getattr(dataset, "root", dataset.kind_name())))

    if source is None or before != signature:
        source = _load(dataset, seeds, unchanged)
        unchanged()
    _remembered[dataset] = signature, source  # the latest comes last
    while len(_remembered) > REMEMBERED:
        del _remembered[next(iter(_remembered))]
    return source


def forget_sources() -> None:
    """As in a new process: the next use of each source reads it from the cache or its files."""
    _remembered.clear()


def split(dataset: Dataset, source: Source, seed: int) -> Split:
    """Training, validation and test images, drawn with `split_seed`, else with `seed`; they are
    decoded if they were not yet."""
    drawn = draw_split(dataset, source.kept, source.test_from, source.poisoned, seed)
    if source.entry is not None:
        source.entry.require(np.concatenate(drawn.parts))
    return drawn


def changed_rule(dataset: Dataset, source: Source, before: str) -> str | None:
    """Which rule of reading has changed since the dataset had the fingerprint `before`; None if its
    files have changed instead."""
    known = [] if source.facts.former is None else [source.facts.former]
    for fingerprint, rule in [*known, *dataset.former_fingerprints()]:
        if fingerprint.startswith(before):
            return rule
    return None


def _load(dataset: Dataset, seeds: Sequence[int], unchanged: Callable[[], None]) -> Source:
    content = dataset.fingerprint()
    if dataset.cached:
        contents, classes, entry = _from_cache(dataset, content, seeds, unchanged)
        images, found = entry.images, entry.scan
    else:
        contents, entry = dataset.open(), None
        classes = classes_of(contents)
        images, found = _in_memory(contents, classes.labels)
    source = _narrowed(dataset, contents, classes, images, found)
    rules = _new_rules(classes, found)
    facts = replace(
        source.facts,
        former=(content, "; ".join(rules.values())) if rules else None,
    )
    return replace(source, fingerprint=_fingerprint(content, rules), facts=facts, entry=entry)


def _from_cache(
    dataset: Dataset, content: str, seeds: Sequence[int], unchanged: Callable[[], None]
) -> tuple[Contents, Classes, Entry]:
    opened: Contents | None = dataset.open() if dataset.quick_open else None
    # Labels come first: they are wrong more often, and quick to check.
    known = None if opened is None else classes_of(opened)

    def images() -> Images:
        return (opened or dataset.open()).images

    def make() -> tuple[Contents, Ids, Ids | None]:
        contents = opened or dataset.open()
        classes = known or classes_of(contents)
        return contents, classes.labels, _needed(dataset, contents, classes, seeds)

    entry = open_entry(content, images, make, unchanged)
    contents = opened or entry.contents()
    return contents, known or classes_of(contents), entry


def _in_memory(contents: Contents, labels: Ids) -> tuple[ImageArray, Scan]:
    """All images, decoded into memory."""
    pool = len(labels) if contents.test_from is None else contents.test_from
    sink = _MemorySink(len(labels))
    found = scan(contents.images, labels, pool, sink)
    return sink.images.transpose(0, 3, 1, 2), found


class _MemorySink:
    """Keeps all images as (n, h, w, c) uint8."""

    def __init__(self, images: int) -> None:
        self._count, self.images = images, np.empty((0, 0, 0, 0), np.uint8)

    def begin(self, shape: Shape) -> None:
        c, h, w = shape
        self.images = np.empty((self._count, h, w, c), np.uint8)

    def put(self, number: int, pixels: ImageArray) -> None:
        self.images[number] = pixels


def _new_rules(classes: Classes, found: Scan) -> dict[str, str]:
    """Rules by which earlier versions did not read this source: name → what it says."""
    rules = {
        name: f"{TRAITS[name]} ({found.traits[name]} images)"
        for name in NEW_RULES
        if found.traits.get(name)
    }
    if classes.former is not None and classes.former != classes.names:
        rules["labels"] = LABELS_RULE
    return rules


def _fingerprint(content: str, rules: Iterable[str]) -> str:
    """The hash of files as they are, or with the new rules that change what they look like."""
    if names := sorted(rules):
        content = hashlib.sha256(json.dumps([content, names]).encode()).hexdigest()
    return content[:16]


def _narrowed(
    dataset: Dataset,
    contents: Contents,
    classes: Classes,
    images: ImageArray | SomeImages,
    found: Scan,
) -> Source:
    """The source without a fingerprint, limited to the classes that the dataset names."""
    chosen, labels, kept = _kept(dataset, classes)
    counts = found.counts[list(chosen)].sum(0)
    mean, std = _moments(counts)
    present = np.flatnonzero(counts.any(0))
    span = (int(present[0]), int(present[-1])) if len(present) else (0, 0)
    facts = SourceFacts(
        contents.left_out,
        (*contents.notes, *classes.notes),
        (*contents.warnings, *classes.warnings),
        found.traits,
        found.digests,
        found.constant,
        span,
    )
    return Source(
        images,
        labels,
        kept,
        contents.test_from,
        tuple(classes.names[i] for i in chosen),
        "",
        mean,
        std,
        _poisoned(contents),
        tuple(classes.numbers[i] for i in chosen) if classes.numbers else (),
        facts,
    )


def _poisoned(contents: Contents) -> npt.NDArray[np.bool_]:
    n = len(contents.images)
    return np.zeros(n, dtype=bool) if contents.poisoned is None else contents.poisoned


def _kept(dataset: Dataset, classes: Classes) -> tuple[list[int], Ids, Ids]:
    """Numbers of the classes kept, renumbered labels (n,), the numbers of the images kept (m,)."""
    if dataset.classes is None:
        return list(range(len(classes.names))), classes.labels, np.arange(len(classes.labels))
    chosen = [class_number(given, classes.names) for given in dataset.classes]
    unknown = [g for g, number in zip(dataset.classes, chosen, strict=True) if number is None]
    if unknown:
        rule = f"must be labels from 0 to {len(classes.names) - 1}, or names of classes"
        remedy = f"Remove what does not exist. There are {listed(classes.names, 10)}."
        raise UserError(Mistake("classes", rule, unknown, remedy))
    numbers = [number for number in chosen if number is not None]
    if len(set(numbers)) != len(numbers):
        given = list(dataset.classes)
        raise UserError(Mistake("classes", "must not repeat a class", given, "Name each once."))
    renumbered = np.full(len(classes.names), -1, dtype=np.int64)
    renumbered[numbers] = np.arange(len(numbers))
    labels = renumbered[classes.labels]
    return numbers, labels, np.flatnonzero(labels >= 0)


def _moments(
    counts: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Exact mean and standard deviation of each channel in [0, 1], from counts of grey levels,
    (c, 256) int64."""
    levels = np.arange(256) / 255
    share = counts.astype(np.float64) / counts.sum(1, keepdims=True).astype(np.float64)
    mean = share @ levels
    variance = (share * (levels - mean[:, None]) ** 2).sum(1)
    return mean.astype(np.float32), np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)


def _needed(
    dataset: Dataset, contents: Contents, classes: Classes, seeds: Sequence[int]
) -> Ids | None:
    """Numbers of the images that are kept when the source is first decoded; None for all."""
    if dataset.train is None:
        return None
    _, _, kept = _kept(dataset, classes)
    known = seeds if dataset.split_seed is None else [dataset.split_seed]
    poisoned, parts = _poisoned(contents), [np.empty(0, np.int64)]
    for seed in dict.fromkeys(known):
        parts += draw_split(dataset, kept, contents.test_from, poisoned, seed).parts
    return np.unique(np.concatenate(parts))
