"""The images of a pack: clean ones once, stamped ones once for each trigger, addressed by row.

No trial copies the data set: a poisoned training set is an array of row numbers, in which the
poisoned positions refer to stamped rows. A worker does not copy a large data set either: it reads
the clean images from the memory map of the decoded set, which all processes of a machine share.

Images are stored with channels last, (n, h, w, c), like the decoded sets. Convolutions are fastest
that way, and cropping moves the bytes of a pixel together.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch

from backdoor.datasets.source import Source
from backdoor.image_store.augment import crop_flip
from backdoor.reading.cache import SomeImages
from backdoor.triggers import Trigger
from backdoor.triggers.stamping import stamped as stamp_images

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: What is around each stamp of a trigger, to say whom it is for.
Stamping = Callable[[Trigger], AbstractContextManager[None]]

#: Stores up to this size are normalized to float32 once; larger ones batch by batch.
FLOAT_STORE_BYTES = 128 * 2**20
#: Clean images of a memory-mapped set are copied up to this size; larger sets are shared.
COPIED_BYTES = 32 * 2**20
#: How many images are stamped at once: triggers compute in float64, which takes eight times the
#: memory.
STAMPED_AT_ONCE = 4096


class ImageStore:
    """Rows of images (c, h, w) uint8 on a device.

    Args:
        source: the data set of the images.
        clean: (n,) int64, numbers of all images that some trial needs unchanged.
        stamped: for each trigger, the numbers of the images that some trial needs stamped.
        normalization: `unit` or `standard`, see `backdoor.config.Training`.
        alone: whether a single trial uses it. Images of a shared set are then stamped each time
            they are read. Several trials read the same ones, which are stamped once and kept.
        stamping: entered around each stamp, see `backdoor.trigger_users`.
    """

    def __init__(
        self,
        source: Source,
        clean: Ids,
        stamped: Mapping[Trigger, Ids],
        normalization: str = "unit",
        device: str = "cpu",
        alone: bool = False,
        stamping: Stamping = lambda trigger: nullcontext(),
    ) -> None:
        self.shape, self._stamping = source.shape, stamping
        self.device = torch.device(device)
        self._labels = torch.from_numpy(source.labels)
        self._clean: Ids | None = np.unique(clean)
        self._shared: torch.Tensor | None = None
        blocks: list[torch.Tensor] = []
        self._places: npt.NDArray[np.int32] | None = None
        if self.device.type == "cpu" and shareable(source, len(self._clean)):
            kept, self._places = in_memory(source)
            self._clean, self._shared, offset = None, channels_last(kept), len(kept)
        else:
            blocks.append(channels_last(source.images[self._clean]))
            offset = len(self._clean)
        self._keeps = self._shared is None or not alone
        origin = [np.arange(offset)]
        self._stamped: dict[Trigger, tuple[int, Ids]] = {}
        for trigger, numbers in stamped.items():
            ids = np.unique(numbers)
            blocks += stamped_blocks(trigger, source, ids, stamping) if self._keeps else []
            origin.append(self.clean_rows(ids))
            self._stamped[trigger] = offset, ids
            offset += len(ids)
        c, h, w = self.shape
        blocks.append(torch.empty(0, h, w, c, dtype=torch.uint8))
        self._own = torch.cat(blocks).to(device)
        self._origin = np.concatenate(origin)
        standard = normalization == "standard"
        mean = source.mean if standard else np.zeros_like(source.mean)
        std = source.std if standard else np.ones_like(source.std)
        self._mean, self._std = mean.astype(np.float64), std.astype(np.float64)
        self._scale = torch.from_numpy(1 / (255 * std)).to(device)
        self._shift = torch.from_numpy(mean / std).to(device)
        # One factor for every value of an image: broadcasting over the short last axis is slow.
        self._scales, self._shifts = self._scale.repeat(h * w), self._shift.repeat(h * w)

    @property
    def normalization(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift), each (c, 1, 1) float32: network inputs are images * scale - shift."""
        return self._scale[:, None, None], self._shift[:, None, None]

    @property
    def normalisation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`normalization`, by its former name, which probes of users may read."""
        return self.normalization

    def clean_rows(self, ids: Ids) -> Ids:
        """Rows of the unchanged images with these numbers, (n,) int64."""
        if self._places is not None:
            return self._places[ids].astype(np.int64)
        return ids.copy() if self._clean is None else np.searchsorted(self._clean, ids)

    def stamped_rows(self, trigger: Trigger, ids: Ids) -> Ids:
        """Rows of the stamped images with these numbers, (n,) int64."""
        offset, known = self._stamped[trigger]
        return offset + np.searchsorted(known, ids)

    def unchanged(self, rows: Ids) -> Ids:
        """Rows of the same images without a stamp, (...) int64."""
        return self._origin[rows]

    def uint8(self, rows: Ids) -> torch.Tensor:
        """The images of these rows: rows (n,) int64 to (n, c, h, w) uint8."""
        return self._select(torch.from_numpy(rows)).permute(0, 3, 1, 2)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Network inputs: rows (...) int64 to (..., c, h, w) float32."""
        chosen = rows.flatten()
        if self._floats is not None:
            images = self._floats.index_select(0, chosen.to(self.device))
        else:
            images = self._normalized(self._select(chosen))
        return images.reshape(*rows.shape, *self.shape)

    def augmented(self, rows: torch.Tensor, views: torch.Tensor, stamp: str) -> torch.Tensor:
        """Augmented network inputs for training: (..., c, h, w) float32.

        Args:
            rows: (...) int64, on the CPU where `stamp` is `after`.
            views: (..., 3) int64, see `backdoor.image_store.augment`.
            stamp: whether images are stamped `before` or `after` they are cropped and mirrored.
        """
        chosen, views = rows.flatten(), views.flatten(0, -2)
        if stamp == "before":
            images = crop_flip(self._select(chosen), views)
        else:
            clean = torch.from_numpy(self.unchanged(chosen.numpy()))
            images = crop_flip(self._select(clean), views)
            self._stamp(images.permute(0, 3, 1, 2), chosen)
        return self._normalized(images).reshape(*rows.shape, *self.shape)

    def _select(self, rows: torch.Tensor) -> torch.Tensor:
        """rows (n,) to (n, h, w, c) uint8."""
        if self._shared is None:
            return self._own.index_select(0, rows.to(self.device))
        if not self._keeps:
            origin = torch.from_numpy(self.unchanged(rows.numpy()))
            images = self._shared.index_select(0, origin)
            self._stamp(images.permute(0, 3, 1, 2), rows)
            return images
        clean = len(self._shared)
        images = self._shared.index_select(0, rows.clamp(max=clean - 1))
        places = (rows >= clean).nonzero()[:, 0]
        images[places] = self._own.index_select(0, rows[places] - clean)
        return images

    def _stamp(self, images: torch.Tensor, rows: torch.Tensor) -> None:
        """Stamps, in place, the images (n, c, h, w) whose rows (n,), on the CPU, are stamped."""
        for trigger, (offset, ids) in self._stamped.items():
            places = ((rows >= offset) & (rows < offset + len(ids))).nonzero()[:, 0]
            if len(places):
                numbers = torch.from_numpy(ids)[rows[places] - offset]
                labels = self._labels[numbers]
                there, numbers = places.to(images.device), numbers.to(images.device)
                clean = images[there].contiguous()
                with self._stamping(trigger):
                    result = stamp_images(trigger, clean, numbers, labels.to(images.device))
                images[there] = result

    def pixels(self, rows: Ids) -> npt.NDArray[np.integer]:
        """Inputs of these rows as whole numbers, (n, inputs) uint8, on the CPU."""
        result: npt.NDArray[np.integer] = self.uint8(rows).flatten(1).cpu().numpy()
        return result

    def affine(self) -> tuple[Floats, Floats]:
        """scale and shift, (c,) float64 each: network inputs are pixels * scale - shift."""
        return 1 / (255 * self._std), self._mean / self._std

    @functools.cached_property
    def _floats(self) -> torch.Tensor | None:
        """All rows normalized, computed at the first use; not every engine uses them."""
        small = self._shared is None and 4 * self._own.numel() <= FLOAT_STORE_BYTES
        return self._normalized(self._own).contiguous() if small else None

    def _normalized(self, images: torch.Tensor) -> torch.Tensor:
        """(n, h, w, c) uint8 to (n, c, h, w) float32 with channels last in memory."""
        floats = images.to(torch.float32).flatten(1).mul_(self._scales).sub_(self._shifts)
        return floats.view(images.shape).permute(0, 3, 1, 2)


def channels_last(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """(n, c, h, w) to a tensor (n, h, w, c), without a copy if memory has that order already."""
    moved = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    with warnings.catch_warnings():
        # The map is read-only, and nothing here writes to it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(moved)


def shareable(source: Source, images: int) -> bool:
    """Whether so many clean images should be read from the memory map of the decoded set."""
    size = images * int(np.prod(source.shape))
    return isinstance(in_memory(source)[0], np.memmap) and size > COPIED_BYTES


def in_memory(source: Source) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32] | None]:
    """The images as one array, and the row of each in it; None if image i is row i."""
    images = source.images
    if isinstance(images, SomeImages):
        return images.stored, images.rows
    return images, None


def stamped_blocks(
    trigger: Trigger, source: Source, ids: Ids, stamping: Stamping
) -> Iterator[torch.Tensor]:
    """The images with these numbers, stamped, in blocks (m, h, w, c) uint8."""
    for some in np.array_split(ids, -(-len(ids) // STAMPED_AT_ONCE) or 1):
        images = torch.from_numpy(np.ascontiguousarray(source.images[some]))
        labels = torch.from_numpy(source.labels[some])
        with stamping(trigger):
            result = stamp_images(trigger, images, torch.from_numpy(some), labels)
        yield result.permute(0, 2, 3, 1).contiguous()
