"""The images of a pack: clean ones once, stamped ones once a trigger, addressed by row.

No trial ever copies the data set: a poisoned training set is an array of row numbers, in which
the poisoned positions point at stamped rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from backdoor.data import Source
from backdoor.triggers import Trigger

Ids = npt.NDArray[np.int64]

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
        origin = [np.arange(len(self._clean))]
        offset = len(self._clean)
        for trigger, wanted in stamped.items():
            ids = np.unique(wanted)
            images = torch.from_numpy(source.images[ids])
            labels = torch.from_numpy(source.labels[ids])
            blocks.append(trigger.stamp(images, torch.from_numpy(ids), labels))
            origin.append(self.clean_rows(ids))
            self._stamped[trigger] = offset, ids
            offset += len(ids)
        self.images = torch.cat(blocks).to(device)
        self._origin = np.concatenate(origin)
        standard = normalization == "standard"
        mean = source.mean if standard else np.zeros_like(source.mean)
        std = source.std if standard else np.ones_like(source.std)
        self._scale = torch.from_numpy(1 / (255 * std)).to(device)[:, None, None]
        self._shift = torch.from_numpy(mean / std).to(device)[:, None, None]
        self._floats: torch.Tensor | None = None
        if 4 * self.images.numel() <= FLOAT_BANK_BYTES:
            self._floats = self._normalised(self.images)

    def clean_rows(self, ids: Ids) -> Ids:
        """Rows of the unchanged images with these numbers, (n,) int64."""
        return np.searchsorted(self._clean, ids)

    def stamped_rows(self, trigger: Trigger, ids: Ids) -> Ids:
        """Rows of the stamped images with these numbers, (n,) int64."""
        offset, known = self._stamped[trigger]
        return offset + np.searchsorted(known, ids)

    def unchanged(self, rows: Ids) -> Ids:
        """Rows of the images as they were before they were stamped, (...) int64."""
        return self._origin[rows]

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Network inputs: rows (...) int64 to (..., c, h, w) float32."""
        chosen = rows.to(self.images.device).flatten()
        if self._floats is not None:
            images = self._floats.index_select(0, chosen)
        else:
            images = self._normalised(self.images.index_select(0, chosen))
        return images.view(*rows.shape, *self.shape)

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        return images.to(torch.float32).mul_(self._scale).sub_(self._shift)
