"""Images that are equal pixel by pixel: in training and in test, or with different labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backdoor.datasets.source import Source
from backdoor.reading.contents import Ids
from backdoor.reading.printed_names import class_name
from backdoor.wording import counted

#: What equal images in training and in test mean for results.
BETTER = "accuracy looks better than it is"


def equal_images(source: Source) -> Iterator[str]:
    """Warnings about all images that some seed may use; they are the same for every seed."""
    ids = source.kept
    split = len(ids) if source.test_from is None else int(np.searchsorted(ids, source.test_from))
    pool, test = ids[:split], ids[split:]
    digests = source.facts.digests
    shared = int(np.isin(digests[test], digests[pool]).sum())
    if shared:
        yield (
            f"{shared:,} of {counted(len(test), 'test image')} are also in the training pool, "
            f"pixel by pixel: {BETTER}"
        )
    repeated = len(_sorted(source, pool)[0])
    if repeated:
        where, held = ("", "test") if source.test_from is None else (" in the pool", "validation")
        yield (
            f"{counted(repeated, 'image')} are there more than once{where}, pixel by pixel, so "
            f"that equal ones may be in training and in {held}: {BETTER}"
        )
    yield from _other_labels(source)


def _sorted(source: Source, ids: Ids) -> tuple[Ids, Ids]:
    """The images that are there more than once, equal ones together, and where each group of them
    begins."""
    digests = source.facts.digests[ids]
    order = np.argsort(digests, kind="stable")
    begins = np.concatenate([[True], np.diff(digests[order]) != 0])
    sizes = np.diff(np.append(np.flatnonzero(begins), len(ids)))
    several = np.repeat(sizes, sizes) > 1
    return ids[order[several]], np.flatnonzero(begins[several])


def _other_labels(source: Source) -> Iterator[str]:
    ids, begins = _sorted(source, source.kept)
    if not len(ids):
        return
    labels, sizes = source.labels[ids], np.diff(np.append(begins, len(ids)))
    wrong = np.minimum.reduceat(labels, begins) != np.maximum.reduceat(labels, begins)
    if not wrong.any():
        return
    group = min(np.flatnonzero(wrong), key=lambda number: int(ids[begins[number]]))
    at = int(begins[group])
    other = at + int(np.flatnonzero(labels[at:] != labels[at])[0])
    pair = " and ".join(
        f"image {ids[i]:,} of class {class_name(source.class_names[labels[i]])}"
        for i in (at, other)
    )
    yield (
        f"{counted(int(sizes[wrong].sum()), 'image')} are equal to one with another label, pixel "
        f"by pixel, such as {pair} (counted from 0)"
    )
