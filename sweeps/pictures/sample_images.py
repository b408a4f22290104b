"""A few test images of a data set, one of each class, and the same with a trigger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from backdoor.datasets import Dataset
from backdoor.datasets.source import Source, load_source, split
from backdoor.triggers import Trigger
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.stamping import measured_form, stamped


@dataclass(frozen=True)
class SampleImages:
    """Test images to stamp triggers on: n images (n, c, h, w) uint8, each of another class.

    ids: their positions in `source`, (n,). donors: training images for triggers that use others.
    seed: of the split and of triggers that depend on a trial's seed.
    """

    source: Source
    ids: npt.NDArray[np.int64]
    donors: DonorImages
    seed: int

    @classmethod
    def of(cls, data: Dataset, seed: int, count: int) -> SampleImages:
        """The first test image of each of the first `count` classes that occur.

        Raises:
            UserError: the data cannot be read.
        """
        source = load_source(data)
        parts = split(data, source, seed)
        _, first = np.unique(source.labels[parts.test], return_index=True)
        donors = DonorImages("training", seed, source.images, parts.train, parts.train)
        return cls(source, parts.test[first[:count]], donors, seed)

    @property
    def clean(self) -> npt.NDArray[np.uint8]:
        """The images as they are, (n, c, h, w) uint8."""
        return self.source.images[self.ids]

    @property
    def class_names(self) -> list[str]:
        """The name of each image's class."""
        return [self.source.class_names[int(label)] for label in self.source.labels[self.ids]]

    def stamped(self, trigger: Trigger) -> npt.NDArray[np.uint8]:
        """The images with the trigger, (n, c, h, w) uint8.

        Raises:
            UserError: a trigger of the user's own does not stamp as `Trigger.stamp` promises.
        """
        form = measured_form(trigger, self.seed, self.donors)
        images, ids = torch.from_numpy(self.clean), torch.from_numpy(self.ids)
        labels = torch.from_numpy(self.source.labels[self.ids])
        return stamped(form, images, ids, labels).numpy()
