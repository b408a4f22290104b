"""Products of the images of a pack, computed once for all trials that share images.

They are exact, see `backdoor.engines.whole`: sharing changes no bit of a trial's result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from backdoor.engines.base import Member
from backdoor.engines.whole import Floats, Ids, Pixels, products
from backdoor.image_store.store import ImageStore

What = Literal["inner", "squared_distances"]

#: A matrix over all images of a seed is kept up to this number of entries (512 MiB); larger
#: problems
#: have one for each training set.
MOST = 2**26


class SharedProducts:
    """Products of the training images of members, with each other and with test images."""

    def __init__(self, store: ImageStore, members: Sequence[Member]) -> None:
        self.store = store
        trains: dict[int, list[Ids]] = {}
        for member in members:
            trains.setdefault(member.config.seed, []).append(member.train)
        self._unions = [np.unique(np.concatenate(each)) for each in trains.values()]
        self._moments: tuple[Ids, Floats] | None = None
        self._kept: dict[tuple[bytes, int, What], Floats] = {}

    def moments(self, train: Ids) -> Floats:
        """Sums over the images of products of two pixels, (inputs, inputs).

        Those of a training set are computed from the previous ones by the images that differ.
        """
        before, sums = self._moments or (np.empty(0, np.int64), np.empty(0))
        differ = before != train if len(before) == len(train) else np.ones(len(train), bool)
        if 2 * differ.sum() < len(train):
            sums = sums + products(self.store.pixels(train[differ]).T)
            sums -= products(self.store.pixels(before[differ]).T)
        else:
            sums = products(self.store.pixels(train).T)
        self._moments = train, sums
        return sums

    def inner(self, train: Ids, what: What = "inner") -> Floats:
        """Inner products of the inputs of a training set, or their squared distances, (n, n)."""
        number, union = self._union(train)
        if len(union) ** 2 > MOST:
            return self._fresh(train, None, what)
        every = self._keep((b"", number, what), union, None)
        where = np.searchsorted(union, train)
        return every[where].take(where, 1)

    def inner_after(self, before: Ids, matrix: Floats, train: Ids) -> Floats:
        """inner(train), written into `matrix`, which is inner(before), if few images differ."""
        number, union = self._union(train)
        differ = np.flatnonzero(before != train) if len(before) == len(train) else train
        if 2 * len(differ) >= len(train) or len(union) ** 2 > MOST:
            return self.inner(train)
        where = np.searchsorted(union, train)
        block = self._keep((b"", number, "inner"), union, None)[where[differ]].take(where, 1)
        matrix[differ] = block
        matrix[:, differ] = block.T
        return matrix

    def between(self, train: Ids, rows: Ids, what: What = "inner") -> Floats:
        """Products of training images (n,) with any rows (m,): (n, m)."""
        number, union = self._union(train)
        if len(rows) * len(union) > MOST:
            return self._fresh(train, rows, what)
        every = self._keep((rows.tobytes(), number, what), union, rows)
        return every[np.searchsorted(union, train)]

    def _keep(self, key: tuple[bytes, int, What], union: Ids, rows: Ids | None) -> Floats:
        """The matrix of this key; the oldest ones are freed if all together would be too large."""
        if key not in self._kept:
            needed = len(union) * len(union if rows is None else rows)
            while self._kept and sum(m.size for m in self._kept.values()) + needed > MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = self._fresh(union, rows, key[2])
        return self._kept[key]

    def _fresh(self, rows: Ids, others: Ids | None, what: What) -> Floats:
        pixels = Pixels.of(self.store, rows)
        theirs = None if others is None else Pixels.of(self.store, others)
        return pixels.inner(theirs) if what == "inner" else pixels.squared_distances(theirs)

    def _union(self, rows: Ids) -> tuple[int, Ids]:
        """All training images of the seed of these rows, and the number of that set."""
        for number, union in enumerate(self._unions):
            where = np.searchsorted(union, rows)
            if where.max(initial=0) < len(union) and np.array_equal(union[where], rows):
                return number, union
        raise KeyError("rows that are not training images of this pack")
