"""The images of a pack as frozen features in place of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from backdoor.architectures.frozen_features import STEP, Features
from backdoor.image_store.store import Floats, Ids, ImageStore

#: Images in a batch of the network, always the same number, as sums may depend on it.
BATCH = 16


class FeatureStore(ImageStore):
    """A store whose rows are features (f, 1, 1) of the rows of another, in whole steps of `STEP`.

    Row numbers are those of the other store, which keeps the images: `uint8` returns its images.
    clean: numbers of the images that some trial needs unchanged, as the other store was made with.
    """

    def __init__(self, store: ImageStore, features: Features, clean: Ids) -> None:
        self.__dict__.update(store.__dict__)
        self._raw = store
        stamped = [offset + np.arange(len(ids)) for offset, ids in store._stamped.values()]
        self._rows = torch.from_numpy(
            np.unique(np.concatenate([store.clean_rows(clean), *stamped]))
        )
        self._features = self._extract(features)
        count = self._features.shape[1]
        self.shape = (count, 1, 1)
        self._scale = torch.full((1,), STEP, device=self.device)
        self._shift = torch.zeros(1, device=self.device)
        self._scales, self._shifts = self._scale.repeat(count), self._shift.repeat(count)

    def uint8(self, rows: Ids) -> torch.Tensor:
        return self._raw.uint8(rows)

    def pixels(self, rows: Ids) -> npt.NDArray[np.integer]:
        """(n, f) int32."""
        chosen = self._select(torch.from_numpy(rows)).flatten(1)
        result: npt.NDArray[np.integer] = chosen.cpu().numpy()
        return result

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        return self._normalized(self._select(rows.flatten())).reshape(*rows.shape, *self.shape)

    def affine(self) -> tuple[Floats, Floats]:
        return np.array([STEP]), np.zeros(1)

    def _select(self, rows: torch.Tensor) -> torch.Tensor:
        """Features of rows (n,), (n, 1, 1, f) int32."""
        places = torch.searchsorted(self._rows, rows.cpu())
        return self._features.index_select(0, places.to(self.device))[:, None, None]

    @torch.no_grad()
    def _extract(self, features: Features) -> torch.Tensor:
        """Features of all rows that are needed, (n, f) int32."""
        extractor, parts = features.load().to(self.device), []
        for rows in np.split(self._rows.numpy(), range(BATCH, len(self._rows), BATCH)):
            images = self._raw.uint8(rows).to(torch.float32)
            full = images.new_zeros(BATCH, *images.shape[1:])
            full[: len(rows)] = images
            parts.append(extractor(full)[: len(rows)].to(torch.int32))
        return torch.cat(parts)
