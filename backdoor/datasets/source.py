"""From a dataset to arrays of uint8: decode once, select classes, split.

Decoded sources are kept under `$BACKDOOR_CACHE` (default ~/.cache/backdoor-sweeps), in a folder
named by the hash of their content. They are written to a temporary folder, which is then renamed,
and memory-mapped, so that all processes of a machine share the memory.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from backdoor.datasets.base import Dataset, Raw
from backdoor.errors import Mistake, UserError
from backdoor.streams import stream

Ids = npt.NDArray[np.int64]
CACHE_FORMAT = 3


@dataclass(frozen=True)
class Source:
    """A dataset, decoded and limited to its classes.

    images: (n, c, h, w) uint8, possibly memory-mapped and read-only. labels: (n,) int64.
    kept: (m,) int64, ascending numbers of the images whose class is kept.
    test_from: number of the first image of the source's own test set; None if it has none.
    mean, std: (c,) float32 in [0, 1], over the kept images of the training pool.
    poisoned: (n,) bool, images that are poisoned in the source: they are used for training only.
    """

    images: npt.NDArray[np.uint8]
    labels: Ids
    kept: Ids
    test_from: int | None
    class_names: tuple[str, ...]
    fingerprint: str
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    poisoned: npt.NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of one image."""
        _, c, h, w = self.images.shape
        return c, h, w


@dataclass(frozen=True)
class Split:
    """Numbers of images in their source, each (n,) int64; no image is in two of them."""

    train: Ids
    validation: Ids
    test: Ids


def cache_folder() -> Path:
    """The folder in which decoded sources are kept."""
    configured = os.environ.get("BACKDOOR_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "backdoor-sweeps"


@functools.lru_cache(maxsize=4)
def load_source(dataset: Dataset) -> Source:
    """The dataset's images: from memory, else from the cache, else from its files."""
    fingerprint = dataset.fingerprint()
    raw = _cached(dataset, fingerprint) if dataset.cached else dataset.read()
    labels, kept, names = _narrow(dataset, raw)
    pool = kept if raw.test_from is None else kept[kept < raw.test_from]
    mean, std = _moments(raw.images, pool)
    poisoned = np.zeros(len(labels), dtype=bool) if raw.poisoned is None else raw.poisoned
    return Source(
        raw.images, labels, kept, raw.test_from, names, fingerprint[:16], mean, std, poisoned
    )


def split(dataset: Dataset, source: Source, seed: int) -> Split:
    """Training, validation and test images, drawn with `split_seed`, else with `seed`."""
    seed = seed if dataset.split_seed is None else dataset.split_seed
    if source.test_from is None:
        pool = source.kept[stream("split", seed, len(source.kept)).permutation(len(source.kept))]
        n_test = dataset.test if dataset.test is not None else len(pool) // 5
        n_val = dataset.validation if dataset.validation is not None else len(pool) // 10
        left = len(pool) - n_test - n_val
        n_train = dataset.train if dataset.train is not None else left
        _enough("train + validation + test", len(pool), n_train + n_val + n_test)
        _none_empty({"train": n_train, "validation": n_val, "test": n_test})
        train, held = _hold_out(pool, source.poisoned[pool], n_train, n_val + n_test)
        return Split(train, held[:n_val], held[n_val:])
    own = source.kept < source.test_from
    pool, test = source.kept[own], source.kept[~own]
    pool = pool[stream("split", seed, len(pool)).permutation(len(pool))]
    test = test[stream("split-test", seed, len(test)).permutation(len(test))]
    n_val = dataset.validation if dataset.validation is not None else len(pool) // 10
    left = len(pool) - n_val
    n_train = dataset.train if dataset.train is not None else left
    n_test = dataset.test if dataset.test is not None else len(test)
    _enough("train + validation", len(pool), n_train + n_val)
    _enough("test", len(test), n_test)
    _none_empty({"train": n_train, "validation": n_val, "test": n_test})
    train, held = _hold_out(pool, source.poisoned[pool], n_train, n_val)
    return Split(train, held, test[:n_test])


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


def _narrow(dataset: Dataset, raw: Raw) -> tuple[Ids, Ids, tuple[str, ...]]:
    """Renumbered labels (n,), the numbers of the images kept (m,), and names of their classes."""
    if dataset.classes is None:
        return raw.labels, np.arange(len(raw.labels)), raw.class_names
    unknown = [label for label in dataset.classes if not 0 <= label < len(raw.class_names)]
    if unknown:
        rule = f"must be labels from 0 to {len(raw.class_names) - 1}"
        raise UserError(Mistake("classes", rule, unknown, "Remove what does not exist."))
    renumbered = np.full(len(raw.class_names), -1, dtype=np.int64)
    renumbered[list(dataset.classes)] = np.arange(len(dataset.classes))
    labels = renumbered[raw.labels]
    return labels, np.flatnonzero(labels >= 0), tuple(raw.class_names[i] for i in dataset.classes)


def _moments(
    images: npt.NDArray[np.uint8], ids: Ids
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Exact mean and standard deviation of each channel in [0, 1], from counts of grey levels."""
    levels = np.arange(256) / 255
    counts = np.zeros((images.shape[1], 256))
    for start in range(0, len(ids), 4096):
        chunk = images[ids[start : start + 4096]]
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ levels
    variance = (share * (levels - mean[:, None]) ** 2).sum(1)
    return mean.astype(np.float32), np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)


def _cached(dataset: Dataset, fingerprint: str) -> Raw:
    folder = cache_folder() / f"v{CACHE_FORMAT}-{fingerprint[:32]}"
    if not folder.is_dir():
        _store(dataset.read(), folder)
    meta = json.loads((folder / "meta.json").read_text())
    # They are stored with channels last, and read as (n, c, h, w).
    images = np.load(folder / "images.npy", mmap_mode="r").transpose(0, 3, 1, 2)
    labels = np.load(folder / "labels.npy")
    poisoned = np.load(folder / "poisoned.npy") if meta["poisoned"] else None
    return Raw(images, labels, tuple(meta["class_names"]), meta["test_from"], poisoned)


def _store(raw: Raw, folder: Path) -> None:
    """Writes a cache entry completely or not at all; the first process to rename its copy wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        np.save(scratch / "images.npy", np.ascontiguousarray(raw.images.transpose(0, 2, 3, 1)))
        np.save(scratch / "labels.npy", raw.labels)
        if raw.poisoned is not None:
            np.save(scratch / "poisoned.npy", raw.poisoned)
        meta = {
            "class_names": raw.class_names,
            "test_from": raw.test_from,
            "poisoned": raw.poisoned is not None,
        }
        (scratch / "meta.json").write_text(json.dumps(meta))
        for file in scratch.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def changed_rule(dataset: Dataset, source: Source, before: str) -> str | None:
    """TEMPORARY stub until the reader of data has it."""
    return None
