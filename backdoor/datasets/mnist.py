"""MNIST (LeCun, Cortes, Burges 1998), read by torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

import numpy as np

from backdoor.datasets.torchvision_files import Part, TorchvisionFiles
from backdoor.reading.files import given_root


@dataclass(frozen=True, kw_only=True)
class Mnist(TorchvisionFiles):
    """Handwritten digits, 28 x 28 grey pixels: 60,000 for training, 10,000 for testing.

    `root` holds MNIST/raw with the four unpacked idx files.
    """

    kind: ClassVar[str] = "mnist"

    def source_class(self) -> Any:
        from torchvision.datasets import MNIST

        return MNIST

    def file_names(self) -> Sequence[str]:
        source = self.source_class()
        names = [PurePosixPath(archive).stem for archive, _ in source.resources]
        return [f"{source.__name__}/raw/{name}" for name in names]

    def read_part(self, train: bool) -> Part:
        from torchvision.datasets.mnist import read_image_file, read_label_file

        # MNIST(...) would prefer a folder `processed` of old versions to the raw files.
        folder, word = given_root(self.kind, self.root), "train" if train else "t10k"
        images_file, labels_file = (n for n in self.file_names() if f"/{word}-" in n)
        images = read_image_file(str(folder / images_file)).numpy()
        labels = read_label_file(str(folder / labels_file)).numpy().astype(np.int64)
        return images[:, None], labels, tuple(self.source_class().classes)
