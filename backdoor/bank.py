"""The images of a pack: clean ones once, stamped ones once a trigger, addressed by row.

No trial ever copies the data set: a poisoned training set is an array of row numbers, in which
the poisoned positions point at stamped rows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from backdoor.data import Source
from backdoor.triggers import Trigger

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Banks up to this size are normalised to float32 once; larger ones batch by batch.
FLOAT_BANK_BYTES = 512 * 2**20


class Bank:
    """Rows of images (c, h, w) uint8 on a device.

    Args:
        source: where the images come from.
        clean: (n,) int64, numbers of all images that some trial needs unchanged.
        stamped: for each trigger, the numbers of the images that some trial needs stamped.
        normalization: `unit` or `standard`, see `backdoor.config.Training`.
    """

    def __init__(
        self,
        source: Source,
        clean: Ids,
        stamped: Mapping[Trigger, Ids],
        normalization: str = "unit",
        device: str = "cpu",
    ) -> None:
        self.shape = source.shape
        self._clean = np.unique(clean)
        self._stamped: dict[Trigger, tuple[int, Ids]] = {}
        blocks = [torch.from_numpy(source.images[self._clean])]
        offset = len(self._clean)
        for trigger, wanted in stamped.items():
            ids = np.unique(wanted)
            images = torch.from_numpy(source.images[ids])
            labels = torch.from_numpy(source.labels[ids])
            blocks.append(trigger.stamp(images, torch.from_numpy(ids), labels))
            self._stamped[trigger] = offset, ids
            offset += len(ids)
        self.images = torch.cat(blocks).to(device)
        standard = normalization == "standard"
        mean = source.mean if standard else np.zeros_like(source.mean)
        std = source.std if standard else np.ones_like(source.std)
        self._mean, self._std = mean.astype(np.float64), std.astype(np.float64)
        self._scale = torch.from_numpy(1 / (255 * std)).to(device)[:, None, None]
        self._shift = torch.from_numpy(mean / std).to(device)[:, None, None]

    @property
    def normalisation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift), each (c, 1, 1) float32: network inputs are images * scale - shift."""
        return self._scale, self._shift

    def clean_rows(self, ids: Ids) -> Ids:
        """Rows of the unchanged images with these numbers, (n,) int64."""
        return np.searchsorted(self._clean, ids)

    def stamped_rows(self, trigger: Trigger, ids: Ids) -> Ids:
        """Rows of the stamped images with these numbers, (n,) int64."""
        offset, known = self._stamped[trigger]
        return offset + np.searchsorted(known, ids)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Network inputs: rows (...) int64 to (..., c, h, w) float32."""
        rows = rows.to(self.images.device)
        if self._floats is not None:
            return self._floats[rows]
        return self._normalised(self.images[rows])

    def pixels(self, rows: Ids) -> npt.NDArray[np.uint8]:
        """The images of these rows as they are, (n, inputs) uint8 on the CPU."""
        chosen = self.images[torch.from_numpy(rows).to(self.images.device)]
        result: npt.NDArray[np.uint8] = chosen.flatten(1).cpu().numpy()
        return result

    def affine(self) -> tuple[Floats, Floats]:
        """scale and shift, (c,) float64 each: network inputs are pixels * scale - shift."""
        return 1 / (255 * self._std), self._mean / self._std

    @functools.cached_property
    def _floats(self) -> torch.Tensor | None:
        """All rows normalised, made when first asked for: not every engine does."""
        small = 4 * self.images.numel() <= FLOAT_BANK_BYTES
        return self._normalised(self.images) if small else None

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(torch.float32).mul_(self._scale).sub_(self._shift)
