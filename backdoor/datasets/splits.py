"""Which images are used for training, validation and test: drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset
from backdoor.errors import Mistake, UserError
from backdoor.reading.contents import Ids
from backdoor.streams import stream


@dataclass(frozen=True)
class Split:
    """Numbers of images in their source, each (n,) int64; no image is in two of them."""

    train: Ids
    validation: Ids
    test: Ids

    @property
    def parts(self) -> tuple[Ids, Ids, Ids]:
        """All three."""
        return self.train, self.validation, self.test


def draw_split(
    dataset: Dataset, kept: Ids, test_from: int | None, poisoned: npt.NDArray[np.bool_], seed: int
) -> Split:
    """Training, validation and test images, drawn with `split_seed`, else with `seed`.

    kept: (m,) ascending numbers of the images of classes that are kept. test_from: number of the
    first image of the source's own test set, None if it has none. poisoned: (n,), images that came
    poisoned, which are used for training only.

    Raises:
        UserError: there are fewer images than asked for, or none for one of the three.
    """
    seed = seed if dataset.split_seed is None else dataset.split_seed
    if test_from is None:
        return _from_one_pool(dataset, kept, poisoned, seed)
    own = kept < test_from
    pool, test = kept[own], kept[~own]
    pool = pool[stream("split", seed, len(pool)).permutation(len(pool))]
    test = test[stream("split-test", seed, len(test)).permutation(len(test))]
    n_val = dataset.validation if dataset.validation is not None else len(pool) // 10
    left = len(pool) - n_val
    n_train = dataset.train if dataset.train is not None else left
    n_test = dataset.test if dataset.test is not None else len(test)
    _enough("train + validation", len(pool), n_train + n_val)
    _enough("test", len(test), n_test)
    _none_empty({"train": n_train, "validation": n_val, "test": n_test})
    train, held = _hold_out(pool, poisoned[pool], n_train, n_val)
    return Split(train, held, test[:n_test])


def _from_one_pool(
    dataset: Dataset, kept: Ids, poisoned: npt.NDArray[np.bool_], seed: int
) -> Split:
    pool = kept[stream("split", seed, len(kept)).permutation(len(kept))]
    n_test = dataset.test if dataset.test is not None else len(pool) // 5
    n_val = dataset.validation if dataset.validation is not None else len(pool) // 10
    left = len(pool) - n_test - n_val
    n_train = dataset.train if dataset.train is not None else left
    _enough("train + validation + test", len(pool), n_train + n_val + n_test)
    _none_empty({"train": n_train, "validation": n_val, "test": n_test})
    train, held = _hold_out(pool, poisoned[pool], n_train, n_val + n_test)
    return Split(train, held[:n_val], held[n_val:])


def _hold_out(
    pool: Ids, poisoned: npt.NDArray[np.bool_], n_train: int, n_held: int
) -> tuple[Ids, Ids]:
    """The first n_train images of the pool, and the n_held clean ones that follow, in its order.

    If too few clean ones follow, the last clean ones of the pool are held out, and later poisoned
    ones are used for training in their place.
    """
    clean = np.flatnonzero(~poisoned)
    if n_held > len(clean):
        rule = f"must not exceed the {len(clean)} images that did not come poisoned"
        raise UserError(Mistake("validation + test", rule, n_held, "Ask for fewer images."))
    first = min(int((clean < n_train).sum()), len(clean) - n_held)
    held = clean[first : first + n_held]
    return np.delete(pool, held)[:n_train], pool[held]


def _none_empty(sizes: dict[str, int]) -> None:
    """Nothing can be measured without images; `best` is chosen on the validation images."""
    for name, size in sizes.items():
        if size < 1:
            raise UserError(Mistake(name, "must be at least 1 image", size, "Leave some for it."))


def _enough(place: str, available: int, asked: int) -> None:
    if asked > available:
        rule = f"must not exceed the {available} images that there are"
        raise UserError(Mistake(place, rule, asked, "Ask for fewer images."))
