"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels: real data, nothing downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import sklearn
from sklearn.datasets import load_digits

from backdoor.datasets.base import Dataset
from backdoor.datasets.raw import Raw
from backdoor.settings.schema import Count


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """The UCI optical digits as scikit-learn ships them; 17 grey levels spread over 0 to 255."""

    kind: ClassVar[str] = "digits"

    train: Count | None = 1100
    validation: Count | None = 197
    test: Count | None = 500

    def fingerprint(self) -> str:
        raw = self.read()
        return hashlib.sha256(raw.images.tobytes() + raw.labels.tobytes()).hexdigest()

    def signature(self) -> Hashable:
        return str(sklearn.__version__)  # whose files do not change while it runs

    def read(self) -> Raw:
        bunch = load_digits()
        images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
        names = tuple(str(name) for name in bunch.target_names)
        return Raw(images, bunch.target.astype(np.int64), names)
