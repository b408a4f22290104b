"""CIFAR-10 (Krizhevsky 2009), in its Python version, read by torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from backdoor.datasets.torchvision_files import Part, TorchvisionFiles
from backdoor.reading.files import given_root


@dataclass(frozen=True, kw_only=True)
class Cifar10(TorchvisionFiles):
    """Photographs of ten things, 32 x 32 colour pixels: 50,000 for training, 10,000 for testing.

    `root` holds cifar-10-batches-py. Its files are pickles: torchvision opens a file only if its
    checksum is that of the published one.
    """

    kind: ClassVar[str] = "cifar10"

    def source_class(self) -> Any:
        from torchvision.datasets import CIFAR10

        return CIFAR10

    def file_names(self) -> Sequence[str]:
        source = self.source_class()
        names = [name for name, _ in [*source.train_list, *source.test_list]]
        return [f"{source.base_folder}/{name}" for name in [*names, source.meta["filename"]]]

    def read_part(self, train: bool) -> Part:
        part = self.source_class()(given_root(self.kind, self.root), train=train)
        labels = np.asarray(part.targets, dtype=np.int64)
        return part.data.transpose(0, 3, 1, 2), labels, tuple(part.classes)
