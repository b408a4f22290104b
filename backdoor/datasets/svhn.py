"""Street View House Numbers (Netzer et al. 2011), cropped digits, read by torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backdoor.datasets.torchvision_files import Part, TorchvisionFiles
from backdoor.reading.files import given_root


@dataclass(frozen=True, kw_only=True)
class Svhn(TorchvisionFiles):
    """Digits of house numbers, 32 x 32 colour pixels: 73,257 for training, 26,032 for testing.

    `root` holds train_32x32.mat and test_32x32.mat, which torchvision opens if their checksums are
    those of the published ones. Class 0 is the digit 0, which the files call 10.
    """

    kind: ClassVar[str] = "svhn"

    def source_class(self) -> Any:
        from torchvision.datasets import SVHN

        return SVHN

    def file_names(self) -> Sequence[str]:
        return [self.source_class().split_list[part][1] for part in ("train", "test")]

    def read_part(self, train: bool) -> Part:
        folder = given_root(self.kind, self.root)
        part = self.source_class()(folder, split="train" if train else "test")
        labels = np.asarray(part.labels, dtype=np.int64)
        return np.ascontiguousarray(part.data), labels, tuple(str(digit) for digit in range(10))

    def fetch_all(self) -> None:
        for part in ("train", "test"):
            self.source_class()(given_root(self.kind, self.root), split=part, download=True)
