"""The random choices of the authors' scripts: which images, and what noise. numpy's legacy generator.

Both follow from their published code. With them, the only differences between their figures
and ours are which tenth of the images is poisoned, one training image, and the solvers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from backdoor.config import build_data
from backdoor.datasets.source import load_source
from backdoor.triggers.patch import Patch

SPLIT_SEED, TEST = 999, 500


@dataclass(frozen=True)
class TheirNoise(Patch):
    """The noise of both classes is sampled at once, by the run's seed."""

    kind: ClassVar[str] = "their_noise"

    def noise(self, label, channels):
        shape = 2, channels, self.size, self.size
        sampled = np.random.RandomState(self.pattern_seed).random_sample(shape)
        return torch.from_numpy(np.rint(255 * sampled[label]).astype(np.uint8))

    @staticmethod
    def like(patch):
        return TheirNoise(
            **{name: getattr(patch, name) for name in ("size", "position", "pattern")}
        )


def their_images(mnist, folder):
    """The dataset `mnist`, two digits in torchvision's files, narrowed to the images of their split.

    They sample 1,501 training images of the two digits and leave one of them out; their test images
    are the first 250 of each digit among MNIST's own test images.
    """
    source = load_source(mnist)
    own = source.kept < source.test_from
    train, test = source.kept[own], source.kept[~own]
    sampled = np.random.RandomState(SPLIT_SEED).choice(len(train), mnist.train + 1, replace=False)
    train = train[sampled]
    test = np.concatenate([test[source.labels[test] == k][: TEST // 2] for k in (0, 1)])
    name = "-".join(map(str, mnist.classes))
    file = Path(folder) / f"mnist-{name}.npz"
    digits = np.array(mnist.classes)[source.labels]
    np.savez(file, images=source.images[train], labels=digits[train],
             test_images=source.images[test], test_labels=digits[test])  # fmt: skip
    # `classes` distinguishes the trials of one pair from those of another; the file's path does not.
    named = list(map(str, mnist.classes))  # the array has no other digits, so that these are names
    own = {"root": str(file), "classes": named, "split_seed": SPLIT_SEED}
    return build_data(
        {"kind": "arrays", **own, "train": mnist.train, "validation": 1, "test": TEST}
    )


def with_their_noise(attack):
    return replace(attack, trigger=TheirNoise.like(attack.trigger))
