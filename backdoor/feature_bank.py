"""The images of a pack as frozen features: what learners see of `backdoor.bank` in their place."""

from __future__ import annotations

import numpy as np
import torch

from backdoor.bank import Bank, Floats
from backdoor.features import STEP, Features

#: Images that the network is shown at a time, always as many: sums may depend on their number.
BATCH = 16


class FeatureBank(Bank):
    """A bank whose rows are features (f, 1, 1) of the rows of another, in whole steps of `STEP`.

    What addresses rows is taken over from that bank, which keeps the images.
    """

    def __init__(self, bank: Bank, features: Features) -> None:
        self.__dict__.update(bank.__dict__)
        self._pictures = bank.images
        device = bank.images.device
        self.images = _extract(bank.images, features)[:, :, None, None]
        self.shape = (self.images.shape[1], 1, 1)
        self._scale = torch.full((1, 1, 1), STEP, device=device)
        self._shift = torch.zeros(1, 1, 1, device=device)

    @property
    def pictures(self) -> torch.Tensor:
        return self._pictures

    def affine(self) -> tuple[Floats, Floats]:
        return np.array([STEP]), np.zeros(1)


@torch.no_grad()
def _extract(images: torch.Tensor, features: Features) -> torch.Tensor:
    """Images (n, c, h, w) uint8 to features (n, f) int32 on their device."""
    extractor = features.load().to(images.device)
    parts = []
    for chunk in torch.split(images, BATCH):
        full = chunk.new_zeros(BATCH, *images.shape[1:])
        full[: len(chunk)] = chunk
        parts.append(extractor(full.to(torch.float32))[: len(chunk)].to(torch.int32))
    return torch.cat(parts)
