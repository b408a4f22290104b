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

from backdoor.augment import crop_flip
from backdoor.data import Source
from backdoor.triggers import Trigger

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Banks up to this size are normalised to float32 once; larger ones batch by batch.
FLOAT_BANK_BYTES = 512 * 2**20
#: So many images are stamped at once: triggers compute in float64, eight times the size.
STAMPED_AT_ONCE = 4096


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
        self._labels = torch.from_numpy(source.labels)
        self._clean = np.unique(clean)
        self._stamped: dict[Trigger, tuple[int, Ids]] = {}
        blocks = [torch.from_numpy(source.images[self._clean])]
        origin = [np.arange(len(self._clean))]
        offset = len(self._clean)
        for trigger, wanted in stamped.items():
            ids = np.unique(wanted)
            for some in np.array_split(ids, -(-len(ids) // STAMPED_AT_ONCE) or 1):
                images = torch.from_numpy(source.images[some])
                labels = torch.from_numpy(source.labels[some])
                blocks.append(trigger.stamp(images, torch.from_numpy(some), labels))
            origin.append(self.clean_rows(ids))
            self._stamped[trigger] = offset, ids
            offset += len(ids)
        self.images = torch.cat(blocks).to(device)
        self._origin = np.concatenate(origin)
        standard = normalization == "standard"
        mean = source.mean if standard else np.zeros_like(source.mean)
        std = source.std if standard else np.ones_like(source.std)
        self._mean, self._std = mean.astype(np.float64), std.astype(np.float64)
        self._scale = torch.from_numpy(1 / (255 * std)).to(device)[:, None, None]
        self._shift = torch.from_numpy(mean / std).to(device)[:, None, None]

    @property
    def pictures(self) -> torch.Tensor:
        """Rows as images (n, c, h, w) uint8, whatever learners see of them."""
        return self.images

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

    def unchanged(self, rows: Ids) -> Ids:
        """Rows of the images as they were before they were stamped, (...) int64."""
        return self._origin[rows]

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Network inputs: rows (...) int64 to (..., c, h, w) float32."""
        chosen = rows.to(self.images.device).flatten()
        if self._floats is not None:
            images = self._floats.index_select(0, chosen)
        else:
            images = self._normalised(self._select(chosen))
        return images.view(*rows.shape, *self.shape)

    def augmented(self, rows: torch.Tensor, views: torch.Tensor, stamp: str) -> torch.Tensor:
        """Network inputs as they are seen while training: (..., c, h, w) float32.

        Args:
            rows: (...) int64, on the CPU where `stamp` is `after`.
            views: (..., 3) int64, see `backdoor.augment`.
            stamp: whether images are stamped `before` or `after` they are cropped and mirrored.
        """
        chosen, views = rows.flatten(), views.flatten(0, -2)
        if stamp == "before":
            images = crop_flip(self._select(chosen), views)
        else:
            clean = torch.from_numpy(self.unchanged(chosen.numpy()))
            images = crop_flip(self._select(clean), views)
            self._stamp(images, chosen)
        return self._normalised(images).view(*rows.shape, *self.shape)

    def _select(self, rows: torch.Tensor) -> torch.Tensor:
        return self.images.index_select(0, rows.to(self.images.device))

    def _stamp(self, images: torch.Tensor, rows: torch.Tensor) -> None:
        """Stamps those of the images, in place, whose rows, on the CPU, are stamped ones."""
        for trigger, (offset, ids) in self._stamped.items():
            places = ((rows >= offset) & (rows < offset + len(ids))).nonzero()[:, 0]
            if len(places):
                numbers = torch.from_numpy(ids)[rows[places] - offset]
                labels = self._labels[numbers]
                there, numbers = places.to(images.device), numbers.to(images.device)
                images[there] = trigger.stamp(images[there], numbers, labels.to(images.device))

    def pixels(self, rows: Ids) -> npt.NDArray[np.integer]:
        """The images of these rows as they are, (n, inputs) whole numbers on the CPU: uint8."""
        chosen = self.images[torch.from_numpy(rows).to(self.images.device)]
        result: npt.NDArray[np.integer] = chosen.flatten(1).cpu().numpy()
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
