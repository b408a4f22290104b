"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747), read by torchvision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from backdoor.datasets.mnist import Mnist


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Mnist):
    """Articles of clothing, 28 x 28 grey pixels: 60,000 for training, 10,000 for testing.

    `root` holds FashionMNIST/raw with the four unpacked idx files.
    """

    kind: ClassVar[str] = "fashion_mnist"

    def source_class(self) -> Any:
        from torchvision.datasets import FashionMNIST

        return FashionMNIST
