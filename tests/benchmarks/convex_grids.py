"""Grids of convex learners, timed for both ways to train.

Ours is `run_pack` on the packs that a sweep would make: splits, poisoning and stamping, training,
evaluation on test, validation and triggered images, results. Theirs gets its arrays ready-made and
is timed from `fit` to the last `predict`, on a part of the grid, scaled up. A variant of theirs that
does not solve the same problem as well as ours is left out; the test of its row says how.

Seconds are CPU seconds of one thread. Images are pairs of MNIST (7, 1) and CIFAR-10 (0, 6): with
BACKDOOR_DATA=FOLDER those in FOLDER/MNIST/raw and FOLDER/cifar10/*.parquet; without, random images
of the same shapes, whose spectrum falls like that of photographs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from throughput import timed
from trials import trial

from backdoor.config import TrialConfig, build_data
from backdoor.datasets import Dataset
from backdoor.datasets.source import load_source
from backdoor.result import TrialResult
from backdoor.trial import prepare, run_pack
from sweeps.packs.pack import PackSettings, make_packs

SIZES = {"train": 1500, "validation": 500, "test": 500}
RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
#: For each number of inputs: side of the trigger, shape of an image.
SHAPES = {784: (6, (28, 28)), 3072: (8, (32, 32, 3))}
#: How far the classes of random images are apart, in standard deviations of each leading axis.
APART = 0.7


# --- images ------------------------------------------------------------------------------------


@lru_cache
def images(inputs: int) -> Dataset:
    """A source of two classes with so many inputs."""
    folder = os.environ.get("BACKDOOR_DATA")
    if folder is None:
        return arrays_file(inputs)
    if inputs == 784:
        return build_data({"kind": "mnist", "root": folder, "classes": [7, 1], **SIZES})
    root = str(Path(folder) / "cifar10")
    return build_data({"kind": "parquet", "root": root, "classes": [0, 6], **SIZES})


@lru_cache
def arrays_file(inputs: int) -> Dataset:
    """Random images, also where real data is available."""
    return build_data({"kind": "arrays", "root": str(random_images(inputs)), **SIZES})


def random_images(inputs: int) -> Path:
    """An .npz file: axes of falling variance, along which two classes differ a little, and noise.

    As on pairs of real photographs, linear models classify nine of ten images.
    """
    _, shape = SHAPES[inputs]
    rng = np.random.default_rng(inputs)
    labels = np.arange(sum(SIZES.values())) % 2
    spread = 60 * np.arange(1, 201) ** -0.7
    scores = rng.standard_normal((len(labels), 200))
    scores[:, :20] += (labels[:, None] - 0.5) * APART * rng.standard_normal(20)
    raw = 128 + (scores * spread) @ rng.standard_normal((200, inputs)) / 4
    raw += 8 * rng.standard_normal(raw.shape)
    file = Path(mkdtemp()) / f"{inputs}.npz"
    np.savez(file, images=raw.clip(0, 255).astype(np.uint8).reshape(-1, *shape), labels=labels)
    return file


# --- both ways to train ------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Strengths x poison rates of one learner on one source, and the part that they fit."""

    configs: Sequence[TrialConfig]
    part: Sequence[int]

    @staticmethod
    def of(
        learners: Sequence[Any],
        decays: Sequence[float],
        inputs: int,
        every: int,
        data: Dataset | None = None,
    ) -> Grid:
        """data: by default `images`."""
        side, _ = SHAPES[inputs]
        configs = [
            trial(learner, rate=rate, weight_decay=decay, data=data or images(inputs),
                  trigger={"kind": "patch", "size": side})
            for rate in RATES for learner in learners for decay in decays
        ]  # fmt: skip
        # A step that is prime to the number of strengths, so that all rates and strengths occur.
        return Grid(configs, range(every // 2, len(configs), every))

    @property
    def scale(self) -> float:
        return len(self.configs) / len(self.part)

    def sweep(self) -> list[TrialResult]:
        return [
            r for pack in make_packs(self.configs, PackSettings(())) for r in run_pack(pack.trials)
        ]


@dataclass(frozen=True)
class Arrays:
    """What their fit gets: inputs, labels and three sets of images to classify. Then the answers
    that count, and how many of those our model gives."""

    config: TrialConfig
    x: Any
    y: Any
    asked: Sequence[Any]
    expected: Sequence[Any]
    ours: tuple[int, ...]


def arrays_of(grid: Grid, dtype: Any = np.float64) -> list[Arrays]:
    """Of the part of the grid that they fit, with the counts of our own models."""
    chosen = [grid.configs[i] for i in grid.part]
    results = {r.trial_id: r for r in grid.sweep()}
    members, store = prepare(chosen, (), load_source(chosen[0].data))

    def inputs(rows: Any) -> Any:
        return (store.uint8(rows).flatten(1).numpy() / 255).astype(dtype)

    found = []
    for member in members:
        sets = [inputs(rows) for rows in (member.test, member.validation, member.triggered[0].rows)]
        ours = results[member.config.trial_id]
        hits = sum(ours.class_correct), ours.validation_correct, ours.measurements[0].success
        right = member.test_labels, member.validation_labels, member.triggered[0].target_labels
        found.append(
            Arrays(member.config, inputs(member.train), member.train_labels, sets, right, hits)
        )
    return found


def answers(model: Any, arrays: Arrays) -> list[Any]:
    fitted = model.fit(arrays.x, arrays.y)
    return [fitted.predict(images) for images in arrays.asked]


def counts(arrays: Arrays, answers: Sequence[Any]) -> tuple[int, ...]:
    """Right answers on test and validation images, and what the attacker wants on triggered."""
    pairs = zip(answers, arrays.expected, strict=True)
    return tuple(int((answer == expected).sum()) for answer, expected in pairs)


def cpu(work: Callable[[], object], scale: float = 1.0) -> Callable[[], float]:
    return timed(work, scale, time.process_time)
