"""Donor images: other training images, for triggers that use parts of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from backdoor.reading.cache import SomeImages
from backdoor.streams import by_number

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DonorImages:
    """The training images of a trial, one of which is given to each image that is stamped.

    name: equal for equal images. seed: of the trial. images: (n, c, h, w) uint8, of which the
    training images are the rows (m,) int64. numbers: (m,) int64, their numbers in their source.
    """

    name: str
    seed: int
    images: npt.NDArray[np.uint8] | SomeImages = field(compare=False, repr=False)
    rows: Ids = field(compare=False, repr=False)
    numbers: Ids = field(compare=False, repr=False)

    def lend(self, ids: torch.Tensor, draw: str) -> torch.Tensor:
        """A donor image for each of the images with these numbers, ids (n,): (n, c, h, w) uint8.

        draw: the name of the random stream. The donor depends on it, the number and the seed only.
        An image is its own donor only if there is no other image.
        """
        asked = ids.cpu().numpy()
        sample = by_number(asked, 1, draw, self.seed)[:, 0]
        chosen = (sample * len(self.numbers)).astype(np.int64)
        chosen[self.numbers[chosen] == asked] += 1
        return torch.from_numpy(self.images[self.rows[chosen % len(self.rows)]]).to(ids.device)
