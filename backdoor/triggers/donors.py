"""Other training images, for triggers that borrow from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from backdoor.streams import by_number

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DonorImages:
    """The training images of a trial, of which every image number is given another one.

    name: equal for the same images. seed: of the draws, the trial's own. images: (n, c, h, w)
    uint8, in which the training images are the rows (m,). numbers: (m,) int64, theirs in their
    source.
    """

    name: str
    seed: int
    images: npt.NDArray[np.uint8] = field(compare=False, repr=False)
    rows: Ids = field(compare=False, repr=False)
    numbers: Ids = field(compare=False, repr=False)

    def lend(self, ids: torch.Tensor, rng: str) -> torch.Tensor:
        """For each of the images numbered ids (n,) another training image, (n, c, h, w) uint8.

        It follows from the number, the seed and the draw's name alone, and is the image itself
        only where there is no other.
        """
        asked = ids.cpu().numpy()
        chosen = (by_number(asked, 1, rng, self.seed)[:, 0] * len(self.numbers)).astype(np.int64)
        chosen[self.numbers[chosen] == asked] += 1
        lent = self.images[self.rows[chosen % len(self.rows)]]
        return torch.from_numpy(lent).to(ids.device)
